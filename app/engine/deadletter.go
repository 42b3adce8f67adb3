package engine

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/uuid"

	"arus/connectors"
)

// deadLetterTable is the seed's staging._dead_letters.
const deadLetterTable = "_dead_letters"

var deadLetterColumns = []connectors.Column{
	{Name: "id", Type: connectors.Type{Kind: connectors.UUID}},
	{Name: "source_name", Type: connectors.Type{Kind: connectors.Text, Length: 255}},
	{Name: "table_name", Type: connectors.Type{Kind: connectors.Text, Length: 255}},
	{Name: "run_id", Type: connectors.Type{Kind: connectors.UUID}},
	{Name: "row_data", Type: connectors.Type{Kind: connectors.JSON, Parsed: true}},
	{Name: "error_text", Type: connectors.Type{Kind: connectors.Text}, Nullable: true},
	{Name: "failed_at", Type: connectors.Type{Kind: connectors.TimestampTZ}, Nullable: true},
}

// deadLetterSpace is the namespace of dead letters' ids.
var deadLetterSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("arus:dead-letters"))

// keepDeadLetters writes rows that could not be loaded to the destination's
// dead letters, between the load and the checkpoint. A letter's id follows from
// its table and content, so that a run which is repeated after a crash keeps
// one letter a row.
func (c *tableCopy) keepDeadLetters(ctx context.Context, letters []badRow) error {
	if len(letters) == 0 {
		return nil
	}
	target := connectors.TableRef{Schema: c.job.Names.RawSchema, Name: deadLetterTable}
	load, err := c.destination.Begin(ctx, connectors.LoadRequest{
		Target: target, Columns: deadLetterColumns, Key: []string{"id"},
		Mode: connectors.Merge, RunID: c.run.ID, SyncedAt: c.run.StartedAt,
	})
	if err != nil {
		return fmt.Errorf("keep %d dead letters: %w", len(letters), err)
	}
	if err := c.writeLetters(ctx, load, letters); err != nil {
		_ = load.Abort()
		return fmt.Errorf("keep %d dead letters: %w", len(letters), err)
	}
	if _, err := load.Commit(ctx); err != nil {
		return fmt.Errorf("keep %d dead letters: %w", len(letters), err)
	}
	c.log(ctx, slog.LevelWarn, fmt.Sprintf("%d rows are dead letters in %s, the first because of %s", len(letters), target, letters[0].reason))
	return nil
}

func (c *tableCopy) writeLetters(ctx context.Context, load connectors.Load, letters []badRow) error {
	run, err := uuid.Parse(c.run.ID)
	if err != nil {
		return fmt.Errorf("run id: %w", err)
	}
	b := connectors.NewBatcher(deadLetterColumns, connectors.Limits{}, func(batch arrow.RecordBatch) error { return load.Write(ctx, batch) })
	defer b.Release()
	for _, l := range letters {
		if !c.destination.Holds().NUL {
			l.data = withoutNUL(l.data)
		}
		seed := append([]byte(c.job.Pipeline.ID+"\n"+c.stat.TableName+"\n"), l.data...)
		id := uuid.NewSHA1(deadLetterSpace, seed)
		b.Builders[0].(*array.FixedSizeBinaryBuilder).Append(id[:])
		b.Builders[1].(*array.StringBuilder).Append(c.job.SourceName)
		b.Builders[2].(*array.StringBuilder).Append(c.stat.TableName)
		b.Builders[3].(*array.FixedSizeBinaryBuilder).Append(run[:])
		b.Builders[4].(*array.StringBuilder).BinaryBuilder.Append(l.data)
		b.Builders[5].(*array.StringBuilder).Append(l.reason)
		b.Builders[6].(*array.TimestampBuilder).Append(arrow.Timestamp(c.engine.Now().UnixMicro()))
		if err := b.EndRow(len(l.data) + len(l.reason) + 128); err != nil {
			return err
		}
	}
	return b.Flush()
}

// withoutNUL spells U+0000 in JSON as U+FFFD, for destinations whose JSON
// cannot hold it; the letter's reason says what was there.
func withoutNUL(data []byte) []byte {
	const escape = `\u0000`
	if !bytes.Contains(data, []byte(escape)) {
		return data
	}
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		switch {
		case data[i] != '\\':
			out = append(out, data[i])
		case bytes.HasPrefix(data[i:], []byte(escape)):
			out = append(out, `\ufffd`...)
			i += len(escape) - 1
		default: // another escape: its second character is no start of one
			out = append(out, data[i], data[i+1])
			i++
		}
	}
	return out
}
