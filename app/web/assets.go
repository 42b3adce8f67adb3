package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"sync"

	"arus/embed"
)

// assets are the files under /static. Their addresses have the hash of what is
// in them, so browsers keep them for ever; they are compressed once, when they
// are first asked for.
type assets struct {
	files map[string]*asset
}

type asset struct {
	kind   string
	hash   string
	text   []byte
	packed func() []byte
}

// newAssets reads what the binary carries.
func newAssets() *assets {
	a := &assets{files: map[string]*asset{}}
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", "": "text/plain; charset=utf-8"}
	entries, err := embed.Static.ReadDir("static")
	if err != nil {
		panic(err) // the binary does not hold what it was built with
	}
	for _, e := range entries {
		text, err := embed.Static.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(text)
		a.files[e.Name()] = &asset{kind: kinds[path.Ext(e.Name())], hash: hex.EncodeToString(sum[:6]), text: text, packed: sync.OnceValue(func() []byte { return pack(text) })}
	}
	return a
}

func pack(text []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid, and memory takes everything
	_, _ = z.Write(text)
	_ = z.Close()
	return b.Bytes()
}

// address is where a browser gets a file.
func (a *assets) address(name string) string {
	if f, ok := a.files[name]; ok {
		return "/static/" + name + "?v=" + f.hash
	}
	return "/static/" + name
}

// ServeHTTP sends a file.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[r.PathValue("name")]
	if !ok {
		plain(w, http.StatusNotFound, "there is no such file")
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", `"`+f.hash+`"`)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == f.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), f.hash) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	text := f.text
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		text = f.packed()
	}
	_, _ = w.Write(text) // the browser is gone
}
