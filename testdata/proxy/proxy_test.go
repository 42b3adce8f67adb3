package proxy

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers every byte with itself.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// talk sends n bytes through the proxy and gives what comes back within a second.
func talk(t *testing.T, p *Proxy, n int) (int, error) {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	go func() { _, _ = c.Write(bytes.Repeat([]byte("x"), n)) }()
	return io.ReadFull(c, make([]byte, n))
}

func TestFaults(t *testing.T) {
	t.Parallel()
	server := echo(t)
	for _, test := range []struct {
		fault Fault
		most  int // of 100,000 bytes
		least int
		fails bool
	}{
		{Fault{}, 100_000, 100_000, false},
		{Fault{Kind: Cut, Direction: Up, After: 50_000}, 50_000, 0, true},
		{Fault{Kind: Cut, Direction: Down, After: 50_000}, 50_000, 0, true},
		{Fault{Kind: Truncate, Direction: Down, After: 50_001}, 50_001, 50_001, true},
		{Fault{Kind: Stall, Direction: Down, After: 50_000}, 50_000, 0, true},
		{Fault{Kind: Delay, Direction: Up, After: 90_000, Wait: time.Millisecond}, 100_000, 100_000, false},
		{Fault{Kind: Cut, Direction: Up, After: 200_000}, 100_000, 100_000, false},
	} {
		t.Run(test.fault.Kind.String(), func(t *testing.T) {
			t.Parallel()
			p := New(t, server)
			p.Set(test.fault)
			n, err := talk(t, p, 100_000)
			if n > test.most || n < test.least || (err != nil) != test.fails {
				t.Errorf("%+v let %d bytes through, %v", test.fault, n, err)
			}
			if want := 0; test.fault.After < 100_000 && test.fault.Kind != None && p.Hits() == want {
				t.Error("the fault did not happen")
			}
			p.Set(Fault{})
			if n, err := talk(t, p, 100_000); err != nil || n != 100_000 || p.Passed(Up) < 100_000 || p.Passed(Down) < 100_000 {
				t.Errorf("afterwards %d bytes came back, %d up, %d down, %v", n, p.Passed(Up), p.Passed(Down), err)
			}
			p.Down(true)
			if n, err := talk(t, p, 10); err == nil {
				t.Errorf("a proxy that is down let %d bytes through", n)
			}
			p.Down(false)
			if _, err := talk(t, p, 10); err != nil {
				t.Error(err)
			}
		})
	}
}
