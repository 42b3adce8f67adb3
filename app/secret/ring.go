// Package secret seals the passwords that Arus keeps and stops secrets in the clear from being printed.
package secret

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/fernet/fernet-go"
)

const (
	// KeyFile is the name of the key file inside the data directory.
	KeyFile = "arus.key"
	// KeyEnv is the environment variable that takes the place of the key file.
	KeyEnv = "ARUS_ENCRYPTION_KEY"
)

// ErrWrongKey is returned by Ring.Open when no key of the ring opens the value.
var ErrWrongKey = errors.New("wrong encryption key")

// Ring seals with its first key and opens with any of its keys, so that a new key put in front of the old one takes over
// without locking anything out. It is safe for concurrent use.
type Ring struct {
	mu   sync.RWMutex
	keys []*fernet.Key
	from string // where the keys came from, in words
	file string // "" when they came from the environment
}

// Load takes the keys from env, the value of ARUS_ENCRYPTION_KEY, when it is set, else from the key file in dataDir, which
// is made with a fresh key when there is none. A key is 32 bytes in URL-safe base64; several are separated by commas, the
// first one seals. The key file is readable by its owner only. Errors name the file or variable, never its content.
func Load(dataDir, env string) (*Ring, error) {
	if strings.TrimSpace(env) != "" {
		return parse(env, "the environment variable "+KeyEnv)
	}
	file := filepath.Join(dataDir, KeyFile)
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = createKeyFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("load the encryption key: %w", err)
	}
	if runtime.GOOS != "windows" {
		if err := restrict(file); err != nil {
			return nil, fmt.Errorf("restrict the key file to its owner: %w", err)
		}
	}
	r, err := parse(string(b), "the key file "+file)
	if err != nil {
		return nil, err
	}
	r.file = file
	return r, nil
}

// Seal encrypts the text with the first key.
func (r *Ring) Seal(text string) (string, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	token, err := fernet.EncryptAndSign([]byte(text), r.keys[0])
	if err != nil {
		return "", fmt.Errorf("seal a secret: %w", err)
	}
	return string(token), nil
}

// Open decrypts what Seal made, with whichever key fits. Sealed values do not age.
func (r *Ring) Open(sealed string) (string, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	// A ttl of zero or less means that the age of the token is not looked at.
	text := fernet.VerifyAndDecrypt([]byte(sealed), -1, r.keys)
	if text == nil {
		return "", fmt.Errorf("open a stored secret with %s: %w: put the key back that it was sealed with (several keys are "+
			"separated by commas), or enter the secret again", r.from, ErrWrongKey)
	}
	return string(text), nil
}

func parse(text, from string) (*Ring, error) {
	r := &Ring{from: from}
	for i, word := range strings.Split(strings.TrimSpace(text), ",") {
		key, ok := decode(strings.TrimSpace(word))
		if !ok {
			return nil, fmt.Errorf("key %d in %s is not 32 bytes in URL-safe base64 (44 characters): restore it from a copy", i+1, from)
		}
		r.keys = append(r.keys, key)
	}
	return r, nil
}

func decode(word string) (*fernet.Key, bool) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(word, "="))
	var key fernet.Key
	if err != nil || len(b) != len(key) {
		return nil, false
	}
	copy(key[:], b)
	return &key, true
}

// createKeyFile makes the key durable before anything can be sealed with it. It never writes over an existing file.
func createKeyFile(file string) (text []byte, err error) {
	var key fernet.Key
	if err := key.Generate(); err != nil {
		return nil, fmt.Errorf("generate a key: %w", err)
	}
	text = []byte(key.Encode() + "\n")
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = syncDir(filepath.Dir(file))
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(file))
	}
	return text, nil
}

// syncDir makes a new directory entry survive a power cut. Windows neither needs nor allows it.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// restrict takes group and others their rights on the file, as left behind by a copy or an unpacked backup.
func restrict(file string) error {
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	return os.Chmod(file, 0o600)
}
