// Package proxy is a TCP proxy for tests that harms the connections which go through it: it cuts them, ends them early,
// stalls them or slows them down after a number of bytes.
package proxy

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Direction is the way that bytes go.
type Direction int

// The directions.
const (
	Up   Direction = iota // from the client to the server
	Down                  // from the server to the client
)

// Kind is what a fault does.
type Kind int

// The kinds of faults.
const (
	None     Kind = iota
	Cut           // reset every connection, as when a server dies
	Truncate      // end the connection that sends the byte in good order, in the middle of what it sends
	Stall         // pass no byte on any more, as when a cable is pulled
	Delay         // hold every further piece back for Wait
)

func (k Kind) String() string {
	return [...]string{"none", "cut", "truncate", "stall", "delay"}[k]
}

// Fault is what happens once After bytes have gone in the direction. Cut and Truncate happen once, the others last until
// the next Set.
type Fault struct {
	Kind      Kind
	Direction Direction
	After     int64 // counted from Set on, over all connections
	Wait      time.Duration
}

// Proxy forwards connections to a server.
type Proxy struct {
	listener net.Listener
	target   string
	work     sync.WaitGroup

	mu      sync.Mutex
	fault   Fault
	changed chan struct{} // closed by the next Set
	passed  [2]int64
	hits    int
	refuse  bool
	refused int
	conns   map[net.Conn]bool
	closed  bool
}

// New starts a proxy before the server at target; the end of the test stops it.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
	p.work.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set replaces the fault and counts bytes from now on.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.passed, p.hits = f, [2]int64{}, 0
	close(p.changed)
	p.changed = make(chan struct{})
}

// Down ends every connection and refuses new ones until it is called with false.
func (p *Proxy) Down(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse = down; down {
		p.reset()
	}
}

// Refused is how many connections were refused, ever.
func (p *Proxy) Refused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

// AwaitRefused waits until n connections have been refused, or the test is over.
func (p *Proxy) AwaitRefused(t testing.TB, n int) {
	t.Helper()
	for p.Refused() < n && t.Context().Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
}

// Passed is how many bytes went in the direction since Set.
func (p *Proxy) Passed(d Direction) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed[d]
}

// Hits is how often the fault happened since Set.
func (p *Proxy) Hits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits
}

// Await waits until the fault has happened n times since Set, or the test is over.
func (p *Proxy) Await(t testing.TB, n int) {
	t.Helper()
	for p.Hits() < n && t.Context().Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	_ = p.listener.Close()
	p.reset()
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	p.work.Wait()
}

// reset ends every connection at once. The caller holds mu.
func (p *Proxy) reset() {
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(client) })
	}
}

// hold keeps a connection, unless the proxy is down.
func (p *Proxy) hold(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		p.refused++
	}
	for _, c := range conns {
		if p.closed || p.refuse {
			_ = c.Close()
			continue
		}
		p.conns[c] = true
	}
	return !p.closed && !p.refuse
}

func (p *Proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !p.hold(client, server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pipe(server, client, Up) })
	both.Go(func() { p.pipe(client, server, Down) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// pipe forwards one direction of a connection until either end closes.
func (p *Proxy) pipe(to, from net.Conn, d Direction) {
	defer func() {
		if tcp, ok := to.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}()
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			pass, end := p.judge(d, int64(n))
			if _, werr := to.Write(buf[:pass]); werr != nil {
				return
			}
			if end {
				_ = to.Close()
				_ = from.Close()
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// judge counts n bytes and says how many of them go on, and whether the
// connection ends with them. It waits as long as the fault holds them back.
func (p *Proxy) judge(d Direction, n int64) (pass int64, end bool) {
	p.mu.Lock()
	f, before, changed := p.fault, p.passed[d], p.changed
	p.passed[d] += n
	if f.Kind == None || f.Direction != d || before+n <= f.After {
		p.mu.Unlock()
		return n, false
	}
	pass = max(0, f.After-before)
	p.hits++
	switch f.Kind {
	case Cut:
		p.fault = Fault{}
		p.reset()
		p.mu.Unlock()
		return 0, true
	case Truncate:
		p.fault = Fault{}
		p.mu.Unlock()
		return pass, true
	}
	p.mu.Unlock()
	var late <-chan time.Time
	if f.Kind == Delay {
		timer := time.NewTimer(f.Wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-late:
	case <-changed:
	}
	return n, false
}
