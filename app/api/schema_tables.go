package api

import (
	"encoding/json"
	"errors"

	"arus/app/control"
	"arus/connectors/warehouse/schema"
)

func schemaTableList(c *call) (any, error) {
	names, err := c.Control.WarehouseTables(c.ctx)
	return list(names), err
}

func schemaTableCreate(c *call) (any, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	t, err := schema.Decode(body)
	if err != nil {
		return nil, err
	}
	_, err = c.Control.AddWarehouseTable(c.ctx, t)
	return nil, err
}

func schemaTableGet(c *call) (any, error) {
	t, err := c.Control.WarehouseTable(c.ctx, c.r.PathValue("table"))
	return t, absentAs(err)
}

// planAnswer says what a push would change.
type planAnswer struct {
	Changes []schema.Change `json:"changes"`
	Table   *schema.Table   `json:"table"`
}

// schemaTableUpdate takes a part of the configuration, or a whole table as it is
// desired. A whole table that is absent is made.
func schemaTableUpdate(c *call) (any, error) {
	name, plan := c.r.PathValue("table"), c.flag("plan")
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	var probe struct {
		Columns json.RawMessage `json:"columns"`
	}
	if json.Unmarshal(body, &probe) != nil {
		return nil, &schema.Error{Class: schema.Invalid, Message: schema.MsgBadJSON}
	}
	next := func(t *schema.Table) (*schema.Table, error) { return t.DecodePush(body) }
	whole := probe.Columns != nil
	do := c.Control.PushWarehouseTable
	if plan {
		do = c.Control.PlanWarehouseTable
	}
	u, err := do(c.ctx, name, next)
	if e, ok := errors.AsType[*schema.Error](err); ok && e.Message == schema.MsgTableMissing && whole {
		u, err = createPushed(c, name, body, plan)
	}
	switch {
	case err != nil:
		return nil, err
	case plan:
		return planAnswer{list(u.Changes), u.Next}, nil
	case whole:
		return u.Next, nil
	}
	return nil, nil
}

// createPushed makes the table of a push.
func createPushed(c *call, name string, body []byte, plan bool) (schema.Update, error) {
	t, err := schema.Decode(body)
	if err != nil {
		return schema.Update{}, err
	}
	if t.Name != name {
		return schema.Update{}, &schema.Error{Class: schema.Conflict, Message: schema.MsgImmutable}
	}
	if plan {
		u, err := control.PlanCreate(t)
		return u, err
	}
	made, err := c.Control.AddWarehouseTable(c.ctx, t)
	return schema.Update{Next: made}, err
}

func schemaTableDelete(c *call) (any, error) {
	return nil, c.Control.DropWarehouseTable(c.ctx, c.r.PathValue("table"))
}
