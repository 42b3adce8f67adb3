package web

import (
	"errors"
	"fmt"
	"net/http"

	"arus/connectors/warehouse"
)

// queryExport sends the whole answer as a file.
func queryExport(v *visit) error {
	format, ok := warehouse.FormatOf(v.value("format"))
	if !ok || format == warehouse.JSON {
		format = warehouse.CSV
	}
	rows, err := v.Control.StreamWarehouse(v.ctx, v.r.PostForm.Get("sql"))
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", format.ContentType())
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "arus-"+v.Now().UTC().Format("20060102-150405")+"."+string(format)))
	out := http.NewResponseController(v.w)
	if err := errors.Join(rows.Write(v.w, format, out.Flush), rows.Close()); err != nil {
		v.Log.WarnContext(v.ctx, "an export ended early", "error", err)
		panic(http.ErrAbortHandler) // only its end can say that the file is not whole
	}
	return nil
}
