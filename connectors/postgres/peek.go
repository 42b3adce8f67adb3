package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

const opPeek = "look into"

// Peek sends the reads one behind the other without waiting for what they give.
// Each is a transaction of its own: one that fails does not fail those behind
// it, and no table is locked while the next is waited for.
func (s *Source) Peek(ctx context.Context, requests []connectors.PeekRequest, emit func(i int, batch arrow.RecordBatch) error) []error {
	errs := make([]error, len(requests))
	conn, err := s.acquire(ctx)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	defer s.release(conn)
	pipeline := conn.StartPipeline(ctx)
	checkUTF8 := conn.ParameterStatus("server_encoding") == "SQL_ASCII"
	for i, req := range requests {
		sql, err := s.firstRows(req)
		if err != nil {
			errs[i] = &connectors.Error{Kind: connectors.KindInvalid, Op: opPeek, Object: req.Table.String(), Err: err}
			continue
		}
		pipeline.SendQueryParams(sql, nil, nil, nil, []int16{1}) // in binary
		pipeline.SendPipelineSync()
	}
	if err := pipeline.Flush(); err != nil {
		for i, req := range requests {
			if errs[i] == nil {
				errs[i] = s.fail(ctx, opPeek, req.Table.String(), "", err)
			}
		}
		return errs
	}
	for i, req := range requests {
		if errs[i] == nil {
			errs[i] = s.peeked(ctx, pipeline, req, checkUTF8, func(batch arrow.RecordBatch) error { return emit(i, batch) })
		}
	}
	_ = pipeline.Close() // a connection that is not fit for more is not kept
	return errs
}

// firstRows is the query of a request. The reading is fenced, so that the limit
// does not tempt the planner to look for a few rows by a scan of all.
func (s *Source) firstRows(req connectors.PeekRequest) (string, error) {
	sql, err := selectRows(req.ReadRequest)
	if err != nil {
		return "", err
	}
	fence := "AS ("
	if s.major >= 12 {
		fence = "AS MATERIALIZED ("
	}
	return fmt.Sprintf("WITH r %s%s) SELECT * FROM r LIMIT %d", fence, sql, req.Rows), nil
}

// peeked takes the result of one read, and what ends it.
func (s *Source) peeked(ctx context.Context, pipeline *pgconn.Pipeline, req connectors.PeekRequest, checkUTF8 bool, emit func(arrow.RecordBatch) error) error {
	object := req.Table.String()
	d, err := newDecoder(req.Columns, req.Limits, checkUTF8, emit)
	if err != nil {
		err = &connectors.Error{Kind: connectors.KindInvalid, Op: opPeek, Object: object, Err: err}
	} else {
		defer d.batcher.Release()
	}
	for {
		result, failed := pipeline.GetResults()
		switch r := result.(type) {
		case *pgconn.ResultReader:
			for r.NextRow() {
				if err == nil {
					err = d.row(r.Values())
				}
			}
			if _, failed := r.Close(); failed != nil {
				err = errors.Join(err, s.fail(ctx, opPeek, object, s.grantSelect(req.Table.TableRef), failed))
			}
		case *pgconn.PipelineSync:
			if err == nil {
				err = d.batcher.Flush()
			}
			if fault, ok := errors.AsType[*valueError](err); ok {
				err = typeError(opPeek, object, fault.column, fault.hint, fault.err)
			}
			return err
		default:
			if failed == nil {
				failed = errWire
			}
			err = errors.Join(err, s.fail(ctx, opPeek, object, s.grantSelect(req.Table.TableRef), failed))
			if _, ok := errors.AsType[*pgconn.PgError](failed); !ok {
				return err // nothing follows
			}
		}
	}
}
