package mongodb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"arus/connectors"
)

// fail classifies what went wrong while op was attempted on object.
func (s *Source) fail(ctx context.Context, op, object string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*connectors.Error](err); ok {
		return err
	}
	out := &connectors.Error{Op: op, Object: object}
	if cause := context.Cause(ctx); cause != nil {
		out.Kind, out.Err = connectors.KindTimeout, cause
		return out
	}
	members, err := s.telling(out, err)
	out.Err = s.withoutPassword(err)
	if out.Kind != "" {
		return out
	}
	defer func() {
		if members != "" && (out.Kind == connectors.KindNetwork || out.Kind == connectors.KindTimeout) {
			out.Hint = members
		}
	}()
	command, ok := errors.AsType[mongo.CommandError](err)
	switch {
	case ok && command.Code != 0:
		out.Kind, out.Hint = s.classify(command)
	case connectors.IsTLSError(err):
		out.Kind, out.Hint = connectors.KindTLS, "check tls, sslmode and sslrootcert against what the server offers"
	case connectors.NetworkKind(err) != "":
		out.Kind, out.Hint = connectors.NetworkKind(err), connectors.ConnectHint(err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		out.Kind, out.Hint = connectors.KindNetwork, "the server closed the connection; if it wants TLS, add tls=true"
	case mongo.IsTimeout(err):
		out.Kind = connectors.KindTimeout
	default:
		out.Kind = connectors.KindNetwork // whatever else the driver reports is a connection that broke off
	}
	return out
}

func (s *Source) connectError(ctx context.Context, err error) error {
	return s.fail(ctx, "connect to", s.address, err)
}

// telling finds why no server could be chosen: the driver itself says only that
// the time was up, with a dump of all it knows about the servers. members is the
// remedy where the server that was asked for names others in its place.
func (s *Source) telling(out *connectors.Error, err error) (members string, cause error) {
	selection, ok := errors.AsType[topology.ServerSelectionError](err)
	if !ok {
		return "", err
	}
	if incompatible := selection.Desc.CompatibilityErr; incompatible != nil {
		out.Kind, out.Hint = connectors.KindUnsupported, "MongoDB 4.2 or later is needed"
		return "", incompatible
	}
	var last error
	var names []string
	for _, server := range selection.Desc.Servers {
		names = append(names, server.Addr.String())
		if server.LastError != nil {
			last = server.LastError
		}
	}
	if set := selection.Desc.SetName; set != "" && !slices.Contains(names, s.address) {
		members = fmt.Sprintf("the server names %s as the members of its replica set %s: make them reachable, or add directConnection=true to use this server alone",
			strings.Join(names, ", "), set)
	}
	if last == nil {
		out.Kind = connectors.KindTimeout
		return members, errors.New("no server was found that can be read: check replicaSet and readPreference")
	}
	return members, last
}

// withoutPassword makes sure of what the driver promises.
func (s *Source) withoutPassword(err error) error {
	if secret := s.password.Reveal(); secret != "" && strings.Contains(err.Error(), secret) {
		return errors.New(strings.ReplaceAll(err.Error(), secret, "[redacted]"))
	}
	return err
}

// The server's error codes that are looked for by name.
const (
	codeUnauthorized        = 13
	codeAuthenticationFails = 18
	codeNamespaceNotFound   = 26
	codeCursorNotFound      = 43
	codeNotImplemented      = 238
	codeSnapshotTooOld      = 239
	codeSnapshotUnavailable = 246
)

func (s *Source) classify(e mongo.CommandError) (kind connectors.ErrorKind, hint string) {
	switch e.Code {
	case codeAuthenticationFails, 11, 8000: // UserNotFound, Atlas's own
		return connectors.KindAuth, "check the user and the password, and authSource: the user was looked for in the database " + strconv.Quote(s.login)
	case codeUnauthorized:
		if s.user == "" {
			return connectors.KindAuth, "the server wants a user and a password"
		}
		return connectors.KindPermission, fmt.Sprintf(`as an administrator run: db.getSiblingDB(%q).grantRolesToUser(%q, [{role: "read", db: %q}])`, s.login, s.user, s.database.Name())
	case codeNamespaceNotFound:
		return connectors.KindNotFound, "check that the collection exists and is spelled as in the database"
	case 73: // InvalidNamespace
		return connectors.KindNotFound, "check the names of the database and the collection"
	case 50, 24, 202, 262: // MaxTimeMSExpired, LockTimeout, NetworkInterfaceExceededTimeLimit, ExceededTimeLimit
		return connectors.KindTimeout, ""
	case codeSnapshotTooOld, codeCursorNotFound:
		return connectors.KindTransient, "the read took longer than the server keeps what it read from"
	case 292: // QueryExceededMemoryLimitNoDiskUseAllowed
		return connectors.KindUnsupported, "the server cannot sort that much without an index: create one on the field"
	case 59, 115, 238, 166: // CommandNotFound, CommandNotSupported, NotImplemented, CommandNotSupportedOnView
		return connectors.KindUnsupported, ""
	case 6, 7, 89, 9001: // HostUnreachable, HostNotFound, NetworkTimeout, SocketException
		return connectors.KindNetwork, "the server cannot reach another one that it needs"
	case 91, 133, 134, 136, 175, 189, 237, 10107, 11600, 11601, 11602, 13435, 13436:
		// A server that shuts down or changes roles, a killed cursor, an interrupted operation.
		return connectors.KindTransient, ""
	}
	if e.HasErrorLabel("RetryableError") || e.HasErrorLabel("TransientTransactionError") {
		return connectors.KindTransient, ""
	}
	if mongo.IsTimeout(e) {
		return connectors.KindTimeout, ""
	}
	return connectors.KindInvalid, ""
}

// typeError is a document that the settled table cannot hold.
func typeError(op, table, hint string, err error) error {
	return &connectors.Error{Kind: connectors.KindType, Op: op, Object: table, Hint: hint, Err: err}
}
