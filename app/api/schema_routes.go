package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"arus/app/auth"
	"arus/connectors/warehouse"
	"arus/connectors/warehouse/schema"
)

// tableRoutes is every path of the warehouse's own interface, which clients of
// AresDB speak: its statuses where all is well, no envelope, errors as message
// and cause.
func tableRoutes() []route {
	return []route{
		{"GET", "/schema/tables", auth.Read, schemaTableList, "The tables of the warehouse", "", nil, []string{}},
		{"POST", "/schema/tables", auth.EditWarehouse, schemaTableCreate, "Make a table", "", schema.Table{}, nil},
		{"GET", "/schema/tables/{table}", auth.Read, schemaTableGet, "The schema of a table", "", nil, schema.Table{}},
		{"PUT", "/schema/tables/{table}", auth.EditWarehouse, schemaTableUpdate, "Change the configuration of a table, or push its whole schema; plan=true only says what would change", "plan", schema.Table{}, schema.Table{}},
		{"DELETE", "/schema/tables/{table}", auth.EditWarehouse, schemaTableDelete, "Remove a table with its data", "", nil, nil},
		{"POST", "/schema/tables/{table}/columns", auth.EditWarehouse, schemaColumnCreate, "Add a column to a table", "", schema.AddColumn{}, nil},
		{"PUT", "/schema/tables/{table}/columns/{column}", auth.EditWarehouse, schemaColumnUpdate, "Change the configuration of a column", "", schema.ColumnConfig{}, nil},
		{"DELETE", "/schema/tables/{table}/columns/{column}", auth.EditWarehouse, schemaColumnDelete, "Delete a column with its data", "", nil, nil},
		{"GET", "/schema/tables/{table}/columns/{column}/enum-cases", auth.Read, schemaCaseList, "The cases of an enum column, in the order of their numbers", "", nil, []string{}},
		{"POST", "/schema/tables/{table}/columns/{column}/enum-cases", auth.EditWarehouse, schemaCaseAdd, "Add cases to an enum column; answers their numbers", "", casesBody{}, []int{}},

		{"POST", "/data/{table}/{shard}", auth.EditWarehouse, schemaDataPost, "Upsert rows: an upsert batch of AresDB, or JSON, NDJSON or CSV by the content type", "", nil, warehouse.Summary{}},

		{"GET", "/dbg/{table}/{shard}", auth.Maintain, schemaDebugGet, "Figures about a table's rows and files", "", nil, statsAnswer{}},
		{"POST", "/dbg/{table}/{shard}/archive", auth.Maintain, schemaDebugArchive, "Archive the rows from before a cutoff now", "", archiveBody{}, jobAnswer{}},
		{"POST", "/dbg/{table}/{shard}/backfill", auth.Maintain, schemaDebugBackfill, "Move late rows into their days now", "", nil, jobAnswer{}},
		{"POST", "/dbg/{table}/{shard}/snapshot", auth.Maintain, schemaDebugSnapshot, "Write a dimension table's snapshot now", "", nil, jobAnswer{}},
		{"POST", "/dbg/{table}/{shard}/purge", auth.Maintain, schemaDebugPurge, "Remove days of a table now", "", purgeBody{}, jobAnswer{}},
		{"POST", "/dbg/{table}/{shard}/compact", auth.Maintain, schemaDebugCompact, "Rewrite files with rows and columns that are gone now", "", nil, jobAnswer{}},
	}
}

const (
	// maxTableBody bounds a body, both as it comes and unpacked. A schema of 65,536
	// columns is within it.
	maxTableBody = 32 << 20
	// maxBodies bounds the bodies that are in memory at a time.
	maxBodies = 2 * maxTableBody
	// bodyWait is how long a body waits for others to be done.
	bodyWait = 20 * time.Second
	// minPacked is the least answer that is packed.
	minPacked = 1024
)

// Tables is the whole of /schema, /data and /dbg.
func (a *API) Tables() http.Handler {
	a.bodies = semaphore.NewWeighted(maxBodies)
	methods := map[string]map[string]route{}
	for _, rt := range tableRoutes() {
		if methods[rt.path] == nil {
			methods[rt.path] = map[string]route{}
		}
		methods[rt.path][rt.method] = rt
	}
	mux := http.NewServeMux()
	f := form{maxBody: maxTableBody, write: writeTable, fail: failTable}
	for path, byMethod := range methods {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			method := r.Method
			if method == http.MethodHead {
				method = http.MethodGet
			}
			rt, ok := byMethod[method]
			if !ok {
				allowed := make([]string, 0, len(byMethod))
				for m := range byMethod {
					allowed = append(allowed, m)
				}
				slices.Sort(allowed)
				w.Header().Set("Allow", strings.Join(allowed, ", "))
				writeFault(w, http.StatusMethodNotAllowed, "Method not allowed", "")
				return
			}
			a.serveAs(f, w, asBearer(r), rt)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeFault(w, http.StatusNotFound, "404 page not found", "")
	})
	return mux
}

// asBearer takes a token that stands as the password of a URL, which is where
// clients that know of no tokens can put it.
func asBearer(r *http.Request) *http.Request {
	if _, token, ok := r.BasicAuth(); ok {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// fault is an error as AresDB's clients read it.
type fault struct {
	Message string  `json:"message"`
	Cause   *string `json:"cause"`
}

func writeFault(w http.ResponseWriter, status int, message, cause string) {
	writeJSON(w, status, fault{message, orNil(cause)})
}

// messageError is an error with another message, for callers who compare it.
type messageError struct {
	error
	message string
}

func (e messageError) Unwrap() error { return e.error }

// absentAs gives what does not exist the message that a GET of AresDB has.
func absentAs(err error) error {
	e, ok := errors.AsType[*schema.Error](err)
	switch {
	case !ok:
	case e.Message == schema.MsgTableMissing:
		return messageError{err, "Bad request: table does not exist"}
	case e.Message == schema.MsgColumnMissing, e.Message == schema.MsgNotEnum:
		return messageError{&schema.Error{Class: schema.NotFound}, "Bad request: column does not exist"}
	}
	return err
}

// failTable sends an error.
func failTable(a *API, w http.ResponseWriter, r *http.Request, rt route, err error) {
	e, ok := errors.AsType[*schema.Error](err)
	switch {
	case ok:
		status := map[schema.Class]int{schema.Invalid: http.StatusBadRequest, schema.NotFound: http.StatusNotFound, schema.Conflict: http.StatusConflict}[e.Class]
		message, cause := e.Message, e.Column
		if m, ok := errors.AsType[messageError](err); ok {
			message = m.message
		}
		if cause != "" {
			cause = "column " + cause
		}
		writeFault(w, status, message, cause)
		return
	case errors.Is(err, errBusy):
		w.Header().Set("Retry-After", "1")
		writeFault(w, http.StatusServiceUnavailable, err.Error(), "")
		return
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, errUnpacked) {
		writeFault(w, http.StatusRequestEntityTooLarge, "Bad request: the body is larger than "+strconv.Itoa(maxTableBody>>20)+" MiB: send it in parts", "")
		return
	}
	status, answer := Status(err)
	if status == http.StatusInternalServerError {
		a.Log.ErrorContext(r.Context(), "a request failed", "method", rt.method, "route", rt.path, "error", err)
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="arus"`)
	}
	writeFault(w, status, answer.Message, answer.Hint)
}

// writeTable sends data as it is; nil is an empty body.
func writeTable(c *call, status int, data any) {
	h := c.w.Header()
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "0")
	h.Set("Vary", "Accept-Encoding")
	if data == nil {
		c.w.WriteHeader(status)
		return
	}
	text, err := json.Marshal(data)
	if err != nil {
		failTable(c.API, c.w, c.r, route{path: c.r.URL.Path}, err)
		return
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	if len(text) < minPacked || !takesGzip(c.r) {
		c.w.WriteHeader(status)
		_, _ = c.w.Write(text)
		return
	}
	h.Set("Content-Encoding", "gzip")
	c.w.WriteHeader(status)
	z := gzip.NewWriter(c.w)
	_, _ = z.Write(text)
	_ = z.Close()
}

func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(name, "gzip") && !strings.Contains(strings.ReplaceAll(weight, " ", ""), "q=0") {
			return true
		}
	}
	return false
}

var (
	errUnpacked = errors.New("the body is too large when it is unpacked")
	errBusy     = errors.New("Service unavailable: too many concurrent ingestion requests, please try again later") //nolint:staticcheck // AresDB's words
)

// body reads the whole body, unpacked, within the bound.
func (c *call) body() ([]byte, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	var in io.Reader = c.r.Body
	switch encoding := c.r.Header.Get("Content-Encoding"); strings.ToLower(encoding) {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(c.r.Body)
		if err != nil {
			return nil, badBody(err)
		}
		in = z
	default:
		return nil, &schema.Error{Class: schema.Invalid, Message: "Bad request: the content encoding " + strconv.Quote(encoding) + " is not known, gzip is"}
	}
	var whole pieces
	n, err := io.Copy(&whole, io.LimitReader(in, maxTableBody+1))
	if err != nil {
		return nil, badBody(err)
	}
	if n > maxTableBody {
		return nil, errUnpacked
	}
	return bytes.Join(whole, nil), nil
}

// pieces are what was read so far: a body that is too long has taken no more
// than its bound.
type pieces [][]byte

const pieceSize = 1 << 20

func (p *pieces) Write(data []byte) (int, error) {
	for rest := data; len(rest) > 0; {
		last := len(*p) - 1
		if last < 0 || len((*p)[last]) == cap((*p)[last]) {
			*p = append(*p, make([]byte, 0, min(pieceSize, 32<<10<<len(*p))))
			continue
		}
		piece := (*p)[last]
		n := min(len(rest), cap(piece)-len(piece))
		(*p)[last], rest = append(piece, rest[:n]...), rest[n:]
	}
	return len(data), nil
}

// badBody is a body that breaks off or is not what it says.
func badBody(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return &schema.Error{Class: schema.Invalid, Message: "Bad request: failed to read request body"}
}

// enter waits for room in memory for a body; it is given back when the request
// has been answered.
func (c *call) enter() error {
	n := int64(maxTableBody)
	if c.r.ContentLength >= 0 && c.r.Header.Get("Content-Encoding") == "" {
		n = min(n, c.r.ContentLength)
	}
	ctx, cancel := context.WithTimeout(c.ctx, bodyWait)
	defer cancel()
	if err := c.bodies.Acquire(ctx, n); err != nil {
		return errBusy
	}
	c.leave = func() { c.bodies.Release(n) }
	return nil
}
