package connectors

import (
	"context"
	"errors"
	"sort"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
)

// Source reads tables. Its methods may be called from several goroutines.
type Source interface {
	// Tables discovers the tables the filter admits with columns, keys and
	// estimates, in a number of queries that does not grow with the tables.
	Tables(ctx context.Context, filter TableFilter) ([]Table, error)
	// Max is the greatest value of a column, for fixing a read's upper bound;
	// ok is false when no row has a value.
	Max(ctx context.Context, table Table, column string) (b Bound, ok bool, err error)
	// Read streams the request's rows, in one consistent snapshot where the
	// database has them. Each batch has exactly the request's columns in their
	// Arrow forms; emit takes the batch over and releases it. An error of emit
	// ends the read and is returned. Cancelling ctx stops the query on the
	// server too.
	Read(ctx context.Context, req ReadRequest, emit func(arrow.RecordBatch) error) error
	Close() error
}

// Settler is the ability to look at a table's values before a read where the
// declared types do not bind them (SQLite, MongoDB): the table that comes back
// has types that hold every value.
type Settler interface {
	Settle(ctx context.Context, table Table) (Table, error)
}

// Sampler is a Settler that can take a table's types from a few of its values
// and from what is known of its columns, which spares the look at all. ok is
// false where the two do not agree. Reads of such a table have to be Exact.
type Sampler interface {
	Settler
	Sample(ctx context.Context, table Table, known []Column) (sampled Table, ok bool, err error)
}

// ErrMisfit is the end of an Exact read at a value that no column of its table
// holds. The table has to be settled, and read anew.
var ErrMisfit = errors.New("a value fits no column of the sample")

// Peeker is the ability of a source to look into many tables in few round trips.
type Peeker interface {
	// Peek reads each request as Read would, by the plan that reads all of its
	// rows, but no more than its Rows of them. emit gets the batches of request i
	// and releases them; its error ends that request alone. The errors are those
	// of the requests, in their order: a request without one was read to its end,
	// or up to its Rows.
	Peek(ctx context.Context, requests []PeekRequest, emit func(i int, batch arrow.RecordBatch) error) []error
}

// PeekRequest is a read of a table's first rows.
type PeekRequest struct {
	ReadRequest
	Rows int
}

// Noter is the ability of a source to say what a person should know about the
// values read so far, each thing once.
type Noter interface {
	Notes() []string
}

// TableFilter narrows discovery. Empty lists admit everything a person would
// call a table of theirs: system schemas are always left out.
type TableFilter struct {
	Schemas []string // exact schema names; empty = the source's default schema
	Names   []string // exact table names; empty = all
	Include []string // globs over name or schema.name
	Exclude []string
	Views   bool // views and materialised views too
}

// Bound is a value of a watermark or key column in canonical text: integers and
// decimals in decimal, text as it is, uuid in lower case, date 2006-01-02,
// timestamp 2006-01-02T15:04:05.999999 and timestamptz the same with a Z.
type Bound struct {
	Kind Kind
	Text string
}

// Window bounds a read by a watermark column.
type Window struct {
	Column string
	Lower  *Bound // inclusive; nil = from the start
	Upper  *Bound // inclusive; nil = to the end
	Nulls  bool   // rows without a value in Column too
	// Or names further columns of Column's kind: a row is also read when one of
	// them lies within the bounds (a soft delete moves deleted_at alone). Only
	// for reads; a load's window has none.
	Or []string
	// OrUpper bounds those in the place of Upper; nil = Upper does.
	OrUpper *Bound
}

// Apart gives the window of each column alone: a row is read when it lies in one
// of them. The first is Column's.
func (w Window) Apart() []Window {
	all := []Window{{Column: w.Column, Lower: w.Lower, Upper: w.Upper, Nulls: w.Nulls}}
	upper := w.Upper
	if w.OrUpper != nil {
		upper = w.OrUpper
	}
	for _, name := range w.Or {
		all = append(all, Window{Column: name, Lower: w.Lower, Upper: upper})
	}
	return all
}

// KeyRange is a stretch of a table in the order of its key, by row-value
// comparison in the source's own order.
type KeyRange struct {
	Columns []string // the key
	From    []Bound  // inclusive; nil = from the start
	To      []Bound  // exclusive; nil = to the end
}

// Chunker is the ability of a source to divide a table into stretches.
type Chunker interface {
	// Chunks divides the table by a key of columns that are never null into
	// stretches of about rows rows each, which follow each other without a gap:
	// the first has no From, the last no To. One stretch when the table is
	// smaller or the key cannot be divided. It reads the key's index at most.
	Chunks(ctx context.Context, table Table, key []string, rows int64) ([]KeyRange, error)
}

// ReadRequest says which rows to read and in what shape.
type ReadRequest struct {
	Table   Table
	Columns []Column // what each batch holds, in this order
	Window  *Window
	Range   *KeyRange // together with Window: rows that meet both
	OrderBy []string  // ascending by these columns; only set where an order is needed
	Exact   bool      // of a Sampler: fail with ErrMisfit rather than leave anything out
	Limits  Limits
}

// Limits bound one batch; whichever is reached first closes it.
type Limits struct {
	Rows  int
	Bytes int

	// Breathe is called between rows now and then, to let others have the processor;
	// nil: nobody needs it.
	Breathe func()
}

// DefaultLimits are the bounds of a batch when nothing else is said.
var DefaultLimits = Limits{Rows: 64 << 10, Bytes: 8 << 20}

// OrDefault replaces absent limits by the defaults.
func (l Limits) OrDefault() Limits {
	if l.Rows <= 0 {
		l.Rows = DefaultLimits.Rows
	}
	if l.Bytes <= 0 {
		l.Bytes = DefaultLimits.Bytes
	}
	return l
}

// Destination writes tables. Its methods may be called from several goroutines,
// for different targets.
type Destination interface {
	// Table describes an existing target, without the two metadata columns;
	// ok is false when it is absent.
	Table(ctx context.Context, ref TableRef) (t Table, ok bool, err error)
	// Begin starts loading one target. It takes the target's lock (one that
	// another Arus holds for longer than LockWait is a Conflict error), sweeps what a killed load left
	// behind, and makes nothing visible before Commit.
	Begin(ctx context.Context, req LoadRequest) (Load, error)
	// Holds says what the types of the connected server take.
	Holds() Holds
	Close() error
}

// Surveyor is the ability of a destination to describe many targets in a number
// of queries that does not grow with them.
type Surveyor interface {
	// Survey is Table for each of them; a target that is absent gives nil.
	Survey(ctx context.Context, refs []TableRef) ([]*Table, error)
}

// Load is one target being loaded. Write, Commit and Abort are called by one
// goroutine. Exactly one of Commit and Abort ends it.
type Load interface {
	// Write takes the batch over and releases it. The rows need not be durable yet.
	Write(ctx context.Context, batch arrow.RecordBatch) error
	// Commit makes all rows durable and visible at once, as the mode says.
	Commit(ctx context.Context) (LoadResult, error)
	// Abort leaves the target as it was and removes what the load made. It
	// uses its own deadline, so that it works after a cancelled context.
	Abort() error
}

// PartLoad is the ability of a Replace load that was begun with a Resume token
// to be filled in parts, each of which lasts.
type PartLoad interface {
	Load
	// Part begins one part. A part that an earlier run committed under this name
	// is done. Parts may be filled by several goroutines at a time, each by one;
	// the Commit of a part makes its rows durable, not visible, and a part that
	// was committed again after a crash stands there once.
	Part(ctx context.Context, name string) (part Load, done bool, err error)
	// Suspend ends the load and keeps its finished parts for a later Begin with
	// the same token. Like Abort it uses its own deadline.
	Suspend() error
}

// Limiter is the ability of a load to say how long the values of its columns
// may be: characters of text, bytes of bytes, 0 for no limit, by column of the
// request. The pipeline's policy decides about longer ones.
type Limiter interface {
	MaxLengths() []int
}

// LoadMode says how a load's rows meet those already in the target.
type LoadMode uint8

const (
	// Replace makes the load's rows the whole table, by an atomic swap.
	Replace LoadMode = iota + 1
	// Merge upserts by LoadRequest.Key; the target is made if absent.
	Merge
	// ReplaceWindow deletes the target's rows of LoadRequest.Window and
	// inserts the load's, in one transaction: for tables without a key.
	ReplaceWindow
	// Retain loads keys, no rows: Columns are the key columns, and Commit
	// deletes (or marks, see RetainLimits) the target's rows whose key did not
	// arrive. In raw mode each deleted key leaves a tombstone in the staging
	// table: _data with the key columns and MetaDeletedAt.
	Retain
	// Remove is the other way round: Commit deletes the target's rows whose key
	// arrived, in raw mode with a tombstone for each that was there. A target
	// that is absent has none of them.
	Remove
)

func (m LoadMode) String() string {
	switch m {
	case Replace:
		return "replace"
	case Merge:
		return "merge"
	case ReplaceWindow:
		return "replace window"
	case Retain:
		return "retain"
	case Remove:
		return "remove"
	}
	return "invalid"
}

// LoadRequest describes one load. Every target table gets, after Columns,
// _arus_run_id (uuid, not null) and _arus_synced_at (timestamptz, default now).
type LoadRequest struct {
	Target   TableRef
	Columns  []Column // what each batch holds, in this order
	Key      []string // the target's primary key; empty for tables without one
	Mode     LoadMode
	Window   *Window       // ReplaceWindow: the rows to replace
	RunID    string        // UUID text, written to every row
	SyncedAt time.Time     // written to every row, UTC
	Raw      *RawTarget    // raw mode: rows land here as JSON, the target is built from them
	LockWait time.Duration // how long Begin waits for the target's lock; 0 = DefaultLockWait
	// Careful loads batch by batch: a Write that fails with KindType or
	// KindConstraint leaves the load as it was before that batch, and Commit
	// refuses no row for its content. Slower; for finding the rows that a
	// destination refuses.
	Careful bool
	// Again says that an earlier load of this run may have been committed though
	// nobody heard of it. What it left in the staging table goes, tombstones apart,
	// so that a row of the run is there once.
	Again bool
	// Resume names a Replace that is filled in parts over several runs (see
	// PartLoad): Begin finds the parts of an earlier Begin with the same token
	// and target, and sweeps those of other tokens.
	Resume string
	Retain RetainLimits // Retain only
}

// RetainLimits say how Retain treats what is gone from the source.
type RetainLimits struct {
	Mark bool // set MetaDeletedAt to SyncedAt where it is null, instead of deleting
	// MaxShare is the greatest share of the target's rows, 0 to 1, that may be
	// deleted or newly marked; more is a Conflict error that changes nothing and
	// names both counts. 0 = no limit.
	MaxShare float64
}

// DefaultLockWait outlasts the moment in which a server has not yet noticed
// that the program that held a lock was killed.
const DefaultLockWait = 15 * time.Second

// Wait is LockWait or its default.
func (r LoadRequest) Wait() time.Duration {
	if r.LockWait > 0 {
		return r.LockWait
	}
	return DefaultLockWait
}

// RawTarget is the staging table of raw mode: _arus_id, _arus_run_id,
// _arus_extracted, _data (one JSON object a row, as AppendRowJSON writes it).
type RawTarget struct {
	Table TableRef
}

// LoadResult counts what a committed load did.
type LoadResult struct {
	Rows     int64 // rows that arrived in the target
	RawRows  int64 // rows that arrived in the staging table, kept ones too; 0 in direct mode
	Deleted  int64 // rows that Retain deleted or marked, or Remove deleted
	Upserted int64 // Merge: how often the server says that it inserted or updated a row; 0 where it does not say
}

// Alterer is the ability of a destination to change a target that Arus made.
type Alterer interface {
	// Alter adds columns, which read null in the rows present, and changes the
	// types of others to ones that hold every value they have (see Widen), in
	// one step where the server can; one of widen that is Nullable takes nulls
	// from then on, whatever it did. Views on the target survive.
	Alter(ctx context.Context, ref TableRef, add, widen []Column) error
}

// Counter is the ability of a destination to count what a target holds, each row
// once where the server keeps several versions of it.
type Counter interface {
	Count(ctx context.Context, req CountRequest) (Counts, error)
}

// CountRequest says which rows of a target to count.
type CountRequest struct {
	Target TableRef
	RunID  string   // only the rows that this run loaded; "" = all
	Nulls  []string // columns whose nulls to count
}

// Counts are the rows, and those of them without a value by column of the request.
type Counts struct {
	Rows  int64
	Nulls []int64
}

// Rebuilder is the ability of a destination to make a target anew from its
// staging table alone, set-wise and swapped in as by Replace.
type Rebuilder interface {
	Rebuild(ctx context.Context, req RebuildRequest) (LoadResult, error)
	// PruneRaw deletes the staging table's rows that were extracted before t,
	// except the newest of each key and those of the run base and later ones.
	// Dead letters are nobody's newest: they go with what the base replaced.
	PruneRaw(ctx context.Context, req RebuildRequest, t time.Time) (int64, error)
}

// RebuildRequest says what to build from which rows: those of run Base (the last
// full load; "" = all) and everything extracted after it; of each key the
// newest, unless that is a tombstone.
type RebuildRequest struct {
	Raw     TableRef
	Target  TableRef
	Columns []Column
	Key     []string // empty only where nothing followed the run Base
	Base    string   // run id
	Fitting bool     // leave out dead letters (see RawKeeper): of their keys the newest other row counts
}

// MetaRunID and MetaSyncedAt are the two columns every target table has.
// MetaDeletedAt (timestamptz, null = present) is an ordinary column of the load
// that the engine adds where deleted rows are to be marked.
const (
	MetaRunID     = "_arus_run_id"
	MetaSyncedAt  = "_arus_synced_at"
	MetaDeletedAt = "_arus_deleted_at"
)

// Connector is a kind of database: how it is named and opened.
type Connector struct {
	Type            string   // as stored: postgresql, mysql, mariadb, ...
	Schemes         []string // URL schemes
	DefaultPort     int      // 0 when it has none
	File            bool     // named by a path, not by host and port
	MaxIdentifier   int      // bytes a table or column name may have
	OpenSource      func(ctx context.Context, cfg Config) (Source, error)
	OpenDestination func(ctx context.Context, cfg Config) (Destination, error)
	Check           CheckFunc // nil where opening is all there is to test
}

// Holds says which values a destination's own types can take where databases
// differ; the engine applies the pipeline's policy to the others before they
// are loaded. A load still refuses what it cannot hold.
type Holds struct {
	NUL           bool         // U+0000 in text
	NaN           bool         // NaN and infinities in float columns
	DecimalNaN    bool         // NaN in decimal columns
	NumericNaN    bool         // NaN and infinities in numeric columns
	InfiniteTimes bool         // infinite dates and timestamps
	InvalidDates  bool         // dates no calendar has, see InvalidDate
	MinDate       arrow.Date32 // dates and timestamps lie between the two,
	MaxDate       arrow.Date32 // both inclusive; both 0 = as far as the Arrow forms reach
}

// Registry is the explicit list of connectors by type.
type Registry map[string]Connector

// ByScheme finds the connector of a URL scheme.
func (r Registry) ByScheme(scheme string) (Connector, bool) {
	for _, c := range r {
		for _, s := range c.Schemes {
			if strings.EqualFold(s, scheme) {
				return c, true
			}
		}
	}
	return Connector{}, false
}

// Types lists the connector types in order; source and destination say which
// ability each must have.
func (r Registry) Types(source, destination bool) []string {
	var types []string
	for t, c := range r {
		if (!source || c.OpenSource != nil) && (!destination || c.OpenDestination != nil) {
			types = append(types, t)
		}
	}
	sort.Strings(types)
	return types
}
