package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"arus/connectors"
)

// fail classifies what went wrong while op was attempted on object. hint is the
// remedy where the failure's own kind has none better; for a missing privilege
// grant is the statement that would mend it.
func (d *db) fail(ctx context.Context, op, object, grant string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*connectors.Error](err); ok {
		return err
	}
	out := &connectors.Error{Op: op, Object: object, Err: err}
	if cause := context.Cause(ctx); cause != nil {
		// The server's "canceling statement" is only the echo of what happened here.
		out.Kind, out.Err = connectors.KindTimeout, cause
		return out
	}
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if out.Kind = connectors.NetworkKind(err); out.Kind == "" {
			// Whatever else the driver reports is a connection that broke off.
			out.Kind = connectors.KindNetwork
		}
		return out
	}
	out.Kind, out.Hint = classify(pgErr, grant)
	out.Err = serverError{pgErr}
	return out
}

// serverError spells the server's words in one line, with the detail and, in a
// COPY, the line and column.
type serverError struct{ *pgconn.PgError }

func (e serverError) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if e.Detail != "" {
		b.WriteString("; ")
		b.WriteString(e.Detail)
	}
	if strings.HasPrefix(e.Where, "COPY ") {
		b.WriteString("; ")
		where, _, _ := strings.Cut(e.Where, "\n")
		b.WriteString(where)
	}
	fmt.Fprintf(&b, " (SQLSTATE %s)", e.Code)
	return b.String()
}

func (e serverError) Unwrap() error { return e.PgError }

func classify(e *pgconn.PgError, grant string) (kind connectors.ErrorKind, hint string) {
	switch e.Code {
	case "28P01":
		return connectors.KindAuth, "check the user and the password"
	case "28000":
		return connectors.KindAuth, "check the user and the password, and that the server's pg_hba.conf admits this user from this address"
	case "3D000":
		return connectors.KindNotFound, "check the database name"
	case "42501":
		if grant != "" {
			return connectors.KindPermission, "as an administrator run: " + grant
		}
		return connectors.KindPermission, "grant the user what the statement needs"
	case "42P01", "3F000":
		return connectors.KindNotFound, "check that the table exists and the names are spelled as in the database"
	case "42703":
		return connectors.KindNotFound, "the column was dropped or renamed: discover the table again"
	case "57014", "25P03", "57P05":
		return connectors.KindTimeout, ""
	case "55P03":
		return connectors.KindTransient, "another session holds a lock on it"
	case "40001":
		if strings.Contains(e.Message, "recovery") {
			return connectors.KindTransient, "the read replica ended the query to follow its primary: raise max_standby_streaming_delay or set hot_standby_feedback = on there, or read from the primary"
		}
		return connectors.KindTransient, ""
	case "40P01", "57P01", "57P02", "57P03":
		return connectors.KindTransient, ""
	case "53300":
		return connectors.KindTransient, "the server has no connection slot free: raise max_connections or run fewer tables at once"
	case "53100":
		return connectors.KindTransient, "the server's disk is full: free some space on it"
	case "54000": // of an index: the row is too wide for it
		return connectors.KindConstraint, "drop the index that it is too wide for, or leave the column out"
	case "P0001": // a trigger's own word against a row
		return connectors.KindConstraint, ""
	case "42P10":
		return connectors.KindConstraint, "give the table a unique index on the key"
	case "42804", "42846", "42883":
		return connectors.KindType, ""
	case "25006":
		return connectors.KindPermission, "the server is a standby or the user's transactions are read only: connect to the primary"
	case "42P07", "42710", "42P06":
		return connectors.KindConflict, ""
	case "2BP01":
		return connectors.KindConstraint, "drop what depends on it, or load into another target"
	case "0A000":
		return connectors.KindUnsupported, ""
	}
	switch e.Code[:2] {
	case "08", "40", "53", "57", "58":
		return connectors.KindTransient, ""
	case "22":
		return connectors.KindType, ""
	case "23", "44":
		return connectors.KindConstraint, ""
	case "28":
		return connectors.KindAuth, "check the user and the password"
	}
	return connectors.KindInvalid, ""
}

// connectError classifies a connection that could not be opened. The driver's
// error joins one failure per address; the telling one is kept.
func (d *db) connectError(ctx context.Context, err error) error {
	out := &connectors.Error{Op: "connect to", Object: d.address, Err: err}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		grant := ""
		if d.config.Database != "" {
			grant = "GRANT CONNECT ON DATABASE " + ident(d.config.Database) + " TO " + ident(d.user)
		}
		out.Kind, out.Hint = classify(pgErr, grant)
		out.Err = serverError{pgErr}
		return out
	}
	if cause := context.Cause(ctx); cause != nil {
		out.Kind, out.Err = connectors.KindTimeout, cause
		return out
	}
	cause := first(err)
	out.Err = cause
	if isTLS(cause) {
		out.Kind = connectors.KindTLS
		out.Hint = "check sslmode and sslrootcert against what the server offers"
		return out
	}
	if out.Kind = connectors.NetworkKind(cause); out.Kind == "" {
		out.Kind = connectors.KindNetwork
	}
	out.Hint = connectors.ConnectHint(cause)
	if secret := d.config.Password; secret != "" && strings.Contains(cause.Error(), secret) {
		out.Err = errors.New(strings.ReplaceAll(cause.Error(), secret, "[redacted]"))
	}
	return out
}

// first gives the first of joined errors, past the driver's own frame. Where a server without TLS was then asked without,
// what came of that is the error.
func first(err error) error {
	if connect, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		err = connect.Unwrap()
	}
	all := apart(err)
	for _, one := range all {
		if !refusesTLS(one) {
			return one
		}
	}
	return all[0]
}

// apart gives the errors that are joined in one, however deep.
func apart(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error }) // looks at this level only
	if !ok || len(joined.Unwrap()) == 0 {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, apart(one)...)
	}
	return all
}

func isTLS(err error) bool { return connectors.IsTLSError(err) || refusesTLS(err) }

// refusesTLS says that the server has no TLS. The driver has no type for it; a test pins its words.
func refusesTLS(err error) bool {
	return strings.Contains(err.Error(), "server refused TLS connection")
}

// typeError is a value that the other side's type cannot hold.
func typeError(op, table, column, hint string, err error) error {
	return &connectors.Error{Kind: connectors.KindType, Op: op, Object: table, Err: fmt.Errorf("column %q: %w", column, err), Hint: hint}
}
