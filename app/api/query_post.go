package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"arus/connectors/warehouse"
)

type queryBody struct {
	SQL    string `json:"sql"`
	Limit  int    `json:"limit"`
	Format string `json:"format,omitempty"`
}

// format is how the rows are sent: by the body, else by the Accept header; "" is
// one JSON answer with some rows.
func (b queryBody) format(c *call) (warehouse.Format, bool) {
	if b.Format != "" {
		f, ok := warehouse.FormatOf(b.Format)
		if ok = ok && f != warehouse.JSON || b.Format == string(warehouse.JSON); !ok {
			c.fault("format", "must be json, ndjson, csv, arrow or parquet")
		}
		return f, f != warehouse.JSON
	}
	for accepted := range strings.SplitSeq(c.r.Header.Get("Accept"), ",") {
		if f, ok := warehouse.FormatOf(accepted); ok {
			return f, f != warehouse.JSON
		}
	}
	return "", false
}

// queryPost answers one SELECT over the built-in warehouse: some rows in one
// answer, or all of them as a stream of NDJSON, CSV, Arrow or Parquet.
func queryPost(c *call) (any, error) {
	var body queryBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	format, stream := body.format(c)
	if err := c.err(); err != nil {
		return nil, err
	}
	if !stream {
		return c.Control.QueryWarehouse(c.ctx, body.SQL, body.Limit)
	}
	rows, err := c.Control.StreamWarehouse(c.ctx, body.SQL)
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("Content-Type", format.ContentType())
	c.w.Header().Set("X-Content-Type-Options", "nosniff")
	c.w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(c.w)
	next := func() error { return out.SetWriteDeadline(time.Now().Add(time.Minute)) }
	err = errors.Join(next(), rows.Write(c.w, format, func() error { return errors.Join(out.Flush(), next()) }), rows.Close())
	if err != nil {
		// The answer has begun: only its end can say that it is not whole.
		panic(http.ErrAbortHandler)
	}
	return written{}, nil
}
