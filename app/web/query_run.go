package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"arus/app/api"
	"arus/app/control"
	"arus/connectors"
	"arus/connectors/warehouse"
	"arus/views/pages"
)

// queryRun answers a statement: the answer alone to htmx, else the whole page.
// When the browser goes away, or gives the request up, the query ends.
func queryRun(v *visit) error {
	sql := strings.ReplaceAll(v.r.PostForm.Get("sql"), "\r\n", "\n")
	size, _ := strconv.Atoi(v.value("size"))
	if size < 1 || size > 1000 {
		size = 100
	}
	at, _ := strconv.Atoi(v.value("page"))
	result := pages.QueryResultView{SQL: sql, Page: min(max(1, at), 100_000), Size: size}
	asked := sql
	if v.value("do") == "explain" {
		result.Explained = true
		if word := strings.ToUpper(strings.TrimSpace(sql)); !strings.HasPrefix(word, "EXPLAIN") {
			asked = "EXPLAIN " + sql
		}
	}
	answer, err := v.Control.AskWarehouse(v.ctx, asked, control.Page{Limit: size, Offset: (result.Page - 1) * size})
	result.Took = answer.Took
	status := http.StatusOK
	if err != nil {
		if status = v.queryStatus(err); status == http.StatusInternalServerError {
			return err
		}
		v.queryFault(&result, asked, len(asked)-len(sql), err)
	}
	result.Result = pages.ResultView{Columns: answer.Columns, Rows: answer.Rows.Rows}
	result.More = answer.Truncated
	if result.Explained {
		result.Result = pages.ResultView{}
		if err == nil {
			result.Reads = explainLines(answer)
		}
		result.Result.Columns, result.Result.Rows = explainText(answer)
	} else {
		for _, r := range answer.Reads {
			result.Reads = append(result.Reads, readLine(r))
		}
	}
	if v.partial() {
		return v.fragment(pages.QueryResult(result)) // also with its error: to htmx another status is a fault of the page
	}
	return v.queryPage(status, pages.QueryView{SQL: sql, Size: size, Result: &result})
}

// queryStatus is the status of an answer that did not come.
func (v *visit) queryStatus(err error) int {
	status, _ := api.Status(err)
	return status
}

// queryFault says what is wrong with a statement, and where. before is how much
// was put in front of it.
func (v *visit) queryFault(r *pages.QueryResultView, asked string, before int, err error) {
	f := queryFailed(err)
	f.Details = fmt.Sprintf("Arus %s\n%s\n\n%s", v.Version, f.Message, r.SQL)
	r.Failure = &f
	if connectors.KindOf(err) != connectors.KindInvalid && connectors.KindOf(err) != connectors.KindNotFound {
		return
	}
	at, ok := warehouse.ErrorPosition(v.ctx, asked, err)
	if at -= before; !ok || at < 0 || at > len(r.SQL) {
		return
	}
	head := r.SQL[:at]
	r.Line = strings.Count(head, "\n") + 1
	begin := strings.LastIndexByte(head, '\n') + 1
	line, _, _ := strings.Cut(r.SQL[begin:], "\n")
	r.Column = utf8.RuneCountInString(r.SQL[begin:at]) + 1
	r.Offset = utf16Len(head)
	const around = 60
	runes := []rune(line)
	from := max(0, r.Column-1-around)
	r.Excerpt = string(runes[from:min(len(runes), from+2*around)])
	r.Marker = strings.Repeat(" ", r.Column-1-from) + "^"
}

// utf16Len is the length of a text as browsers count it.
func utf16Len(s string) int {
	n := 0
	for _, c := range s {
		if n++; c > 0xFFFF {
			n++
		}
	}
	return n
}

func readLine(r *warehouse.Read) pages.ReadLine {
	return pages.ReadLine{
		Table: r.Table, Path: r.Path, FilesRead: r.FilesRead, Files: r.Files, DaysRead: r.DaysRead, Days: r.Days, GroupsRead: r.GroupsRead, Groups: r.Groups,
		RowsRead: r.RowsRead, Rows: r.Rows, LiveRead: r.LiveRead, Columns: strings.Join(r.Columns, ", "), Sorted: strings.Join(r.Sorted, ", "),
	}
}

// explainLines are the rows of EXPLAIN, see warehouse.report.
func explainLines(a control.Answer) []pages.ReadLine {
	lines := make([]pages.ReadLine, 0, len(a.Rows.Rows))
	for _, row := range a.Rows.Rows {
		text := func(name string) string {
			for i, c := range a.Columns {
				if c == name {
					s, _ := row[i].(string)
					return s
				}
			}
			return ""
		}
		number := func(name string) int64 {
			for i, c := range a.Columns {
				if c == name {
					n, _ := row[i].(int64)
					return n
				}
			}
			return 0
		}
		lines = append(lines, pages.ReadLine{
			Table: text("table"), Path: text("path"), FilesRead: number("files_read"), Files: number("files"), DaysRead: number("days_read"), Days: number("days"),
			GroupsRead: number("row_groups_read"), Groups: number("row_groups"), RowsRead: number("rows_read"), Rows: number("rows"), LiveRead: number("live_rows_read"),
			Columns: strings.ReplaceAll(text("columns"), " ", ", "), Sorted: text("found_by_order"),
		})
	}
	return lines
}

// explainText is EXPLAIN's line for people of every table.
func explainText(a control.Answer) (columns []string, rows [][]any) {
	for _, row := range a.Rows.Rows {
		for i, c := range a.Columns {
			if c == "text" {
				rows = append(rows, []any{row[i]})
			}
		}
	}
	return []string{"Plan"}, rows
}
