package connectors

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
)

// Cutter is the ability of a source or a destination to let go of its server at
// once. Cut closes every connection hard and lets none be opened any more:
// whatever waits for an answer fails, and what the server was doing for it ends
// when the server notices. Close is still to be called.
type Cutter interface {
	Cut()
}

// Sockets are the network connections of one source or destination. The zero
// value dials.
type Sockets struct {
	mu   sync.Mutex
	open map[*socket]struct{}
	cut  bool
}

var errCut = errors.New("the connections were cut because the run was over and the server had not answered in time")

// Dial connects, as a net.Dialer does, until Cut is called.
func (s *Sockets) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	s.mu.Lock()
	over := s.cut
	s.mu.Unlock()
	if over {
		return nil, errCut
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &socket{Conn: conn, of: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		_ = conn.Close()
		return nil, errCut
	}
	if s.open == nil {
		s.open = map[*socket]struct{}{}
	}
	s.open[c] = struct{}{}
	return c, nil
}

// Cut closes all connections without a word to the server, for good.
func (s *Sockets) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	for c := range s.open {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Conn.Close()
	}
	clear(s.open)
}

// socket is a connection that is known until it is closed.
type socket struct {
	net.Conn
	of *Sockets
}

func (c *socket) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// SyscallConn lets drivers look whether an idle connection still lives.
func (c *socket) SyscallConn() (syscall.RawConn, error) {
	if raw, ok := c.Conn.(syscall.Conn); ok {
		return raw.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}
