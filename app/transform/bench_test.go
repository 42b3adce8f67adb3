package transform

import (
	"context"
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/transform/scalar"
	"arus/connectors"
)

// benchBatch is a batch as a source gives them: 64k rows of 12 columns.
func benchBatch(b *testing.B) ([]connectors.Column, arrow.RecordBatch) {
	const n = 64 << 10
	columns := tableColumns(b, []string{
		"id: int", "customer: int32", "qty: int32", "price: decimal(12,2)", "rate: float", "status: text(20)", "email: str", "first: str", "last: str",
		"day: date", "updated_at: timestamptz", "doc: json",
	})
	arrays := make([]arrow.Array, len(columns))
	for c, col := range columns {
		builder := array.NewBuilder(memory.DefaultAllocator, col.Type.Arrow())
		put := scalar.Appender(builder, col.Type)
		for i := range n {
			var v any
			switch col.Name {
			case "id":
				v = int64(i)
			case "customer":
				v = int64(i * 7919 % 50_000)
			case "qty":
				v = int64(i % 100)
			case "price":
				v, _ = scalar.ParseDecimal(fmt.Sprintf("%d.%02d", i%1000, i%100))
			case "rate":
				v = float64(i%100) / 100
			case "status":
				v = []string{"paid", "open", "Cancelled", " new "}[i%4]
			case "email":
				v = fmt.Sprintf("user%d@example.org", i)
			case "first", "last":
				v = fmt.Sprintf("Name%d", i%5000)
			case "day":
				v = arrow.Date32(19000 + i%700)
			case "updated_at":
				v = scalar.Instant(1_700_000_000_000_000 + int64(i))
			case "doc":
				v = fmt.Sprintf(`{"city":"Wien","zip":%d,"tags":["a","b"],"geo":{"lat":48.2}}`, 1000+i%9000)
			}
			if i%50 == 49 && col.Name != "id" {
				v = nil
			}
			if err := put(v); err != nil {
				b.Fatal(err)
			}
		}
		arrays[c] = builder.NewArray()
		builder.Release()
	}
	return columns, newRecord(connectors.Schema(columns), arrays, n)
}

// benchmark reports rows per second on one core.
func benchmark(b *testing.B, config string) {
	columns, batch := benchBatch(b)
	defer batch.Release()
	plan, err := Compile(context.Background(), mustParse(b, config), columns, Options{Now: testNow})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = plan.Close() }()
	b.ReportAllocs()
	b.ResetTimer()
	rows := int64(0)
	for b.Loop() {
		r, err := plan.Run(context.Background(), batch)
		if err != nil {
			b.Fatal(err)
		}
		if len(r.Failed) > 0 {
			b.Fatal(r.Failed[0])
		}
		rows += batch.NumRows()
		if r.Batch != nil {
			r.Batch.Release()
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkRename(b *testing.B) {
	benchmark(b, `[{"type":"rename","config":{"mapping":{"id":"order_id","email":"mail"}}}]`)
}

func BenchmarkComputeAndFilter(b *testing.B) {
	benchmark(b, `[{"type":"compute","config":{"expression":"total = price * qty"}},{"type":"filter","config":{"condition":"total > 100 and status != 'open'"}}]`)
}

// BenchmarkComputeAndFilterByTheMachine has no kernel anywhere.
func BenchmarkComputeAndFilterByTheMachine(b *testing.B) {
	benchmark(b, `[{"type":"compute","config":{"expression":"month = day.year * 100 + day.month"}},{"type":"filter","config":{"condition":"email.split('@')[1] == 'example.org' and price / 3 > 10"}}]`)
}

func BenchmarkComputeTexts(b *testing.B) {
	benchmark(b, `[{"type":"compute","config":{"expression":"label = status.strip().lower() + ':' + str(qty)"}}]`)
}

func BenchmarkFiveColumnarSteps(b *testing.B) {
	benchmark(b, fiveSteps)
}

const fiveSteps = `[{"type":"rename","config":{"mapping":{"email":"mail"}}},{"type":"type_cast","config":{"columns":{"qty":"int64","customer":"str"}}},
	{"type":"map_values","config":{"column":"status","mapping":{"paid":"P","open":"O"},"default":"X"}},{"type":"concat_fields","config":{"fields":["first","last"],"target":"name","drop_source":true}},
	{"type":"compute","config":{"expression":"total = price * qty"}}]`

func BenchmarkMaskHash(b *testing.B) {
	benchmark(b, `[{"type":"mask","config":{"columns":["email"],"method":"hash","salt":"x"}}]`)
}

func BenchmarkParseJSON(b *testing.B) {
	benchmark(b, `[{"type":"parse_json","config":{"column":"doc","path":"geo.lat","type":"float"}}]`)
}

func BenchmarkFlatten(b *testing.B) {
	benchmark(b, `[{"type":"flatten","config":{"column":"doc","columns":{"city":"str","zip":"int"}}}]`)
}

func BenchmarkCastTexts(b *testing.B) {
	benchmark(b, `[{"type":"type_cast","config":{"columns":{"qty":"str"}}},{"type":"type_cast","config":{"columns":{"qty":"int"}}}]`)
}
