package sample

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Instants are microseconds since 1970 in UTC.
const (
	second = int64(1_000_000)
	hour   = 3600 * second
	day    = 24 * hour
)

// The initial data was made between these two; round n happens n days later.
var (
	firstStamp = time.Date(2023, 1, 2, 8, 0, 0, 0, time.UTC).UnixMicro()
	lastStamp  = time.Date(2026, 3, 31, 18, 30, 15, 123456_000, time.UTC).UnixMicro()
)

var (
	customerColumns = []string{
		"id", "email", "name", "country", "phone", "birth_date", "newsletter",
		"credit_limit", "preferences", "created_at", "updated_at", "deleted_at",
	}
	productColumns = []string{
		"id", "sku", "name", "description", "price", "weight_kg", "active",
		"released_on", "attributes", "thumbnail", "created_at", "updated_at", "deleted_at",
	}
	orderColumns = []string{
		"id", "customer_id", "status", "total", "currency", "gift", "note",
		"shipping", "ordered_on", "created_at", "updated_at", "deleted_at",
	}
	itemColumns = []string{
		"order_id", "line_no", "product_id", "quantity", "unit_price", "discount",
		"created_at", "updated_at",
	}
	eventColumns = []string{"id", "customer_id", "kind", "payload", "created_at"}
)

// generator makes rows; equal generators make equal rows.
type generator struct {
	rng    *rand.Rand
	prices []int64 // in cents, by product id - 1
	buf    []byte
}

func newGenerator(round int) *generator {
	return &generator{rng: rand.New(rand.NewPCG(seed, uint64(round)))} //nolint:gosec // the same shop every time is what is wanted
}

// spread gives the i-th of n rows its place in time: ascending, never equal.
func spread(rng *rand.Rand, i, n int) int64 {
	step := (lastStamp - firstStamp) / int64(n)
	return firstStamp + int64(i)*step + rng.Int64N(step)
}

// one in n says yes.
func (g *generator) one(n int) bool { return g.rng.IntN(n) == 0 }

func pick[T any](g *generator, from []T) T { return from[g.rng.IntN(len(from))] }

// stamp spells an instant, always with six fractional digits.
func (g *generator) stamp(us int64) string {
	g.buf = time.UnixMicro(us).UTC().AppendFormat(g.buf[:0], "2006-01-02 15:04:05.000000")
	return string(g.buf)
}

func (g *generator) date(us int64) string {
	g.buf = time.UnixMicro(us).UTC().AppendFormat(g.buf[:0], time.DateOnly)
	return string(g.buf)
}

// money is the number whose shortest spelling has at most the two decimals of cents.
func money(cents int64) float64 { return float64(cents) / 100 }

// or gives v, or NULL once in n times.
func (g *generator) or(n int, v any) any {
	if g.one(n) {
		return nil
	}
	return v
}

// deleted soft-deletes one row in a hundred at its last change.
func (g *generator) deleted(updated int64) any {
	if updated < lastStamp && g.one(100) {
		return g.stamp(updated)
	}
	return nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (g *generator) customer(id int, created, updated int64) []any {
	p := pick(g, people)
	name := pick(g, p.given) + p.join + pick(g, p.family)
	if g.one(40) {
		name += " " + pick(g, emoji)
	}
	born := firstStamp - int64(18*365+g.rng.IntN(60*365))*day
	return []any{
		id, "customer" + strconv.Itoa(id) + "@example." + pick(g, topLevels), name, p.country,
		g.or(4, p.prefix+strconv.Itoa(10_000_000+g.rng.IntN(90_000_000))),
		g.or(5, g.date(born)), flag(g.one(3)),
		g.or(3, money(int64(g.rng.IntN(1_000_000)))),
		g.or(6, g.preferences(p.language)),
		g.stamp(created), g.stamp(updated), g.deleted(updated),
	}
}

func (g *generator) preferences(language string) string {
	b := append(g.buf[:0], `{"language":"`...)
	b = append(b, language...)
	b = append(b, `","theme":"`...)
	b = append(b, pick(g, themes)...)
	b = append(b, `","tags":[`...)
	for i := range g.rng.IntN(3) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, pick(g, tags)...)
		b = append(b, '"')
	}
	b = append(b, `],"ratio":`...)
	b = strconv.AppendFloat(b, float64(g.rng.IntN(1000))/1000, 'f', -1, 64)
	g.buf = append(b, `,"referrer":null}`...)
	return string(g.buf)
}

func (g *generator) product(id int, created, updated int64) (row []any, cents int64) {
	cents = int64(99 + g.rng.IntN(50_000))
	switch {
	case g.one(5):
		cents -= cents % 100 // whole amounts too
	case g.one(500):
		cents += 99_999_000_00 // and very large ones
	}
	name := pick(g, adjectives) + " " + pick(g, nouns)
	if g.one(8) {
		name += " " + pick(g, emoji)
	}
	var thumbnail any
	if g.one(3) {
		thumbnail = g.image()
	}
	return []any{
		id, "SKU-" + strconv.Itoa(100_000+id), name, g.or(20, g.description()), money(cents),
		g.or(6, float64(1+g.rng.IntN(40_000))/1000), flag(!g.one(10)),
		g.or(9, g.date(created-int64(g.rng.IntN(3000))*day)),
		`{"colour":"` + pick(g, colours) + `","size":` + strconv.Itoa(30+g.rng.IntN(20)) + `,"in":{"stock":` + strconv.FormatBool(!g.one(4)) + `}}`,
		thumbnail, g.stamp(created), g.stamp(updated), g.deleted(updated),
	}, cents
}

// description is a few sentences, now and then a very long text.
func (g *generator) description() string {
	sentences := 1 + g.rng.IntN(4)
	if g.one(200) {
		sentences = 150
	}
	var b strings.Builder
	for i := range sentences {
		if i > 0 {
			b.WriteByte("  \n"[g.rng.IntN(3)])
		}
		b.WriteString(pick(g, phrases))
	}
	return b.String()
}

// image is the head of a PNG and some bytes of any value.
func (g *generator) image() []byte {
	b := append(make([]byte, 0, 72), "\x89PNG\r\n\x1a\n"...)
	for len(b) < 24+8*g.rng.IntN(7) {
		v := g.rng.Uint64()
		b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24), 0, byte(v>>40), byte(v>>48), 0xff)
	}
	return b
}

// order makes an order with its lines; the total is what they come to.
func (g *generator) order(id, customer, lines int, created, updated int64) (row []any, items [][]any) {
	at, changed := g.stamp(created), g.stamp(updated)
	var total int64
	items = make([][]any, lines)
	for i := range items {
		product := g.rng.IntN(len(g.prices))
		price := g.prices[product]
		quantity := int64(1 + g.rng.IntN(5))
		var discount any
		total += quantity * price
		if g.one(4) {
			off := g.rng.Int64N(min(price, 2000))
			discount = money(off)
			total -= off
		}
		items[i] = []any{id, i + 1, product + 1, quantity, money(price), discount, at, changed}
	}
	var note any
	if g.one(12) {
		note = pick(g, notes)
	}
	return []any{
		id, customer, pick(g, statuses), money(total), pick(g, currencies), flag(g.one(9)), note,
		g.or(8, g.shipping()), at[:len("2006-01-02")], at, changed, g.deleted(updated),
	}, items
}

func (g *generator) shipping() string {
	c := pick(g, cities)
	b := append(g.buf[:0], `{"city":"`...)
	b = append(b, c...)
	b = append(b, `","express":`...)
	b = strconv.AppendBool(b, g.one(5))
	b = append(b, `,"parcels":[{"g":`...)
	b = strconv.AppendInt(b, int64(100+g.rng.IntN(9000)), 10)
	g.buf = append(b, `}]}`...)
	return string(g.buf)
}

// event makes one of a visitor or of one of that many customers.
func (g *generator) event(id, customers int, created int64) []any {
	var customer any
	if !g.one(3) {
		customer = 1 + g.rng.IntN(customers)
	}
	var payload any
	if !g.one(5) {
		payload = `{"path":"/` + pick(g, tags) + `/` + strconv.Itoa(g.rng.IntN(1000)) + `","ms":` + strconv.Itoa(g.rng.IntN(5000)) + `}`
	}
	return []any{id, customer, pick(g, eventKinds), payload, g.stamp(created)}
}
