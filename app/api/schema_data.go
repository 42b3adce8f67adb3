package api

import (
	"errors"
	"fmt"
	"mime"
	"strconv"

	"arus/connectors/warehouse"
	"arus/connectors/warehouse/schema"
)

// shard is the shard of the path; there is only 0.
func (c *call) shard() error {
	text := c.r.PathValue("shard")
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return &schema.Error{Class: schema.Invalid, Message: "Bad request: missing/invalid parameter"}
	}
	if n != 0 {
		return &schema.Error{Class: schema.NotFound, Message: fmt.Sprintf("Failed to get shard %d for table %s for upsert batch", n, c.r.PathValue("table"))}
	}
	return nil
}

// schemaDataPost upserts the rows of the body: whoever names no form sends
// AresDB's. The body is checked whole, then written, then answered for.
func schemaDataPost(c *call) (any, error) {
	if err := c.shard(); err != nil {
		return nil, err
	}
	table := c.r.PathValue("table")
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	sum, err := c.upsert(table, body)
	if e, ok := errors.AsType[*schema.Error](err); ok && e.Message == schema.MsgTableMissing {
		return nil, messageError{err, fmt.Sprintf("Failed to get shard 0 for table %.255s for upsert batch", table)}
	}
	return sum, err
}

func (c *call) upsert(table string, body []byte) (warehouse.Summary, error) {
	form, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	columns, rows, err := TextRows(form, body)
	if errors.Is(err, errForm) {
		return c.Control.UpsertBatch(c.ctx, table, body)
	}
	if err != nil {
		return warehouse.Summary{}, err
	}
	return c.Control.UpsertRows(c.ctx, table, columns, rows)
}
