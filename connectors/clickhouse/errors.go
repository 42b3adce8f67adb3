package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"arus/connectors"
)

// Error codes of the server that are acted upon by name.
const (
	codeUnknownTable  = 60
	codeTooManyParts  = 252
	codeQueryRunning  = 216 // a query of the same id is running
	codeUnknownDB     = 81
	codeNoFile        = 107 // an old server lists a table whose file is gone already
	codeTableExists   = 57
	codeDatabaseThere = 82
)

// code is the server's error code; 0 when err is not of the server.
func code(err error) int {
	if e, ok := errors.AsType[*ch.Exception](err); ok {
		return int(e.Code)
	}
	return 0
}

// fail classifies what went wrong while op was attempted on object; for a
// missing privilege grant is the statement that would mend it.
func (d *db) fail(ctx context.Context, op, object, grant string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*connectors.Error](err); ok {
		return err
	}
	if fault, ok := errors.AsType[*valueError](err); ok {
		return fault.error(op, object)
	}
	out := &connectors.Error{Op: op, Object: object, Err: err}
	if cause := context.Cause(ctx); cause != nil {
		// What the server or the driver says of a killed query is only the echo.
		out.Kind, out.Err = connectors.KindTimeout, cause
		return out
	}
	e, ok := errors.AsType[*ch.Exception](err)
	if !ok {
		if out.Kind = connectors.NetworkKind(err); out.Kind == "" {
			// Whatever else the driver reports is a connection that broke off.
			out.Kind = connectors.KindNetwork
		}
		out.Err = d.redact(err)
		return out
	}
	out.Kind, out.Hint = classify(int(e.Code), grant)
	if isDiskFull(e) {
		out.Kind, out.Hint = connectors.KindTransient, hintDiskFull
	}
	out.Err = serverError{e}
	return out
}

const hintDiskFull = "the server's disk is full: make room on it, then run again"

// isDiskFull says whether the server could not write, whatever code it gives.
func isDiskFull(e *ch.Exception) bool {
	return e.Code == 243 || strings.Contains(e.Message, "errno: 28,") || strings.Contains(e.Message, "No space left on device")
}

// redact takes the password out of a driver's words.
func (d *db) redact(err error) error {
	if secret := d.secret.Reveal(); secret != "" && strings.Contains(err.Error(), secret) {
		return errors.New(strings.ReplaceAll(err.Error(), secret, "[redacted]"))
	}
	return err
}

// serverError spells the server's words without the stack trace that some
// versions put behind them.
type serverError struct{ *ch.Exception }

func (e serverError) Error() string {
	message := e.Message
	for _, tail := range []string{", e.what() =", "\nStack trace", ", Stack trace", " (version "} {
		message, _, _ = strings.Cut(message, tail)
	}
	return fmt.Sprintf("%s (code %d)", strings.TrimSuffix(strings.TrimSpace(message), "."), e.Code)
}

func (e serverError) Unwrap() error { return e.Exception }

func classify(code int, grant string) (kind connectors.ErrorKind, hint string) {
	switch code {
	case 192, 193, 194, 516: // unknown user, wrong password, required password, authentication failed
		return connectors.KindAuth, "check the user and the password"
	case 195, 290: // address not allowed
		return connectors.KindAuth, "the server admits this user only from other addresses: check the user's networks"
	case 497, 291: // access denied, access to the database denied
		if grant != "" {
			return connectors.KindPermission, "as an administrator run: " + grant
		}
		return connectors.KindPermission, "grant the user what the statement needs"
	case 242: // the table is read-only as long as its replica has no keeper
		return connectors.KindTransient, "the table's replica has lost its keeper: see system.replicas"
	case 164, 392: // readonly, query is prohibited
		return connectors.KindPermission, "the user or the table may only be read: use a profile with readonly = 0"
	case codeUnknownDB:
		return connectors.KindNotFound, "check the database name"
	case codeUnknownTable, 218:
		return connectors.KindNotFound, "check that the table exists and the names are spelled as in the database"
	case 16, 47, 8: // no such column, unknown identifier, not in block
		return connectors.KindNotFound, "the column was dropped or renamed: discover the table again"
	case codeTableExists, codeDatabaseThere, codeQueryRunning:
		return connectors.KindConflict, ""
	case 159: // timeout exceeded
		return connectors.KindTimeout, "raise max_execution_time in the user's profile"
	case 160: // too slow
		return connectors.KindTimeout, "the server estimates that the query would take too long: raise timeout_before_checking_execution_speed"
	case 3, 99, 101, 102, 209, 210, 279: // unexpected end or packet, socket timeout, network error, no connection to another server
		return connectors.KindNetwork, ""
	case 394: // query was cancelled
		return connectors.KindTimeout, "somebody killed the query on the server"
	case 241, 173: // memory limit exceeded, no memory
		return connectors.KindTransient, "the server's memory limit was reached: raise max_memory_usage or run fewer tables at once"
	case 202: // too many simultaneous queries
		return connectors.KindTransient, "raise max_concurrent_queries or run fewer tables at once"
	case 201: // quota exceeded
		return connectors.KindTransient, "the user's quota is used up: wait for its next interval, or raise it"
	case codeTooManyParts:
		return connectors.KindTransient, "the server merges slower than rows arrive: try again later"
	case 359: // table size exceeds the limit for DROP
		return connectors.KindPermission, "the server refuses to drop a table of this size: raise max_table_size_to_drop"
	case 236, 439: // aborted because the server shuts down, no thread
		return connectors.KindTransient, "the server shuts down or is overloaded"
	case 225, 285, 286, 319, 425, 473, 733, 999: // no keeper, too few replicas, quorum, unknown status of insert, system error, deadlock, table restarts, keeper
		return connectors.KindTransient, ""
	case 6, 26, 27, 38, 41, 53, 69, 70, 72, 130, 131, 321, 349, 376, 407, 691: // parsing, type mismatch, overflow, a null where none may be, a label of no enum
		return connectors.KindType, ""
	case 344, 48, 1: // support is disabled, not implemented, unsupported method
		return connectors.KindUnsupported, ""
	case 122, 36: // incompatible columns, bad arguments
		return connectors.KindConflict, "another table of that name has another structure: rename it, or run a full refresh"
	case 469: // violated constraint
		return connectors.KindConstraint, ""
	}
	return connectors.KindInvalid, ""
}

// connectError classifies a connection that could not be opened.
func (d *db) connectError(ctx context.Context, err error) error {
	out := &connectors.Error{Op: opConnect, Object: d.address}
	if e, ok := errors.AsType[*ch.Exception](err); ok {
		out.Kind, out.Hint = classify(int(e.Code), "")
		out.Err = serverError{e}
		return out
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < 100*time.Millisecond {
		<-ctx.Done() // the socket has the same deadline and may say so first
	}
	if cause := context.Cause(ctx); cause != nil {
		out.Kind, out.Err = connectors.KindTimeout, cause
		return out
	}
	out.Err = d.redact(err)
	if connectors.IsTLSError(err) {
		out.Kind, out.Hint = connectors.KindTLS, "check sslmode and sslrootcert against what the server offers; TLS has a port of its own, usually 9440"
		return out
	}
	if errors.Is(err, ch.ErrAcquireConnTimeout) {
		out.Kind, out.Hint = connectors.KindTimeout, "check the host, the port and firewalls between here and the server"
		return out
	}
	if out.Kind = connectors.NetworkKind(err); out.Kind == "" {
		out.Kind = connectors.KindNetwork
	}
	out.Hint = connectors.ConnectHint(err)
	if errors.Is(err, io.EOF) || strings.Contains(err.Error(), "unexpected packet") {
		out.Hint = "the port does not speak ClickHouse's native protocol: it is usually 9000, or 9440 with TLS; 8123 and 8443 are HTTP"
	}
	return out
}

// valueError is a value that a column of the target cannot hold.
type valueError struct {
	kind   connectors.ErrorKind
	column string
	hint   string
	err    error
}

func (e *valueError) Error() string { return fmt.Sprintf("column %q: %v", e.column, e.err) }

func (e *valueError) Unwrap() error { return e.err }

func (e *valueError) error(op, table string) error {
	return &connectors.Error{Kind: e.kind, Op: op, Object: table, Hint: e.hint, Err: e}
}
