package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// entry is a file of an archive.
type entry struct {
	name string
	from string // a file, or
	text string // what it says
	run  bool   // it is a program
}

// writeArchives packs every program of dist/bin with what belongs to it.
func writeArchives(dist, version string) error {
	programs, err := filepath.Glob(filepath.Join(dist, "bin", "arus_*"))
	if err != nil || len(programs) == 0 {
		return errors.Join(err, fmt.Errorf("there is no program in %s/bin", dist))
	}
	rest := []entry{{name: "LICENSE", from: "LICENSE"}, {name: "README.md", from: "README.md"}}
	for _, dir := range []string{"man", "completions"} {
		files, err := filepath.Glob(filepath.Join(dist, dir, "*"))
		if err != nil {
			return err
		}
		for _, f := range files {
			rest = append(rest, entry{name: dir + "/" + filepath.Base(f), from: f})
		}
	}
	for _, program := range programs {
		platform := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(program), "arus_"), ".exe")
		base := "arus_" + version + "_" + platform
		exe := "arus"
		if strings.HasPrefix(platform, "windows") {
			exe = "arus.exe"
		}
		files := append([]entry{{name: exe, from: program, run: true}}, rest...)
		if strings.HasPrefix(platform, "linux") {
			files = append(files, entry{name: "arus.service", from: "packaging/arus.service"}, entry{name: "arus.desktop", from: "packaging/arus.desktop"},
				entry{name: "arus.png", from: filepath.Join(dist, "icons", "arus-256.png")})
		}
		if strings.HasPrefix(platform, "linux") {
			err = writeTar(filepath.Join(dist, base+".tar.gz"), base, files)
		} else {
			err = writeZip(filepath.Join(dist, base+".zip"), base, files)
		}
		if err == nil && strings.HasPrefix(platform, "darwin") {
			err = writeZip(filepath.Join(dist, "Arus_"+version+"_"+platform+".app.zip"), "", bundle(dist, program, version))
		}
		if err != nil {
			return fmt.Errorf("pack %s: %w", program, err)
		}
	}
	return nil
}

// bundle is the program as a Mac shows it: an icon to be opened, without a place
// in the Dock, since its face is in the browser.
func bundle(dist, program, version string) []entry {
	plist := `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>CFBundleName</key><string>Arus</string>
	<key>CFBundleDisplayName</key><string>Arus</string>
	<key>CFBundleIdentifier</key><string>io.arus.Arus</string>
	<key>CFBundleVersion</key><string>` + version + `</string>
	<key>CFBundleShortVersionString</key><string>` + version + `</string>
	<key>CFBundlePackageType</key><string>APPL</string>
	<key>CFBundleExecutable</key><string>arus</string>
	<key>CFBundleIconFile</key><string>arus</string>
	<key>LSMinimumSystemVersion</key><string>12.0</string>
	<key>LSUIElement</key><true/>
	<key>NSHighResolutionCapable</key><true/>
</dict>
</plist>
`
	return []entry{
		{name: "Arus.app/Contents/Info.plist", text: plist},
		{name: "Arus.app/Contents/PkgInfo", text: "APPL????"},
		{name: "Arus.app/Contents/MacOS/arus", from: program, run: true},
		{name: "Arus.app/Contents/Resources/arus.icns", from: filepath.Join(dist, "icons", "arus.icns")},
		{name: "Arus.app/Contents/Resources/LICENSE", from: "LICENSE"},
	}
}

// The same files give the same archive, whenever it is made.
func released() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func (e entry) mode() fs.FileMode {
	if e.run {
		return 0o755
	}
	return 0o644
}

func (e entry) open() (io.ReadCloser, int64, error) {
	if e.from == "" {
		return io.NopCloser(strings.NewReader(e.text)), int64(len(e.text)), nil
	}
	f, err := os.Open(e.from)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	return f, info.Size(), err
}

func writeTar(file, base string, files []entry) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	zipped := gzip.NewWriter(out)
	pack := tar.NewWriter(zipped)
	for _, e := range files {
		if err = addTar(pack, base, e); err != nil {
			break
		}
	}
	return errors.Join(err, pack.Close(), zipped.Close(), out.Close())
}

func addTar(pack *tar.Writer, base string, e entry) error {
	in, size, err := e.open()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if err := pack.WriteHeader(&tar.Header{Name: base + "/" + e.name, Size: size, Mode: int64(e.mode()), ModTime: released()}); err != nil {
		return err
	}
	_, err = io.Copy(pack, in)
	return err
}

func writeZip(file, base string, files []entry) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	pack := zip.NewWriter(out)
	for _, e := range files {
		if err = addZip(pack, base, e); err != nil {
			break
		}
	}
	return errors.Join(err, pack.Close(), out.Close())
}

func addZip(pack *zip.Writer, base string, e entry) error {
	in, _, err := e.open()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	h := &zip.FileHeader{Name: strings.TrimPrefix(base+"/"+e.name, "/"), Method: zip.Deflate, Modified: released()}
	h.SetMode(e.mode())
	w, err := pack.CreateHeader(h)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}

// writeSums writes the checksums of all that is released.
func writeSums(dist string) error {
	entries, err := os.ReadDir(dist)
	if err != nil {
		return err
	}
	var lines []string
	for _, e := range entries {
		if e.IsDir() || e.Name() == "SHA256SUMS" {
			continue
		}
		f, err := os.Open(filepath.Join(dist, e.Name()))
		if err != nil {
			return err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		lines = append(lines, hex.EncodeToString(sum.Sum(nil))+"  "+e.Name()+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	return publish(filepath.Join(dist, "SHA256SUMS"), []byte(strings.Join(lines, "")))
}
