package web

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arus/app/control"
	"arus/app/control/controltest"
	"arus/app/model"
)

// upload sends a file as the form of backupUpload does.
func (s *site) upload(c *http.Client, name string, text []byte) (int, string) {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	s.must(err)
	_, err = part.Write(text)
	s.must(errors.Join(err, form.Close()))
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+backupUpload, io.NopCloser(&body))
	s.must(err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	return s.do(c, req)
}

// TestBackupsAreUploaded from another Arus, also when they are larger than a form
// may be, and by nobody else than an admin.
func TestBackupsAreUploaded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	there := controltest.Open(t, filepath.Join(t.TempDir(), "there"), s.now, s.service.Log)
	// What cannot be compressed, so that the file is larger than maxForm.
	noise := make([]byte, 2*maxForm)
	state := uint64(88172645463325252)
	for i := range noise {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		noise[i] = byte(state)
	}
	s.must(os.WriteFile(filepath.Join(there.Store.Dir(), "arus.yaml"), append([]byte("# "), bytes.ReplaceAll(noise, []byte("\n"), []byte(" "))...), 0o600))
	made, err := there.Backup(s.admin, control.BackupOptions{})
	s.must(err)
	text, err := os.ReadFile(made.File)
	s.must(err)
	if len(text) <= maxForm {
		t.Fatalf("the backup has %d bytes only", len(text))
	}
	name := filepath.Base(made.File)
	if status, _ := s.upload(s.client(model.RoleEditor), name, text); status != http.StatusForbidden {
		t.Errorf("by an editor: %d", status)
	}
	c := s.client(model.RoleAdmin)
	for what, body := range map[string][]byte{"nothing": nil, "half": text[:len(text)/2], "words": []byte("no backup at all, but long enough")} {
		if status, page := s.upload(c, name, body); status != http.StatusUnprocessableEntity || !strings.Contains(main(page), "File is ") && !strings.Contains(main(page), "File it is") {
			t.Errorf("%s: %d %.400s", what, status, main(page))
		}
	}
	s.want(c, backupUpload, url.Values{"file": {"x"}}, http.StatusUnprocessableEntity, "No file was sent")
	if status, page := s.upload(c, "anything", text); status != http.StatusOK || !strings.Contains(page, "is here and whole") || !strings.Contains(page, name) {
		t.Fatalf("%d %.400s", status, main(page))
	}
	if status, page := s.upload(c, name, text); status != http.StatusUnprocessableEntity || !strings.Contains(page, "is there already") {
		t.Errorf("twice: %d %.400s", status, main(page))
	}
	if status, got := s.get(c, "/backups/"+name+"/download"); status != http.StatusOK || got != string(text) {
		t.Errorf("it is kept otherwise than it came: %d, %d bytes of %d", status, len(got), len(text))
	}
}

// TestRestoringWithoutScripts asks for the name, says why nothing was restored,
// and offers to go on without a key where there is none.
func TestRestoringWithoutScripts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.client(model.RoleAdmin)
	if _, page := s.get(c, "/backups/restore"); !strings.Contains(page, "No backups yet") {
		t.Errorf("a restore that nobody began: %.300s", main(page))
	}
	there := controltest.Open(t, filepath.Join(t.TempDir(), "there"), s.now, s.service.Log)
	remote, err := there.Registry.ParseURL("postgres://reader:" + dbPassword + "@127.0.0.1:1/crm")
	s.must(err)
	_, err = there.AddSource(s.admin, control.SourceInput{Name: "crm", Connection: remote})
	s.must(err)
	made, err := there.Backup(s.admin, control.BackupOptions{})
	s.must(err)
	text, err := os.ReadFile(made.File)
	s.must(err)
	if status, page := s.upload(c, "x", text); status != http.StatusOK {
		t.Fatalf("%d %.300s", status, main(page))
	}
	name := filepath.Base(made.File)
	path := "/backups/" + name + "/restore"
	if _, page := s.get(c, path); strings.Contains(page, `action="`+path) {
		t.Error("a restore is offered where there is no server to do it")
	}
	handed := make(chan *control.LiveRestore, 1)
	s.service.OnRestore = func(l *control.LiveRestore) { handed <- l }
	if _, page := s.get(c, path); !strings.Contains(main(page), "Sources 0 1") || !strings.Contains(main(page), "Accounts 3 0") || !strings.Contains(page, "arus restore --data") || strings.Contains(page, "without_key") {
		t.Errorf("the page: %.900s", main(page))
	}
	s.want(c, path, url.Values{"confirm": {"restore"}}, http.StatusUnprocessableEntity, "must be the name of the backup")
	if _, known, _ := s.service.Restoring(s.admin); known {
		t.Error("it began without its name")
	}
	over := func() string {
		t.Helper()
		for {
			_, page := s.get(c, "/backups/restore")
			if st, _, err := s.service.Restoring(s.admin); err != nil || !st.Active() || st.Phase == control.RestoreReplaces {
				s.must(err)
				_, page = s.get(c, "/backups/restore")
				return page
			}
			if !strings.Contains(page, "It goes on") {
				t.Fatalf("%.400s", main(page))
			}
		}
	}
	s.post(c, path, url.Values{"confirm": {name}})
	if page := over(); !strings.Contains(page, "sealed with a key that is not here") || !strings.Contains(page, path+"?keyless=yes") {
		t.Errorf("without a key: %.600s", main(page))
	}
	if _, page := s.get(c, path+"?keyless=yes"); !strings.Contains(page, `name="without_key"`) {
		t.Errorf("it does not offer to go on without the key: %.600s", main(page))
	}
	s.post(c, path, url.Values{"confirm": {name}, "without_key": {"true"}})
	if page := over(); !strings.Contains(page, "It goes on") || !strings.Contains(page, "put the backup in place") {
		t.Errorf("%.600s", main(page))
	}
	if l := <-handed; l.File() != name {
		t.Errorf("it restores %s", l.File())
	}
	s.want(c, path, url.Values{"confirm": {name}}, http.StatusUnprocessableEntity, "is being restored already")
	if _, page := s.get(c, "/backups"); !strings.Contains(page, "A backup is being restored") {
		t.Errorf("the list does not say it: %.300s", main(page))
	}
}
