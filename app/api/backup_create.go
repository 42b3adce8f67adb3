package api

import (
	"io"
	"mime"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"arus/app/control"
)

type backupAnswer struct {
	File      string    `json:"file"`
	Bytes     int64     `json:"bytes"`
	CreatedAt time.Time `json:"created_at"`
	Tables    int       `json:"warehouse_tables"`
	Outside   []string  `json:"outside"`
}

func backupOf(info control.BackupInfo) backupAnswer {
	return backupAnswer{filepath.Base(info.File), info.Bytes, info.CreatedAt, info.Tables, info.Outside}
}

// backupCreate writes a backup into the backups folder of the data directory.
func backupCreate(c *call) (any, error) {
	info, err := c.Control.Backup(c.ctx, control.BackupOptions{})
	return created(backupOf(info)), err
}

// backupAdd takes a backup that was made elsewhere: its bytes are the body.
func backupAdd(c *call) (any, error) {
	info, err := c.Control.AddBackup(c.ctx, Patient(c.w, c.r.Body))
	return created(backupOf(info)), err
}

// patience is how long a body may pause that is larger than a form.
const patience = time.Minute

// Patient reads a body of any size: as long as something comes, it may go on.
func Patient(w http.ResponseWriter, body io.Reader) io.Reader {
	return &patient{http.NewResponseController(w), body}
}

type patient struct {
	control *http.ResponseController
	body    io.Reader
}

// Read gives the next part time of its own.
func (p *patient) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(patience)) // where there is none, none is needed
	n, err := p.body.Read(b)
	if err != nil {
		_ = p.control.SetReadDeadline(time.Time{}) // what follows takes as long as it needs
	}
	return n, err
}

// backupList lists the backups folder.
func backupList(c *call) (any, error) {
	list, err := c.Control.ListBackups(c.ctx)
	items := make([]backupAnswer, len(list))
	for i, info := range list {
		items[i] = backupOf(info)
	}
	return items, err
}

// backupGet sends a backup as it is.
func backupGet(c *call) (any, error) {
	name := c.r.PathValue("file")
	f, err := c.Control.OpenBackup(c.ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	c.w.WriteHeader(http.StatusOK)
	// The answer has begun: a connection that breaks is seen by its length.
	_, _ = io.Copy(c.w, f)
	return written{}, nil
}
