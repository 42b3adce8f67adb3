package connectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestErrorText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  Error
		want string
	}{
		{Error{Op: "connect to", Object: "db:5432", Hint: "check the host", Err: errors.New("refused")}, "connect to db:5432: refused (check the host)"},
		{Error{Op: "read", Object: "orders"}, "read orders"},
		{Error{Op: "read", Err: io.EOF}, "read: EOF"},
		{Error{Op: "read", Hint: "try again"}, "read (try again)"},
		{Error{Op: "read", Err: errors.New("ERROR:\n\tsyntax  error\r\n at 1\n")}, "read: ERROR: syntax error at 1"}, //nolint:revive // as servers write it
		{Error{Op: "read", Object: "a\nb\x1b[31m", Hint: "x\ry", Err: errors.New("bell\a")}, "read a b [31m: bell  (x y)"},
		{Error{Op: "read", Object: "a  b", Err: &Error{Op: "scan", Object: "c"}}, "read a  b: scan c"},
		{Error{Op: "read", Object: "表 🚲"}, "read 表 🚲"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("Error() = %q, want %q", got, test.want)
		}
	}
}

func FuzzErrorText(f *testing.F) {
	f.Add("read", "a\nb", "c\rd", "e\x00\u0085f\u2028")
	f.Fuzz(func(t *testing.T, op, object, hint, why string) {
		err := &Error{Op: op, Object: object, Hint: hint, Err: errors.New(why)}
		if got := err.Error(); strings.ContainsAny(got, "\n\r\v\f\x00\x1b\u0085") {
			t.Errorf("Error() = %q is not one plain line", got)
		}
	})
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	auth := &Error{Kind: KindAuth, Op: "connect to", Err: io.EOF}
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, test := range []struct {
		name  string
		err   error
		want  ErrorKind
		retry bool
	}{
		{"nil", nil, "", false},
		{"unknown", io.EOF, "", false},
		{"plain", auth, KindAuth, false},
		{"wrapped", fmt.Errorf("a: %w", fmt.Errorf("b: %w", auth)), KindAuth, false},
		{"joined", errors.Join(io.EOF, auth), KindAuth, false},
		{"in a kindless error", &Error{Op: "read", Err: auth}, KindAuth, false},
		{"in two kindless errors", &Error{Op: "sync", Err: fmt.Errorf("x: %w", &Error{Op: "read", Err: auth})}, KindAuth, false},
		{"the outer kind decides", &Error{Kind: KindConflict, Err: auth}, KindConflict, false},
		{"kindless with nothing inside", &Error{Op: "read"}, "", false},
		{"kindless over the network", &Error{Op: "read", Err: refused}, KindNetwork, true},
		{"transient", &Error{Kind: KindTransient}, KindTransient, true},
		{"timeout", &Error{Kind: KindTimeout}, KindTimeout, true},
		{"network", &Error{Kind: KindNetwork}, KindNetwork, true},
		{"permission", &Error{Kind: KindPermission, Err: refused}, KindPermission, false},
		{"cancelled", context.Canceled, "", false},
		{"cancelled on the network", &Error{Kind: KindNetwork, Err: context.Canceled}, KindNetwork, false},
		{"deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), KindTimeout, true},
		{"i/o deadline", os.ErrDeadlineExceeded, KindTimeout, true},
		{"refused", refused, KindNetwork, true},
		{"reset", fmt.Errorf("read: %w", syscall.ECONNRESET), KindNetwork, true},
		{"pipe", syscall.EPIPE, KindNetwork, true},
		{"closed", net.ErrClosed, KindNetwork, true},
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}}, KindNetwork, true},
		{"slow name server", &net.DNSError{Err: "timeout", IsTimeout: true}, KindTimeout, true},
		{"slow dial", &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, KindTimeout, true},
		{"other dial", &net.OpError{Op: "dial", Err: io.EOF}, KindNetwork, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := KindOf(test.err); got != test.want {
				t.Errorf("KindOf(%v) = %q, want %q", test.err, got, test.want)
			}
			if got := Retryable(test.err); got != test.retry {
				t.Errorf("Retryable(%v) = %v, want %v", test.err, got, test.retry)
			}
		})
	}
	if !errors.Is(&Error{Op: "read", Err: auth}, io.EOF) {
		t.Error("the cause is not found through two errors")
	}
}

func TestConnectHint(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{io.EOF, ""},
		{&net.DNSError{Err: "no such host"}, "host name"},
		{syscall.ECONNREFUSED, "is running"},
		{context.DeadlineExceeded, "firewalls"},
		{syscall.EHOSTUNREACH, "network between"},
	} {
		if got := ConnectHint(test.err); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("ConnectHint(%v) = %q, want something of %q", test.err, got, test.want)
		}
	}
}
