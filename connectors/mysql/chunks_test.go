package mysql

import (
	"fmt"
	"strings"
	"testing"

	"arus/connectors"
)

// TestChunksFollowTheColumnsOwnOrder divides tables with keys whose order is not that of their bytes, into the smallest
// stretches, and wants every row once and the key's index used.
func TestChunksFollowTheColumnsOwnOrder(t *testing.T) {
	t.Parallel()
	texts := []string{
		"", " ", "a", "A", "a ", "A  ", "a\t", "\t", "ä", "Ä", "ae", "AE", "æ", "b", "B", "ß", "ss", "sS", "é", "e", "É", "E ", "ё", "Ё", "е", "ж", "Ж",
		"z", "Z", "%", "_", "'", `\`, `\'`, "~", "¥", "‾", "日本", "語", "能", "€", "Œ", "ﾊ", "ハ", "は", "😀", "😁", "Ⅷ", "①", "㈱", "∵", "≒", "∪", "¬", "纊", "a\u0000", "a\u0301",
	}
	var values []string
	for _, s := range texts {
		values = append(values, "(CONVERT("+boundText(s)+" USING utf8mb4))")
	}
	list := strings.Join(values, ",")
	f := newFixture(t)
	s := f.source()
	text := func(kind, charset, collation string) string {
		return fmt.Sprintf("k %s CHARACTER SET %s COLLATE %s NOT NULL", kind, charset, collation)
	}
	numbers := "SELECT seq FROM seq_1_to_60"
	for i, test := range []struct {
		column, from string
		divided      bool
	}{
		{text("varchar(10)", "utf8mb4", "utf8mb4_general_ci"), "", true},
		{text("varchar(10)", "utf8mb4", "utf8mb4_general_nopad_ci"), "", true},
		{text("varchar(10)", "utf8mb4", "utf8mb4_unicode_ci"), "", true},
		{text("varchar(10)", "utf8mb4", "utf8mb4_unicode_520_nopad_ci"), "", true},
		{text("varchar(10)", "utf8mb4", "utf8mb4_uca1400_ai_ci"), "", true},
		{text("varchar(10)", "utf8mb4", "utf8mb4_uca1400_as_cs"), "", true},
		{text("varchar(10)", "utf8mb4", "utf8mb4_bin"), "", true},
		{text("varchar(10)", "utf8mb4", "utf8mb4_nopad_bin"), "", true},
		{text("varchar(10)", "utf8mb4", "utf8mb4_german2_ci"), "", true},
		{text("varchar(10)", "utf8mb3", "utf8mb3_general_ci"), "", true},
		{text("varchar(10)", "latin1", "latin1_swedish_ci"), "", true},
		{text("varchar(10)", "latin1", "latin1_german2_ci"), "", true},
		{text("char(10)", "latin1", "latin1_bin"), "", true},
		{text("char(10)", "utf8mb4", "utf8mb4_general_ci"), "", true},
		{text("varchar(10)", "cp1251", "cp1251_general_ci"), "", true},
		{text("varchar(10)", "koi8r", "koi8r_general_ci"), "", true},
		{text("varchar(10)", "sjis", "sjis_japanese_ci"), "", true},
		{text("varchar(10)", "cp932", "cp932_japanese_ci"), "", true},
		{text("varchar(10)", "gbk", "gbk_chinese_ci"), "", true},
		{text("varchar(10)", "big5", "big5_chinese_ci"), "", true},
		{text("varchar(10)", "ucs2", "ucs2_unicode_ci"), "", true},
		{text("varchar(10)", "utf16le", "utf16le_general_ci"), "", true},
		{text("varchar(10)", "ascii", "ascii_general_ci"), "", true},
		{"k varbinary(20) NOT NULL", "", true},
		{"k binary(20) NOT NULL", "", true},
		{"k uuid NOT NULL", "SELECT CAST(INSERT(INSERT(MD5(seq), 13, 1, seq % 8), 17, 1, '8') AS UUID) FROM seq_1_to_60", true},
		{"k enum('b','a','c') NOT NULL", "SELECT 'a' UNION SELECT 'b' UNION SELECT 'c'", false},
		{"k year NOT NULL", numbers, false},
		{"k bit(12) NOT NULL", numbers, false},
		{"k double NOT NULL", numbers, false},
		{"k decimal(30,10) NOT NULL", "SELECT (CAST(seq AS SIGNED) - 30) / 7 FROM seq_1_to_60", true},
		{"k bigint unsigned NOT NULL", "SELECT 18446744073709551615 - seq FROM seq_1_to_60", true},
		{"k int(6) unsigned zerofill NOT NULL", numbers, true},
		{"k date NOT NULL", "SELECT DATE'0001-01-01' + INTERVAL seq MONTH FROM seq_1_to_60", true},
		{"k datetime(6) NOT NULL", "SELECT TIMESTAMP'2026-01-01 00:00:00' + INTERVAL seq MICROSECOND FROM seq_1_to_60", true},
		{"k datetime NOT NULL", "SELECT TIMESTAMP'2026-01-01 00:00:00' + INTERVAL seq SECOND FROM seq_1_to_60", true},
		{"k timestamp NOT NULL", "SELECT TIMESTAMP'2026-03-29 00:30:00' + INTERVAL seq MINUTE FROM seq_1_to_60", true},
		{"k time(3) NOT NULL", "SELECT SEC_TO_TIME((CAST(seq AS SIGNED) - 30) * 90000.5) FROM seq_1_to_60", true},
	} {
		name := fmt.Sprintf("t%d", i)
		from := test.from
		if from == "" {
			from = "VALUES " + list
		}
		f.exec("CREATE TABLE "+name+" ("+test.column+", PRIMARY KEY (k), pad varchar(200))",
			"INSERT IGNORE INTO "+name+" (k) "+from,
			// What the character set lacks came as a question mark.
			"CREATE TABLE two_"+name+" (a smallint NOT NULL, "+test.column+", n int NOT NULL, PRIMARY KEY (a, k, n))",
			"INSERT INTO two_"+name+" SELECT x.seq, k, y.seq FROM "+name+", seq_1_to_3 x, seq_1_to_2 y",
			"ANALYZE TABLE "+name+", two_"+name)
		f.divides(s, name, []string{"k"}, []int64{1, 2, 5}, test.divided, test.column)
		f.divides(s, "two_"+name, []string{"a", "k", "n"}, []int64{5, 40}, test.divided, test.column)
	}
}

func boundText(s string) string {
	v, err := boundLiteral(connectors.Text, connectors.Bound{Text: s})
	if err != nil {
		panic(err)
	}
	return v
}

func (f *fixture) divides(s connectors.Source, name string, key []string, sizes []int64, divided bool, what string) {
	f.t.Helper()
	table := f.table(s, name)
	all := f.read(s, connectors.ReadRequest{Table: table, Columns: table.Columns})
	for _, size := range sizes {
		ranges, err := s.(connectors.Chunker).Chunks(f.t.Context(), table, key, size)
		if err != nil {
			f.t.Errorf("%s: %v", what, err)
			return
		}
		if n := int64(len(all)); divided && int64(len(ranges)) < n/size/2 || !divided && len(ranges) > 1 {
			f.t.Errorf("%s: %d rows are divided into %d stretches of about %d", what, len(all), len(ranges), size)
		}
		seen := map[string]int{}
		for _, r := range ranges {
			for _, row := range f.read(s, connectors.ReadRequest{Table: table, Columns: table.Columns, Range: &r}) {
				seen[row]++
			}
		}
		for _, row := range all {
			if seen[row] != 1 {
				f.t.Errorf("%s: in stretches of %d, the row %s is read %d times", what, size, row, seen[row])
			}
		}
		if len(ranges) > 4 {
			f.usesIndex(s, table, ranges[len(ranges)/2], what)
		}
	}
}

// usesIndex wants the stretch to be read from the primary key.
func (f *fixture) usesIndex(s connectors.Source, table connectors.Table, k connectors.KeyRange, what string) {
	f.t.Helper()
	ctx := f.t.Context()
	err := s.(*source).with(ctx, func(ss *session) error {
		r := reading{ss: ss, table: table.TableRef}
		if err := r.look(ctx, table.Columns); err != nil {
			return err
		}
		statement, err := r.statement(connectors.ReadRequest{Table: table, Columns: table.Columns, Range: &k})
		if err != nil {
			return err
		}
		row, err := ss.queryRow(ctx, "EXPLAIN "+strings.Replace(statement, " FROM "+qualified(table.TableRef), " FROM "+qualified(table.TableRef)+" FORCE INDEX (PRIMARY)", 1))
		if err == nil && row[3].String != "range" {
			f.t.Errorf("%s: the stretch is read by %q over the key %q: %s", what, row[3].String, row[5].String, statement)
		}
		return err
	})
	if err != nil {
		f.t.Errorf("%s: %v", what, err)
	}
}
