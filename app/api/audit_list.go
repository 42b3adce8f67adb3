package api

import (
	"arus/app/control"
	"arus/app/model"
)

type auditPage struct {
	Entries []model.AuditEntry `json:"entries"`
	Total   int                `json:"total"`
	Limit   int                `json:"limit"`
	Offset  int                `json:"offset"`
}

func auditList(c *call) (any, error) {
	filter := control.AuditFilter{
		ActorID: c.param("actor_id"), Action: c.param("action"), ObjectType: c.param("object_type"), ObjectID: c.param("object_id"),
		Since: c.when("since"), Until: c.when("until"), Page: c.page(50, 200),
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	entries, total, err := c.Control.ListAudit(c.ctx, filter)
	return auditPage{list(entries), total, filter.Limit, filter.Offset}, err
}
