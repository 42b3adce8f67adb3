package api

type pipelineDiscoverAnswer struct {
	PipelineID string                  `json:"pipeline_id"`
	Tables     []pipelineDiscoverTable `json:"tables"`
}

type pipelineDiscoverTable struct {
	discoveredTable
	Selected bool `json:"selected"`
}

func pipelineDiscover(c *call) (any, error) {
	id, err := c.id("id")
	if err != nil {
		return nil, err
	}
	add := c.flag("add")
	if err := c.err(); err != nil {
		return nil, err
	}
	tables, err := c.Control.DiscoverPipeline(c.ctx, id, add)
	if err != nil {
		return nil, discoveryError{err}
	}
	out := pipelineDiscoverAnswer{PipelineID: id, Tables: []pipelineDiscoverTable{}}
	for _, t := range tables {
		out.Tables = append(out.Tables, pipelineDiscoverTable{discoveredView(t.Table), t.Selected})
	}
	return out, nil
}
