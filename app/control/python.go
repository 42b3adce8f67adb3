package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"arus/app/auth"
	"arus/app/model"
	"arus/app/script"
	"arus/app/store"
	"arus/app/transform"
	"arus/connectors"
)

// scriptsOf gives the tables of a pipeline its scripts as they are stored when a table's transforms begin.
func (s *Service) scriptsOf(pipelineID string) func(log func(script, line string)) transform.Scripts {
	if s.Python == nil {
		return nil
	}
	find := func(ctx context.Context, name string) (script.Program, error) {
		found, err := s.Store.FindScript(ctx, pipelineID, name)
		if errors.Is(err, store.ErrNotFound) {
			return script.Program{}, fmt.Errorf("the pipeline has no script %q", name)
		}
		return script.Program{Name: found.Name, Source: found.Content}, err
	}
	return func(log func(script, line string)) transform.Scripts { return s.Python.Scripts(find, log) }
}

// checkScript refuses a script that cannot start: bad syntax, a missing function, columns of no type.
func (s *Service) checkScript(ctx context.Context, in ScriptInput) error {
	if s.Python == nil || *in.Content == "" || len(*in.Content) > model.MaxScript {
		return nil // the model's own faults come first
	}
	name := "script"
	if in.Name != nil {
		name = *in.Name
	}
	err := s.Python.Check(ctx, script.Program{Name: name, Source: *in.Content})
	if fault, ok := errors.AsType[*connectors.Error](err); ok && fault.Kind == connectors.KindInvalid {
		return &InvalidError{What: "the script", Faults: []model.FieldError{{Field: "content", Message: fault.Err.Error()}}}
	}
	return err
}

// ScriptTest is what a script made of a few rows.
type ScriptTest struct {
	Columns []ScriptColumn    `json:"columns"`
	Rows    []json.RawMessage `json:"rows"`
	Origins []int32           `json:"origins"` // by row: which of the given rows it came from
	Failed  []ScriptFault     `json:"failed"`
	Dropped []int             `json:"dropped"` // given rows that the script left out
	Printed []string          `json:"printed"`
}

// ScriptColumn is a column of the rows that came out.
type ScriptColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// ScriptFault is a given row that the script failed on.
type ScriptFault struct {
	Row    int    `json:"row"`
	Reason string `json:"reason"`
}

// maxTestRows bounds a script's test.
const maxTestRows = 100

// TestScript runs a script over given rows, JSON objects whose columns have the given types (as transform.ParseType reads
// them); nothing is stored. Columns without a type are text.
func (s *Service) TestScript(ctx context.Context, name, content string, types map[string]string, rows []json.RawMessage) (ScriptTest, error) {
	test := ScriptTest{Columns: []ScriptColumn{}, Rows: []json.RawMessage{}, Origins: []int32{}, Failed: []ScriptFault{}, Dropped: []int{}, Printed: []string{}}
	if err := s.may(ctx, auth.EditScripts); err != nil {
		return test, err
	}
	if s.Python == nil {
		return test, fault("the test", "content", "scripts are not available here")
	}
	if len(rows) == 0 || len(rows) > maxTestRows {
		return test, fault("the test", "rows", "give 1 to %d rows", maxTestRows)
	}
	columns, err := testColumns(types, rows)
	if err != nil {
		return test, err
	}
	batch := array.NewRecordBuilder(memory.DefaultAllocator, connectors.Schema(columns))
	defer batch.Release()
	for i, row := range rows {
		if err := connectors.AppendRowParsed(batch.Fields(), columns, row); err != nil {
			return test, fault("the test", fmt.Sprintf("rows[%d]", i), "%v", err)
		}
	}
	given := batch.NewRecordBatch()
	defer given.Release()
	var mu sync.Mutex
	running, err := s.Python.Open(ctx, script.Program{Name: name, Source: content}, columns, func(line string) {
		mu.Lock()
		defer mu.Unlock()
		test.Printed = append(test.Printed, line)
	})
	if err != nil {
		return test, scriptFault(err)
	}
	result, err := running.Run(ctx, given)
	out, _ := running.Columns()
	if cerr := running.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return test, scriptFault(err)
	}
	for _, c := range out {
		test.Columns = append(test.Columns, ScriptColumn{c.Name, c.Type.String()})
	}
	there := make([]bool, len(rows))
	if result.Batch != nil {
		defer result.Batch.Release()
		for i := range int(result.Batch.NumRows()) {
			test.Rows = append(test.Rows, connectors.AppendRowJSON(nil, result.Batch, out, i))
			there[result.Rows[i]] = true
		}
		test.Origins = result.Rows
	}
	for _, f := range result.Failed {
		test.Failed = append(test.Failed, ScriptFault{f.Row, f.Reason})
		there[f.Row] = true
	}
	for i, known := range there {
		if !known {
			test.Dropped = append(test.Dropped, i)
		}
	}
	return test, nil
}

func scriptFault(err error) error {
	if e, ok := errors.AsType[*connectors.Error](err); ok && e.Kind == connectors.KindInvalid {
		return &InvalidError{What: "the script", Faults: []model.FieldError{{Field: "content", Message: e.Err.Error()}}}
	}
	return err
}

// testColumns are the typed columns, and those of the rows besides, by name.
func testColumns(types map[string]string, rows []json.RawMessage) ([]connectors.Column, error) {
	kinds := map[string]connectors.Type{}
	for i, row := range rows {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(row, &fields); err != nil {
			return nil, fault("the test", fmt.Sprintf("rows[%d]", i), "is no JSON object")
		}
		for name := range fields {
			kinds[name] = connectors.Type{Kind: connectors.Text}
		}
	}
	var faults []model.FieldError
	names := make([]string, 0, len(kinds))
	for name, text := range types {
		t, err := transform.ParseType(text)
		if err != nil {
			faults = append(faults, model.FieldError{Field: "columns." + name, Message: err.Error()})
		}
		kinds[name] = t
	}
	for name := range kinds {
		names = append(names, name)
	}
	slices.Sort(names)
	columns := make([]connectors.Column, len(names))
	for i, name := range names {
		columns[i] = connectors.Column{Name: name, Type: kinds[name], Nullable: true}
	}
	return columns, invalid("the test", faults)
}
