package conformance

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"arus/connectors"
)

// Questions counts how often a client asked a server something, as a proxy between the two sees it: each time that the client
// speaks after the server did. It needs no help of the server, and nobody else's questions are counted.
type Questions struct {
	Address string // where the proxy listens
	asked   atomic.Int64
}

// CountQuestions starts a proxy to address that lives until the test ends.
func CountQuestions(t testing.TB, address string) *Questions {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed with the test
	if err != nil {
		t.Fatal(err)
	}
	q := &Questions{Address: listener.Addr().String()}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { q.serve(client, address) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wait.Wait()
	})
	return q
}

func (q *Questions) serve(client net.Conn, address string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", address) //nolint:noctx // closed with the client
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var answered atomic.Bool
	answered.Store(true)
	pump := func(to, from net.Conn, note func()) {
		defer func() {
			_ = to.Close()
			_ = from.Close()
		}()
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				note()
				if _, err := to.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	var wait sync.WaitGroup
	wait.Go(func() { pump(client, server, func() { answered.Store(true) }) })
	pump(server, client, func() {
		if answered.Swap(false) {
			q.asked.Add(1)
		}
	})
	wait.Wait()
}

// Since gives how many questions were asked after the given count.
func (q *Questions) Since(count int64) int64 { return q.asked.Load() - count }

// ManyTables discovers what the script for n tables made, in as many questions as one table takes. The script gives the
// tables the names t1 to tn.
func ManyTables(t *testing.T, s connectors.Source, q *Questions, n int) {
	t.Helper()
	discover := func(filter connectors.TableFilter) (tables []connectors.Table, questions int64, took time.Duration) {
		before, started := q.asked.Load(), time.Now()
		tables, err := s.Tables(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		return tables, q.Since(before), time.Since(started)
	}
	discover(connectors.TableFilter{Names: []string{"t1"}}) // whatever is asked once a connection
	one, questions, _ := discover(connectors.TableFilter{Names: []string{"t1"}})
	all, most, took := discover(connectors.TableFilter{})
	t.Logf("%d tables in %s and %d questions", len(all), took, most)
	if len(one) != 1 || len(all) != n {
		t.Fatalf("%d and %d tables were discovered, want 1 and %d", len(one), len(all), n)
	}
	if most != questions {
		t.Errorf("%d tables take %d questions and one takes %d", n, most, questions)
	}
	if took > 5*time.Second {
		t.Errorf("%d tables take %s", n, took)
	}
	for _, table := range all {
		if len(table.Columns) != 3 || len(table.PrimaryKey) != 1 {
			t.Fatalf("%s has the columns %v and the key %v", table.TableRef, connectors.ColumnNames(table.Columns), table.PrimaryKey)
		}
	}
}
