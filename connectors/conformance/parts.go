package conformance

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"arus/connectors"
)

// inParts begins a load that is filled in parts.
func inParts(t testing.TB, d connectors.Destination, req connectors.LoadRequest) connectors.PartLoad {
	t.Helper()
	l, err := d.Begin(t.Context(), req)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	parts, ok := l.(connectors.PartLoad)
	if !ok {
		_ = l.Abort()
		t.Fatal("a load with a token is not filled in parts")
	}
	return parts
}

// partOf begins a part that must be done, or must not.
func partOf(t testing.TB, l connectors.PartLoad, name string, wantDone bool) connectors.Load {
	t.Helper()
	part, done, err := l.Part(t.Context(), name)
	if err != nil {
		t.Fatalf("part %s: %v", name, err)
	}
	if done != wantDone {
		t.Fatalf("part %s is done: %v, want %v", name, done, wantDone)
	}
	return part
}

// fillPart fills a part that is not done.
func fillPart(t testing.TB, l connectors.PartLoad, req connectors.LoadRequest, name string, rows [][]any) {
	t.Helper()
	part := partOf(t, l, name, false)
	write(t, part, req.Columns, rows)
	result, err := part.Commit(t.Context())
	if err != nil {
		t.Fatalf("commit of part %s: %v", name, err)
	}
	if result.Rows != int64(len(rows)) || req.Raw != nil && result.RawRows != int64(len(rows)) {
		t.Errorf("part %s counts %+v, want %d rows", name, result, len(rows))
	}
}

// suspend ends a load and keeps its parts.
func suspend(t testing.TB, l connectors.PartLoad) {
	t.Helper()
	if err := l.Suspend(); err != nil {
		t.Errorf("suspend: %v", err)
	}
}

// commitParts commits a load that has rows in the end.
func commitParts(t testing.TB, l connectors.PartLoad, rows int) {
	t.Helper()
	result, err := l.Commit(t.Context())
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	if result.Rows != int64(rows) {
		t.Errorf("the load counts %+v, want all %d rows of its parts", result, rows)
	}
}

// partRequests are loads in parts of tables with and without a key, in both modes, with 9 old rows in the target.
func (h *Harness) partRequests(t testing.TB, d connectors.Destination) []connectors.LoadRequest {
	t.Helper()
	var all []connectors.LoadRequest
	for _, keyed := range []bool{true, false} {
		for _, raw := range []bool{false, true} {
			req := h.request(fmt.Sprintf("t_%v_%v", keyed, raw), idText(), []string{"id"}, connectors.Replace)
			if !keyed {
				req.Key = nil
			}
			if raw {
				req.Raw = &connectors.RawTarget{Table: connectors.TableRef{Schema: h.Schema, Name: req.Target.Name + "_raw"}}
			}
			load(t, d, req, counted(9, "old"))
			req.Resume = uuid.NewString()
			all = append(all, req)
		}
	}
	return all
}

// again is the request of a later run.
func again(req connectors.LoadRequest) connectors.LoadRequest {
	req.RunID = uuid.NewString()
	req.SyncedAt = req.SyncedAt.Add(3600e9)
	return req
}

func (h *Harness) wantRows(t testing.TB, what string, req connectors.LoadRequest, want [][]any) {
	t.Helper()
	if diff := cmp.Diff(byText(want), byText(h.read(t, h.source(t), req))); diff != "" {
		t.Errorf("%s, %s (-want +got):\n%.2000s", req.Target.Name, what, diff)
	}
}

// wantRaw wants so many rows in the staging table, none of them twice.
func (h *Harness) wantRaw(t testing.TB, what string, req connectors.LoadRequest, n int) {
	t.Helper()
	if req.Raw == nil {
		return
	}
	s := h.source(t)
	staged := h.find(t, s, req.Raw.Table)
	got, err := ReadAll(t.Context(), s, connectors.ReadRequest{Table: staged, Columns: h.columnsOf(t, staged, "_arus_id")})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[any]bool{}
	for _, row := range got {
		ids[row[0]] = true
	}
	if len(got) != n || len(ids) != n {
		t.Errorf("%s, %s: the staging table has %d rows with %d ids, want %d", req.Target.Name, what, len(got), len(ids), n)
	}
}

// partsLast fills parts in two runs, several at a time, and readers see the old rows until the whole is committed.
func partsLast(t *testing.T, h *Harness) {
	d, later := h.destination(t), h.destination(t)
	rows := counted(60, "new")
	for _, req := range h.partRequests(t, d) {
		l := inParts(t, d, req)
		var wait sync.WaitGroup
		for i, name := range []string{"a", "b"} {
			part := partOf(t, l, name, false)
			wait.Go(func() {
				for _, some := range batches(rows[i*20 : i*20+20]) {
					batch, err := Batch(req.Columns, some)
					if err == nil {
						err = part.Write(t.Context(), batch)
					}
					if err != nil {
						t.Errorf("write to part %s: %v", name, err)
						return
					}
				}
				if result, err := part.Commit(t.Context()); err != nil || result.Rows != 20 {
					t.Errorf("commit of part %s: %+v, %v", name, result, err)
				}
			})
		}
		wait.Wait()
		partOf(t, l, "a", true)
		half := partOf(t, l, "c", false)
		write(t, half, req.Columns, counted(7, "aborted"))
		if err := half.Abort(); err != nil {
			t.Errorf("abort of a part: %v", err)
		}
		h.wantRows(t, "before the commit", req, counted(9, "old"))
		suspend(t, l)
		h.wantRows(t, "suspended", req, counted(9, "old"))
		h.wantRaw(t, "suspended", req, 9)

		l = inParts(t, later, again(req))
		partOf(t, l, "a", true)
		partOf(t, l, "b", true)
		fillPart(t, l, req, "c", rows[40:])
		fillPart(t, l, req, "no rows", nil)
		partOf(t, l, "c", true)
		partOf(t, l, "no rows", true)
		suspend(t, l)

		l = inParts(t, d, again(again(req)))
		for _, name := range []string{"a", "b", "c", "no rows"} {
			partOf(t, l, name, true)
		}
		commitParts(t, l, 60)
		h.wantRows(t, "committed", req, rows)
		h.wantRaw(t, "committed", req, 69)

		l = inParts(t, d, again(req))
		partOf(t, l, "a", false)
		if err := l.Abort(); err != nil {
			t.Errorf("abort: %v", err)
		}
		h.wantRows(t, "after a further load was aborted", req, rows)
		req.Mode, req.Resume = connectors.Merge, ""
		if req.Key != nil {
			load(t, d, again(again(again(req))), [][]any{{"3", "merged"}})
			h.wantRows(t, "merged", req, append(slices.Delete(slices.Clone(rows), 3, 4), []any{"3", "merged"}))
		}
	}
	if left, want := len(h.tables(t, h.source(t), h.Schema)), 6; left != want {
		t.Errorf("%d tables are left, want %d", left, want)
	}
}

// partsAreSwept wants the parts of a load to go with it when it is aborted, and when another load of the target begins.
func partsAreSwept(t *testing.T, h *Harness) {
	d := h.destination(t)
	for _, req := range h.partRequests(t, d) {
		for _, end := range []string{"abort", "another token", "no token"} {
			l := inParts(t, d, req)
			fillPart(t, l, req, "a", counted(20, "lost"))
			if end == "abort" {
				if err := l.Abort(); err != nil {
					t.Errorf("abort: %v", err)
				}
			} else {
				suspend(t, l)
				elsewhere := h.request("elsewhere", idText(), []string{"id"}, connectors.Replace)
				load(t, d, elsewhere, counted(1, "x"))
				l = inParts(t, d, again(req))
				partOf(t, l, "a", true)
				suspend(t, l)
				other := again(req)
				other.Resume = map[string]string{"another token": uuid.NewString()}[end]
				o, err := d.Begin(t.Context(), other)
				if err != nil {
					t.Fatal(err)
				}
				if err := o.Abort(); err != nil {
					t.Errorf("abort: %v", err)
				}
			}
			l = inParts(t, d, again(req))
			partOf(t, l, "a", false)
			if err := l.Abort(); err != nil {
				t.Errorf("abort: %v", err)
			}
			h.wantRows(t, "after "+end, req, counted(9, "old"))
			h.wantRaw(t, "after "+end, req, 9)
		}
	}
	if left, want := len(h.tables(t, h.source(t), h.Schema)), 7; left != want {
		t.Errorf("%d tables are left, want %d", left, want)
	}
}

// partsOutliveAKill breaks the connection of a load whose one part is committed and whose other part is half written.
func partsOutliveAKill(t *testing.T, h *Harness) {
	if h.Connector.File {
		t.Skip("SKIPPED: no connection can break")
	}
	d := h.destination(t)
	rows := counted(60, "new")
	for _, req := range h.partRequests(t, d) {
		cut := startCutter(t, net.JoinHostPort(h.Config.Host, strconv.Itoa(h.Config.Port)))
		through := *h
		through.Config.Host, through.Config.Port = cut.host, cut.port
		killed := through.destination(t)
		l := inParts(t, killed, req)
		fillPart(t, l, req, "a", rows[:30])
		half := partOf(t, l, "b", false)
		write(t, half, req.Columns, rows[30:50])
		cut.cut()
		_, _ = half.Commit(t.Context())
		_ = l.Suspend()

		l = inParts(t, d, again(req))
		partOf(t, l, "a", true)
		fillPart(t, l, req, "b", rows[30:])
		h.wantRows(t, "before the commit", req, counted(9, "old"))
		commitParts(t, l, 60)
		h.wantRows(t, "committed", req, rows)
		h.wantRaw(t, "committed", req, 69)
	}
}

// aCarefulPartKeepsTheGoodRows wants a part to go on after a batch that was refused.
func aCarefulPartKeepsTheGoodRows(t *testing.T, h *Harness) {
	d := h.destination(t)
	for _, req := range h.partRequests(t, d) {
		if req.Key == nil {
			continue
		}
		req.Careful = true
		l := inParts(t, d, req)
		part := partOf(t, l, "a", false)
		write(t, part, req.Columns, counted(5, "good"))
		batch, err := Batch(req.Columns, [][]any{{"7", "good"}, {nil, "bad"}})
		if err != nil {
			t.Fatal(err)
		}
		err = part.Write(t.Context(), batch)
		if kind := connectors.KindOf(err); kind != connectors.KindType && kind != connectors.KindConstraint {
			t.Errorf("a NULL in the key gives %v (kind %q)", err, kind)
		}
		write(t, part, req.Columns, counted(8, "good")[5:])
		result, err := part.Commit(t.Context())
		if err != nil || result.Rows != 8 {
			t.Fatalf("commit of the part: %+v, %v", result, err)
		}
		commitParts(t, l, 8)
		h.wantRows(t, "committed", req, counted(8, "good"))
		h.wantRaw(t, "committed", req, 17)
	}
}

// cutter is a proxy whose connections a test can break.
type cutter struct {
	host     string
	port     int
	listener net.Listener

	mu    sync.Mutex
	ended bool
	conns []net.Conn
	wait  sync.WaitGroup
}

func startCutter(t testing.TB, address string) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed with the test
	if err != nil {
		t.Fatal(err)
	}
	at := listener.Addr().(*net.TCPAddr)
	c := &cutter{host: "127.0.0.1", port: at.Port, listener: listener}
	c.wait.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", address) //nolint:noctx // closed with the client
			if err != nil || !c.hold(client, server) {
				_ = client.Close()
				continue
			}
			for _, ends := range [][2]net.Conn{{client, server}, {server, client}} {
				c.wait.Go(func() {
					_, _ = io.Copy(ends[0], ends[1])
					_ = ends[0].Close()
					_ = ends[1].Close()
				})
			}
		}
	})
	t.Cleanup(c.cut)
	return c
}

func (c *cutter) hold(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conns...)
	return !c.ended
}

// cut breaks every connection and takes no further ones.
func (c *cutter) cut() {
	_ = c.listener.Close()
	c.mu.Lock()
	c.ended = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.wait.Wait()
}
