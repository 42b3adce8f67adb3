package segment

import (
	"bytes"
	"hash/maphash"
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/plain"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// encoder is the room in which pages are encoded. One goroutine uses it at a time.
type encoder struct {
	zstd   *zstd.Encoder
	raw    []byte
	packed []byte
	levels []byte
	ends   []uint32
	head   bytes.Buffer
	thrift *thrift.Encoder

	level  rle.Encoding
	index  rle.DictionaryEncoding
	packs  delta.BinaryPackedEncoding
	length delta.LengthByteArrayEncoding
	plain  plain.Encoding
}

// windowBytes is as far back as compression looks: what it looks through stays in memory. Only dictionaries and long values
// are longer than the one block in which a page is compressed.
const windowBytes = 2 * dictBytes

func newEncoder() (*encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowBytes),
		zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
	e := &encoder{zstd: z, level: rle.Encoding{BitWidth: 1}}
	e.thrift = thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&e.head))
	return e, err
}

// keep lets go of room that long values took.
func (e *encoder) keep() {
	if cap(e.raw) > 8*pageBytes {
		e.raw = nil
	}
	if cap(e.packed) > 8*pageBytes {
		e.packed = nil
	}
}

const (
	// tryAgain is how many pages of a column are stored as they are after one that
	// compression left nearly as it was.
	tryAgain = 15
)

// page ends the open page.
func (l *leaf) page(e *encoder) error {
	if l.rows == 0 {
		return nil
	}
	if l.coding != dictionaries {
		l.see()
	}
	if err := l.values(e); err != nil {
		return err
	}
	if len(l.levels) > 0 {
		var err error
		if e.levels, err = e.level.EncodeLevels(e.levels, l.levels); err != nil {
			return err
		}
	} else {
		e.levels = append(appendUvarint(e.levels[:0], uint64(l.rows)<<1), 1)
	}
	body, compressed := e.raw, false
	if l.stored > 0 {
		l.stored--
	} else if len(e.raw) > 0 {
		e.packed = e.zstd.EncodeAll(e.raw, e.packed[:0])
		if len(e.packed) < len(e.raw)*9/10 {
			body, compressed = e.packed, true
		} else if len(e.raw) > 1<<10 {
			l.stored = tryAgain
		}
	}
	header := format.PageHeader{
		Type: format.DataPageV2, UncompressedPageSize: int32(len(e.levels) + len(e.raw)), CompressedPageSize: int32(len(e.levels) + len(body)),
		DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{
			NumValues: int32(l.rows), NumNulls: int32(l.nulls), NumRows: int32(l.rows), Encoding: l.encoding(), DefinitionLevelsByteLength: int32(len(e.levels)),
			IsCompressed: thrift.New(compressed),
		}),
	}
	e.head.Reset()
	if err := e.thrift.Encode(&header); err != nil {
		return err
	}
	begin := len(l.pages)
	l.pages = append(append(append(l.pages, e.head.Bytes()...), e.levels...), body...)
	l.locations = append(l.locations, format.PageLocation{Offset: int64(begin), CompressedPageSize: int32(len(l.pages) - begin), FirstRowIndex: l.done})
	l.raw += int64(e.head.Len() + len(e.levels) + len(e.raw))
	l.done += int64(l.rows)
	l.nullCount += int64(l.nulls)
	l.used[l.coding]++
	l.empty()
	e.keep()
	return nil
}

func appendUvarint(dst []byte, v uint64) []byte {
	for ; v >= 0x80; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v))
}

// encoding is how the open page is encoded.
func (l *leaf) encoding() format.Encoding { return l.encodingOf(l.coding) }

func (l *leaf) encodingOf(c coding) format.Encoding {
	switch {
	case c == dictionaries:
		return format.RLEDictionary
	case c == deltas && l.form == texts:
		return format.DeltaLengthByteArray
	case c == deltas:
		return format.DeltaBinaryPacked
	}
	return format.Plain
}

// values encodes the open page's values.
func (l *leaf) values(e *encoder) (err error) {
	switch {
	case l.coding == dictionaries:
		e.raw, err = e.index.EncodeInt32(e.raw, l.index)
	case l.coding == deltas && l.form == words32:
		e.raw, err = e.packs.EncodeInt32(e.raw, l.w32)
	case l.coding == deltas && l.form == words64:
		e.raw, err = e.packs.EncodeInt64(e.raw, l.w64)
	case l.coding == deltas:
		e.raw, err = e.length.EncodeByteArray(e.raw, l.data, l.ends)
	case l.form == words32:
		e.raw = append(e.raw[:0], arrow.Int32Traits.CastToBytes(l.w32)...)
	case l.form == words64:
		e.raw = append(e.raw[:0], arrow.Int64Traits.CastToBytes(l.w64)...)
	case l.form == texts:
		e.raw, err = e.plain.EncodeByteArray(e.raw, l.data, l.ends)
	case l.form == flags:
		e.raw = e.raw[:0]
		for i, b := range l.data {
			if i%8 == 0 {
				e.raw = append(e.raw, 0)
			}
			e.raw[i/8] |= b << (i % 8)
		}
	default:
		e.raw = append(e.raw[:0], l.data...)
	}
	return err
}

// finish ends the row group: its last page and its dictionary's.
func (l *leaf) finish(e *encoder) error {
	if err := l.page(e); err != nil || l.used[dictionaries] == 0 {
		return err
	}
	l.seeDictionary()
	var err error
	switch l.form {
	case words32, words64:
		e.raw = l.little(e.raw[:0], l.dict.words)
	case texts:
		e.ends = l.dict.offsets(e.ends[:0])
		e.raw, err = e.plain.EncodeByteArray(e.raw, l.dict.data, e.ends)
	default:
		e.raw = append(e.raw[:0], l.dict.data...)
	}
	if err != nil {
		return err
	}
	e.packed = e.zstd.EncodeAll(e.raw, e.packed[:0])
	header := format.PageHeader{
		Type: format.DictionaryPage, UncompressedPageSize: int32(len(e.raw)), CompressedPageSize: int32(len(e.packed)),
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(l.dict.len()), Encoding: format.Plain}),
	}
	e.head.Reset()
	if err := e.thrift.Encode(&header); err != nil {
		return err
	}
	l.first = append(append(l.first[:0], e.head.Bytes()...), e.packed...)
	l.raw += int64(e.head.Len() + len(e.raw))
	e.keep()
	return nil
}

// meta describes the column's part of a row group that is finished.
func (l *leaf) meta() format.ColumnMetaData {
	m := format.ColumnMetaData{
		Type: l.element.Type.V, PathInSchema: []string{l.element.Name}, Codec: format.Zstd, NumValues: l.done,
		TotalUncompressedSize: l.raw, TotalCompressedSize: int64(len(l.first) + len(l.pages)),
		Encoding: []format.Encoding{format.RLE},
	}
	m.Statistics.NullCount = l.nullCount
	m.Statistics.MinValue, m.Statistics.MaxValue = l.plain()
	if len(l.first) > 0 {
		m.Encoding = append(m.Encoding, format.Plain)
		m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{PageType: format.DictionaryPage, Encoding: format.Plain, Count: 1})
	}
	for c, n := range l.used {
		if n > 0 {
			enc := l.encodingOf(coding(c))
			m.Encoding = append(m.Encoding, enc)
			m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{PageType: format.DataPageV2, Encoding: enc, Count: n})
		}
	}
	return m
}

const sampleRows = 8192

// choose picks how the column is encoded, by the first rows: what takes the least
// room. A dictionary wins where it is close: it is read the fastest.
func (l *leaf) choose(arr arrow.Array, order []int32) error {
	length := lengths(arr)
	for i := 0; l.form == texts && i < arr.Len() && !l.long; i++ {
		l.long = length(i) >= longValue
	}
	l.begin = l.alone()
	switch {
	case l.form == flags:
		l.begin = plainly
	case l.column.Sort && !l.long:
		l.begin = dictionaries
	case !l.long:
		rows := arr.Len()
		if order != nil {
			rows = len(order)
		}
		l.coding = plainly
		n := min(rows, sampleRows)
		if l.form == texts {
			n = l.fitting(arr, order, 0, n)
		}
		if err := l.take(arr, order, 0, n); err != nil {
			return err
		}
		if l.dictionaryPays() {
			l.begin = dictionaries
		}
	}
	l.reset()
	return nil
}

// dictionaryPays judges by the values of the open page, which it does not write.
func (l *leaf) dictionaryPays() bool {
	var n, size, other int // values, their bytes, and bits of all of them without a dictionary
	seen := map[uint64]struct{}{}
	switch l.form {
	case words32:
		n, size = len(l.w32), 4*len(l.w32)
		for _, v := range l.w32 {
			seen[uint64(uint32(v))] = struct{}{}
		}
		other = deltaBits(l.w32)
	case words64:
		n, size = len(l.w64), 8*len(l.w64)
		for _, v := range l.w64 {
			seen[uint64(v)] = struct{}{}
		}
		other = deltaBits(l.w64)
	case texts:
		seed := maphash.MakeSeed()
		n, size = len(l.ends)-1, len(l.data)+4*len(l.ends)
		for i, end := range l.ends[1:] {
			seen[maphash.Bytes(seed, l.data[l.ends[i]:end])] = struct{}{}
		}
		other = 8 * size / 2 // of what compression leaves
	default:
		seed := maphash.MakeSeed()
		n, size = len(l.data)/l.width, len(l.data)
		for i := 0; i < len(l.data); i += l.width {
			seen[maphash.Bytes(seed, l.data[i:i+l.width])] = struct{}{}
		}
		other = 8 * size
	}
	if l.kind == parquet.Float || l.kind == parquet.Double {
		other = 8 * size * 2 / 3
	}
	if n == 0 {
		return true
	}
	// How many distinct values there are in a row group, if they are drawn at random
	// from so many that the sample has what it has.
	d, m, group := float64(len(seen)), float64(n), float64(GroupRows)
	all := d
	for range 30 {
		all = min(d/(1-math.Exp(-m/all)), 1e9)
	}
	expected := max(1, all*(1-math.Exp(-group/all)))
	width := float64(size) / m
	cost := float64(bits.Len(uint(expected))) + 8*width*expected/group
	return expected*width < dictBytes*0.9 && cost < float64(other)/m
}

// deltaBits estimates how many bits words take by their differences.
func deltaBits[T int32 | int64](words []T) int {
	total := 0
	for at := 0; at < len(words); at += 128 {
		block := words[at:min(len(words), at+128)]
		if len(block) < 2 {
			total += 64
			continue
		}
		low, top := block[1]-block[0], block[1]-block[0]
		for i := 1; i < len(block); i++ {
			d := block[i] - block[i-1]
			low, top = min(low, d), max(top, d)
		}
		total += len(block)*bits.Len64(uint64(int64(top)-int64(low))) + 24
	}
	return total
}
