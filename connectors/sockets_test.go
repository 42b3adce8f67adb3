package connectors

import (
	"net"
	"testing"
	"time"
)

// TestCutEndsWaits cuts connections whose peer never answers: whoever waits for
// it returns at once, and nothing is dialled any more.
func TestCutEndsWaits(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var s Sockets
	dial := func() net.Conn {
		c, err := s.Dial(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	waiting, closed := dial(), dial()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(s.open); n != 1 {
		t.Errorf("%d connections are known, not 1", n)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := waiting.Read(make([]byte, 1))
		ended <- err
	}()
	s.Cut()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a read of a cut connection gave something")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the cut did not end the wait")
	}
	if _, err := s.Dial(t.Context(), "tcp", l.Addr().String()); err == nil {
		t.Error("a cut source dials")
	}
	_ = waiting.Close()
}
