package app

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// streams compares what is sent, by the body's format and by the Accept header.
func streams(t *testing.T, p *program) {
	t.Helper()
	const sql = "SELECT id, s, f, b FROM t ORDER BY id"
	for _, c := range []struct{ format, content, text string }{
		{"ndjson", "application/x-ndjson", `{"id":1,"s":"a,\"b\"","f":1.5,"b":"AP8="}` + "\n" + `{"id":3,"s":"x","f":null,"b":null}` + "\n" + `{"id":9007199254740993,"s":null,"f":null,"b":null}` + "\n"},
		{"csv", "text/csv; charset=utf-8", "id,s,f,b\n1,\"a,\"\"b\"\"\",1.5,AP8=\n3,x,,\n9007199254740993,,,\n"},
		{"arrow", "application/vnd.apache.arrow.stream", ""},
	} {
		for _, accept := range []string{"", c.content} {
			format := c.format
			if accept != "" {
				format = ""
			}
			res, err := p.ask(t.Context(), sql, format, accept)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != c.content {
				t.Errorf("%s: %d %s %v", c.format, res.StatusCode, res.Header.Get("Content-Type"), err)
			}
			if c.text == "" {
				arrowRows(t, text)
			} else if string(text) != c.text {
				t.Errorf("%s:\n%s\nwant\n%s", c.format, text, c.text)
			}
		}
	}
	if res, err := p.ask(t.Context(), sql, "xml", ""); err != nil || res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a format that is none: %+v %v", res, err)
	} else {
		_ = res.Body.Close()
	}
}

// arrowRows looks at a stream of Arrow batches: names, types, values and nulls.
func arrowRows(t *testing.T, stream []byte) {
	t.Helper()
	r, err := ipc.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	for i, want := range []struct {
		name string
		id   arrow.Type
	}{{"id", arrow.INT64}, {"s", arrow.STRING}, {"f", arrow.FLOAT64}, {"b", arrow.BINARY}} {
		if f := r.Schema().Field(i); f.Name != want.name || f.Type.ID() != want.id {
			t.Errorf("column %d is %s", i, f)
		}
	}
	rows := 0
	for r.Next() {
		batch := r.RecordBatch()
		if rows == 0 {
			ids, texts := batch.Column(0).(*array.Int64), batch.Column(1).(*array.String)
			if ids.Value(0) != 1 || ids.Value(2) != 9007199254740993 || texts.Value(0) != `a,"b"` || !texts.IsNull(2) || !bytes.Equal(batch.Column(3).(*array.Binary).Value(0), []byte{0, 255}) {
				t.Errorf("the batch is %v", batch)
			}
		}
		rows += int(batch.NumRows())
	}
	if rows != 3 || r.Err() != nil {
		t.Errorf("%d rows, %v", rows, r.Err())
	}
}
