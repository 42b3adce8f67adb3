package api

import "arus/connectors/warehouse"

type viewItem struct {
	Name string `json:"name"`
	SQL  string `json:"sql"`
}

// viewList lists the views of the warehouse.
func viewList(c *call) (any, error) {
	views, err := c.Control.WarehouseViews(c.ctx)
	out := []viewItem{}
	for _, v := range views {
		out = append(out, viewItem(v))
	}
	return out, err
}

// viewSet stores a view, in place of one of the same name.
func viewSet(c *call) (any, error) {
	var body viewItem
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	return body, c.Control.SetWarehouseView(c.ctx, warehouse.ViewDefinition(body))
}

// viewDrop removes a view.
func viewDrop(c *call) (any, error) {
	return deletedAnswer{true}, c.Control.DropWarehouseView(c.ctx, c.r.PathValue("name"))
}
