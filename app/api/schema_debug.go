package api

import (
	"bytes"
	"encoding/json"

	"arus/connectors/warehouse"
	"arus/connectors/warehouse/schema"
)

// statsAnswer are figures about a table.
type statsAnswer struct {
	LiveRows     int64 `json:"liveRows"`
	LiveBatches  int64 `json:"liveBatches"`
	FileRows     int64 `json:"fileRows"`
	Files        int   `json:"files"`
	FileBytes    int64 `json:"fileBytes"`
	Cutoff       int64 `json:"cutoff"`
	UpsertsSince int64 `json:"upsertsSinceSnapshot"`
}

func schemaDebugGet(c *call) (any, error) {
	if err := c.shard(); err != nil {
		return nil, err
	}
	s, err := c.Control.WarehouseStats(c.ctx, c.r.PathValue("table"))
	return statsAnswer{s.LiveRows, s.LiveBatches, s.FileRows, s.Files, s.FileBytes, s.Cutoff, s.Upserts}, err
}

// jobAnswer is what a job did.
type jobAnswer struct {
	Message string `json:"message"`
	Rows    int64  `json:"rows"`
	Files   int    `json:"files"`
	Detail  string `json:"detail"`
}

// debugJob reads the body, does a job and answers when it is done.
func (c *call) debugJob(message string, in any, do func(table string) (warehouse.Done, error)) (any, error) {
	if err := c.shard(); err != nil {
		return nil, err
	}
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	if in != nil && len(bytes.TrimSpace(body)) > 0 && json.Unmarshal(body, in) != nil {
		return nil, &schema.Error{Class: schema.Invalid, Message: schema.MsgBadJSON}
	}
	done, err := do(c.r.PathValue("table"))
	return jobAnswer{message, done.Rows, done.Files, done.Detail}, err
}

// archiveBody names the cutoff in seconds; without one it is the present less the
// archiving delay.
type archiveBody struct {
	Cutoff uint32 `json:"cutoff"`
}

func schemaDebugArchive(c *call) (any, error) {
	var body archiveBody
	return c.debugJob("Archiving job done", &body, func(table string) (warehouse.Done, error) {
		return c.Control.ArchiveWarehouse(c.ctx, table, int64(body.Cutoff))
	})
}

func schemaDebugBackfill(c *call) (any, error) {
	return c.debugJob("Backfill job done", nil, func(table string) (warehouse.Done, error) { return c.Control.BackfillWarehouse(c.ctx, table) })
}

func schemaDebugSnapshot(c *call) (any, error) {
	return c.debugJob("Snapshot job done", nil, func(table string) (warehouse.Done, error) { return c.Control.SnapshotWarehouse(c.ctx, table) })
}

// purgeBody names days since 1970, the end not included. A safe purge removes
// what the retention does not keep.
type purgeBody struct {
	BatchIDStart int32 `json:"batchIDStart"`
	BatchIDEnd   int32 `json:"batchIDEnd"`
	SafePurge    bool  `json:"safePurge"`
}

func schemaDebugPurge(c *call) (any, error) {
	var body purgeBody
	return c.debugJob("Purge job done", &body, func(table string) (warehouse.Done, error) {
		return c.Control.PurgeWarehouse(c.ctx, table, int64(body.BatchIDStart), int64(body.BatchIDEnd), body.SafePurge)
	})
}

func schemaDebugCompact(c *call) (any, error) {
	return c.debugJob("Compaction job done", nil, func(table string) (warehouse.Done, error) { return c.Control.CompactWarehouse(c.ctx, table) })
}
