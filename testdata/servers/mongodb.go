package servers

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// MongoDB returns the URL of a server that speaks MongoDB's protocol, or skips the test. The one that the command
// starts is FerretDB: it has neither $sample nor Decimal128, sessions, transactions or killOp.
func MongoDB(t testing.TB) string {
	t.Helper()
	return address(t, envMongoDB)
}

// MongoDBDatabase returns the URL of a database with a name of its own and drops it when the test ends. Like every
// database of that protocol it comes to be with its first document.
func MongoDBDatabase(t testing.TB) string {
	t.Helper()
	rawURL := withDatabase(t, MongoDB(t), databaseName(t))
	t.Cleanup(func() {
		ctx, cancel := cleanupContext(t)
		defer cancel()
		if err := dropMongoDB(ctx, rawURL); err != nil {
			t.Errorf("drop database of %s: %v", rawURL, err)
		}
	})
	return rawURL
}

func dropMongoDB(ctx context.Context, rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return err
	}
	client, err := mongo.Connect(options.Client().ApplyURI(rawURL))
	if err != nil {
		return err
	}
	err = client.Database(strings.TrimPrefix(u.Path, "/")).Drop(ctx)
	return errors.Join(err, client.Disconnect(ctx))
}

// ferretDB is built from testdata/ferretdb, because no package holds it.
type ferretDB struct {
	out     io.Writer
	golang  string
	source  string
	program string
}

func (f *ferretDB) find() (err error) {
	if f.golang, err = lookup("go", filepath.Join(runtime.GOROOT(), "bin")); err != nil { //nolint:staticcheck // where "go run" found it
		return err
	}
	root, err := repositoryRoot()
	if err != nil {
		return err
	}
	f.source = filepath.Join(root, "testdata", "ferretdb")
	_, err = os.Stat(filepath.Join(f.source, "go.sum"))
	return err
}

// build keeps the program in the user's cache, by what it is made of: the first time takes a minute or two.
func (f *ferretDB) build(ctx context.Context) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		text, err := os.ReadFile(filepath.Join(f.source, name))
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
	}
	_, _ = fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	dir := filepath.Join(cache, "arus", "test-servers")
	f.program = filepath.Join(dir, "ferretdb-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(f.program); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(f.out, "servers: building FerretDB, which is done once")
	// Renamed when it is whole, for another command may be building it too.
	made := f.program + fmt.Sprintf(".%d", os.Getpid())
	cmd := exec.CommandContext(ctx, f.golang, "build", "-trimpath", "-o", made, ".")
	cmd.Dir = f.source
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly -buildvcs=false")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) } // it has files of its own to remove
	cmd.WaitDelay = stopTimeout
	if text, err := cmd.CombinedOutput(); err != nil {
		_ = os.Remove(made)
		return fmt.Errorf("go build: %w: %s", err, tail(text))
	}
	return os.Rename(made, f.program)
}

func (f *ferretDB) prepare(_ context.Context, dir string) error {
	return os.Mkdir(filepath.Join(dir, "data"), 0o700)
}

func (f *ferretDB) command(dir string, ports [3]int) ([]string, error) {
	return []string{f.program, fmt.Sprintf("127.0.0.1:%d", ports[0]), filepath.Join(dir, "data")}, nil
}

// probe makes a database, whose file is in the server's directory only if this is the server.
func (f *ferretDB) probe(ctx context.Context, dir string, port int) (version string, err error) {
	client, err := mongo.Connect(options.Client().SetHosts([]string{fmt.Sprintf("127.0.0.1:%d", port)}).
		SetDirect(true).SetServerSelectionTimeout(time.Second))
	if err != nil {
		return "", err
	}
	defer func() { _ = client.Disconnect(ctx) }()
	database := client.Database("arus_probe")
	if _, err := database.Collection("probe").InsertOne(ctx, bson.D{}); err != nil {
		return "", err
	}
	made, _ := filepath.Glob(filepath.Join(dir, "data", "arus_probe*"))
	if err := database.Drop(ctx); err != nil {
		return "", err
	}
	if len(made) == 0 {
		return "", errors.New("the port belongs to another server")
	}
	return f.version()
}

// version is what the program was built from: FerretDB does not know its own when it is embedded.
func (f *ferretDB) version() (string, error) {
	info, err := buildinfo.ReadFile(f.program)
	if err != nil {
		return "", err
	}
	for _, module := range info.Deps {
		if module.Path == "github.com/FerretDB/FerretDB" {
			return strings.TrimPrefix(module.Version, "v"), nil
		}
	}
	return "", errors.New("the program is not FerretDB")
}
