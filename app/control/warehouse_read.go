package control

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/store"
	"arus/connectors"
	"arus/connectors/warehouse"
	"arus/connectors/warehouse/schema"
)

// DescribeTable says what there is of a table of the warehouse, its rows aside.
func (s *Service) DescribeTable(ctx context.Context, table string) (warehouse.Description, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return warehouse.Description{}, err
	}
	if !s.hasTables() {
		return warehouse.Description{}, &schema.Error{Class: schema.NotFound, Message: schema.MsgTableMissing}
	}
	tables, err := s.tables()
	if err != nil {
		return warehouse.Description{}, err
	}
	return tables.Describe(ctx, table)
}

// ListTableJobs gives one page of what the jobs of a table did, the newest first,
// and how many lines there are.
func (s *Service) ListTableJobs(ctx context.Context, table string, page Page) ([]model.TableJob, int, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, 0, err
	}
	return s.Store.ListTableJobs(ctx, table, page)
}

// LastTableJobs gives the last job of each table.
func (s *Service) LastTableJobs(ctx context.Context) (map[string]model.TableJob, error) {
	if err := s.may(ctx, auth.Read); err != nil {
		return nil, err
	}
	return s.Store.LastTableJobs(ctx)
}

// TableUses says what would miss a table of the warehouse: the pipelines that
// load it, and the views that name it.
type TableUses struct {
	Pipelines []model.Pipeline
	Views     []string
}

// UsesOfTable finds what needs a table of the warehouse.
func (s *Service) UsesOfTable(ctx context.Context, table string) (TableUses, error) {
	var uses TableUses
	views, err := s.WarehouseViews(ctx)
	if err != nil {
		return uses, err
	}
	word := regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(table) + `\b`)
	for _, v := range views {
		if word.MatchString(v.SQL) {
			uses.Views = append(uses.Views, v.Name)
		}
	}
	destinations, err := all(func(p store.Page) ([]model.Destination, int, error) { return s.Store.ListDestinations(ctx, p) })
	if err != nil {
		return uses, err
	}
	here := map[string]model.Destination{}
	for _, d := range destinations {
		if d.Type == model.DestinationEmbedded && (d.Database == "" || realPath(d.Database) == realPath(WarehouseDir(s.Store.Dir()))) {
			here[d.ID] = d
		}
	}
	if len(here) == 0 {
		return uses, nil
	}
	pipelines, err := all(func(p store.Page) ([]model.Pipeline, int, error) {
		return s.Store.ListPipelines(ctx, store.PipelineFilter{Page: p})
	})
	for _, p := range pipelines {
		dst, ok := here[p.DestinationID]
		if !ok {
			continue
		}
		names := s.names(p, dst)
		if slices.ContainsFunc(p.Tables, func(t model.PipelineTable) bool {
			return names.Target(configuredTable(t), t).Name == table
		}) {
			uses.Pipelines = append(uses.Pipelines, p)
		}
	}
	return uses, err
}

// CompareOps are the comparisons by which rows of a table can be narrowed.
func CompareOps() []string {
	return []string{"=", "<>", "<", "<=", ">", ">=", "contains", "is null", "is not null"}
}

// RowFilter is one comparison of a column with a value.
type RowFilter struct{ Column, Op, Value string }

// BrowseRequest is a page of a table's rows.
type BrowseRequest struct {
	Table  string
	Filter []RowFilter
	Sort   string // a column; empty: as they are read
	Desc   bool
	Page   Page
}

var numberText = regexp.MustCompile(`^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$`)

// literal is a value of a filter as SQL, by the kind of its column.
func literal(kind connectors.Kind, value string) (string, error) {
	switch {
	case kind == connectors.Bool && strings.EqualFold(value, "true"):
		return "1", nil
	case kind == connectors.Bool && strings.EqualFold(value, "false"):
		return "0", nil
	case kind.IsInteger(), kind == connectors.Bool, kind == connectors.Float32, kind == connectors.Float64, kind == connectors.Decimal, kind == connectors.Numeric:
		if !numberText.MatchString(value) {
			return "", fmt.Errorf("must be a number, not %q", value)
		}
		return value, nil
	}
	return connectors.Quote(value, '\''), nil
}

// condition is the filters as what stands after WHERE, "" where there are none.
func condition(t *schema.Table, filters []RowFilter) (string, error) {
	var parts []string
	for i, f := range filters {
		id := t.ColumnID(f.Column)
		if id < 0 {
			return "", fault("the filter", fmt.Sprintf("column%d", i), "there is no column %q", f.Column)
		}
		name := connectors.Quote(f.Column, '"')
		switch f.Op {
		case "is null", "is not null":
			parts = append(parts, name+" "+strings.ToUpper(f.Op))
		case "contains":
			parts = append(parts, "instr(lower(CAST("+name+" AS TEXT)), lower("+connectors.Quote(f.Value, '\'')+")) > 0")
		case "=", "<>", "<", "<=", ">", ">=":
			value, err := literal(t.DataType(id).Read(nil).Kind, f.Value)
			if err != nil {
				return "", fault("the filter", fmt.Sprintf("value%d", i), "%v", err)
			}
			parts = append(parts, name+" "+f.Op+" "+value)
		default:
			return "", fault("the filter", fmt.Sprintf("op%d", i), "must be one of %s", strings.Join(CompareOps(), ", "))
		}
	}
	return strings.Join(parts, "\n  AND "), nil
}

// Browsed is a page of a table's rows, with the query that gives all of them.
type Browsed struct {
	Rows
	Table *schema.Table
	Total int64
	SQL   string
}

// BrowseTable reads a page of the rows of a table of the warehouse.
func (s *Service) BrowseTable(ctx context.Context, r BrowseRequest) (Browsed, error) {
	if err := s.may(ctx, auth.ReadRows); err != nil {
		return Browsed{}, err
	}
	t, _, err := s.warehouseTable(ctx, r.Table)
	if err != nil {
		return Browsed{}, err
	}
	b := Browsed{Table: t}
	var names []string
	for _, c := range t.Columns {
		if !c.Deleted {
			names = append(names, c.Name)
		}
	}
	from := "\nFROM " + connectors.Quote(t.Name, '"')
	where, err := condition(t, r.Filter)
	if err != nil {
		return b, err
	}
	if where != "" {
		from += "\nWHERE " + where
	}
	b.SQL = "SELECT " + connectors.QuoteList(names, '"') + from
	if r.Sort != "" {
		if t.ColumnID(r.Sort) < 0 {
			return b, fault("the list", "sort", "there is no column %q", r.Sort)
		}
		b.SQL += "\nORDER BY " + connectors.Quote(r.Sort, '"')
		if r.Desc {
			b.SQL += " DESC"
		}
	}
	count, err := s.ask(ctx, "SELECT count(*)"+from, Page{Limit: 1})
	if err != nil {
		return b, err
	}
	b.Total, _ = count.Rows.Rows[0][0].(int64)
	answer, err := s.ask(ctx, fmt.Sprintf("%s\nLIMIT %d OFFSET %d", b.SQL, r.Page.Limit, r.Page.Offset), Page{Limit: r.Page.Limit})
	b.Rows = answer.Rows
	return b, err
}

// Answer is a page of the answer to a query, with what was read for it.
type Answer struct {
	Rows
	Reads []*warehouse.Read
	Took  time.Duration
}

// ask answers one SELECT, from the row of the page's offset on.
func (s *Service) ask(ctx context.Context, sql string, page Page) (Answer, error) {
	a := Answer{Rows: Rows{Columns: []string{}, Rows: [][]any{}}}
	if page.Limit <= 0 || page.Limit > maxRows {
		page.Limit = maxRows
	}
	began := s.Now()
	rows, err := Query(ctx, WarehouseDir(s.Store.Dir()), sql, queryTimeout)
	if err != nil {
		a.Took = s.Now().Sub(began)
		return a, err
	}
	a.Columns = append(a.Columns, rows.Columns()...)
	size, skipped := 0, 0
	for {
		values, ok := rows.Next()
		if !ok {
			err = rows.Err()
			break
		}
		if skipped < page.Offset {
			skipped++
			continue
		}
		if a.Truncated = a.full(page.Limit, &size, values); a.Truncated {
			break
		}
		a.Rows.Rows = append(a.Rows.Rows, plain(values))
	}
	a.Reads = rows.Reads()
	err = errors.Join(err, rows.Close())
	a.Took = s.Now().Sub(began)
	return a, err
}

// maxHistory bounds the text of a query that is remembered.
const maxHistory = 64 << 10

// AskWarehouse answers one SELECT and remembers it in the history of whoever asks.
func (s *Service) AskWarehouse(ctx context.Context, sql string, page Page) (Answer, error) {
	if err := s.may(ctx, auth.ReadRows); err != nil {
		return Answer{}, err
	}
	a, err := s.ask(ctx, sql, page)
	user := auth.ActorOf(ctx).UserID()
	if user == "" || len(sql) > maxHistory || page.Offset > 0 || strings.TrimSpace(sql) == "" {
		return a, err
	}
	e := model.QueryEntry{UserID: user, SQL: sql, DurationMS: a.Took.Milliseconds(), Rows: len(a.Rows.Rows)}
	if err != nil {
		e.Error = err.Error()
	}
	if ctx.Err() != nil {
		e.Error = "cancelled"
	}
	if remembered := s.Store.AppendQuery(context.WithoutCancel(ctx), e); remembered != nil {
		s.Log.WarnContext(ctx, "a query is not remembered", "error", remembered)
	}
	return a, err
}

// ListQueries gives one page of the actor's own queries, the newest first.
func (s *Service) ListQueries(ctx context.Context, page Page) ([]model.QueryEntry, int, error) {
	if err := s.may(ctx, auth.ReadRows); err != nil {
		return nil, 0, err
	}
	return s.Store.ListQueries(ctx, auth.ActorOf(ctx).UserID(), page)
}

// Query gives one of the actor's own queries.
func (s *Service) Query(ctx context.Context, id int64) (model.QueryEntry, error) {
	if err := s.may(ctx, auth.ReadRows); err != nil {
		return model.QueryEntry{}, err
	}
	return s.Store.GetQuery(ctx, auth.ActorOf(ctx).UserID(), id)
}

// ClearQueries forgets the actor's own queries.
func (s *Service) ClearQueries(ctx context.Context) error {
	if err := s.may(ctx, auth.ReadRows); err != nil {
		return err
	}
	return s.Store.ClearQueries(ctx, auth.ActorOf(ctx).UserID())
}
