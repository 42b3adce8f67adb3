package api

import (
	"encoding/json"

	"arus/connectors/warehouse/schema"
)

func schemaColumnCreate(c *call) (any, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	column, err := schema.DecodeColumn(body)
	if err != nil {
		return nil, err
	}
	return nil, c.Control.AddWarehouseColumn(c.ctx, c.r.PathValue("table"), column)
}

func schemaColumnUpdate(c *call) (any, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	return nil, c.Control.UpdateWarehouseColumn(c.ctx, c.r.PathValue("table"), c.r.PathValue("column"), body)
}

func schemaColumnDelete(c *call) (any, error) {
	return nil, c.Control.DropWarehouseColumn(c.ctx, c.r.PathValue("table"), c.r.PathValue("column"))
}

func schemaCaseList(c *call) (any, error) {
	cases, err := c.Control.WarehouseCases(c.ctx, c.r.PathValue("table"), c.r.PathValue("column"))
	return list(cases), absentAs(err)
}

type casesBody struct {
	EnumCases []string `json:"enumCases"`
}

func schemaCaseAdd(c *call) (any, error) {
	text, err := c.body()
	if err != nil {
		return nil, err
	}
	var body casesBody
	if json.Unmarshal(text, &body) != nil {
		return nil, &schema.Error{Class: schema.Invalid, Message: schema.MsgBadJSON}
	}
	ids, err := c.Control.AddWarehouseCases(c.ctx, c.r.PathValue("table"), c.r.PathValue("column"), body.EnumCases)
	return list(ids), err
}
