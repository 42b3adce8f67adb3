package connectors

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"unicode"
)

// ErrorKind says what kind of failure an error is; it decides retry, exit code,
// HTTP status and the words on screen.
type ErrorKind string

// The kinds of failure.
const (
	KindAuth        ErrorKind = "auth"
	KindNetwork     ErrorKind = "network"
	KindTLS         ErrorKind = "tls"
	KindPermission  ErrorKind = "permission"
	KindNotFound    ErrorKind = "not_found"
	KindType        ErrorKind = "type"
	KindConstraint  ErrorKind = "constraint"
	KindTimeout     ErrorKind = "timeout"
	KindConflict    ErrorKind = "conflict"
	KindUnsupported ErrorKind = "unsupported"
	KindTransient   ErrorKind = "transient"
	KindInvalid     ErrorKind = "invalid" // the request itself is wrong: a malformed URL, a missing option
)

// Error is a failure with what was attempted, on what, why and what to do.
type Error struct {
	Kind   ErrorKind
	Op     string // what was attempted: "connect to", "read", "create table"
	Object string // on what: a table, host:port; never a URL with a password
	Hint   string // what to do about it
	Err    error  // why
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Object != "" {
		b.WriteByte(' ')
		b.WriteString(e.Object)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(oneLine(e.Err.Error()))
	}
	if e.Hint != "" {
		b.WriteString(" (")
		b.WriteString(e.Hint)
		b.WriteByte(')')
	}
	return strings.Map(noControl, b.String())
}

func (e *Error) Unwrap() error { return e.Err }

// oneLine folds a driver's multi-line text into one line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// noControl makes a control character, wherever the name or the text that holds
// it came from, a space: errors go to terminals and to logs of one line each.
func noControl(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// KindOf is the kind of the outermost *Error in err's chain that has one; errors
// of the network and of deadlines are recognised without one; "" when unknown.
func KindOf(err error) ErrorKind {
	for rest := err; ; {
		e, ok := errors.AsType[*Error](rest)
		if !ok {
			return NetworkKind(err)
		}
		if e.Kind != "" {
			return e.Kind
		}
		rest = e.Err
	}
}

// Retryable says whether trying again over a fresh connection may help.
func Retryable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	switch KindOf(err) {
	case KindNetwork, KindTimeout, KindTransient:
		return true
	}
	return false
}

// NetworkKind classifies what the operating system says of a connection:
// network, timeout, or "" when err is neither.
func NetworkKind(err error) ErrorKind {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return KindTimeout
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, net.ErrClosed):
		return KindNetwork
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsTimeout {
			return KindTimeout
		}
		return KindNetwork
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if op.Timeout() {
			return KindTimeout
		}
		return KindNetwork
	}
	return ""
}

// ConnectHint is the remedy for a connection that could not be opened, by what
// the operating system said; "" when it said nothing known.
func ConnectHint(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "check the host name"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "check host and port, and that the server is running and listens there"
	case NetworkKind(err) == KindTimeout:
		return "check the host, the port and firewalls between here and the server"
	case NetworkKind(err) == KindNetwork:
		return "check the network between here and the server"
	}
	return ""
}
