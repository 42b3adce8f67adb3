package secret

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fernet/fernet-go"
)

// ErrNothingToRotate is the answer where the keys come from the environment and
// there is only one.
var ErrNothingToRotate = errors.New("the key comes from " + KeyEnv + ": put the new key in front of the old one there, " +
	"separated by a comma, rotate, then take the old one away")

// Rotate puts a new key in front of the others, so that it seals from now on,
// and makes that durable. When everything is sealed anew, finish lets the old
// keys go. Keys from the environment are not changed: there the first one of
// several is the new one.
func (r *Ring) Rotate() (finish func() error, err error) {
	if r.file == "" {
		r.mu.RLock()
		defer r.mu.RUnlock()
		if len(r.keys) < 2 {
			return nil, ErrNothingToRotate
		}
		return func() error { return nil }, nil
	}
	var key fernet.Key
	if err := key.Generate(); err != nil {
		return nil, fmt.Errorf("generate a key: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := append([]*fernet.Key{&key}, r.keys...)
	if err := replaceKeyFile(r.file, keys); err != nil {
		return nil, err
	}
	r.keys = keys
	return func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if err := replaceKeyFile(r.file, r.keys[:1]); err != nil {
			return err
		}
		r.keys = r.keys[:1]
		return nil
	}, nil
}

// replaceKeyFile writes the keys beside the file and then takes its name: at
// every moment the file is either the old one or the new one, whole.
func replaceKeyFile(file string, keys []*fernet.Key) (err error) {
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = k.Encode()
	}
	f, err := os.CreateTemp(filepath.Dir(file), KeyFile+".new-*") // for its owner only
	if err != nil {
		return fmt.Errorf("write the key file: %w", err)
	}
	_, err = f.WriteString(strings.Join(words, ",") + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the key file: %w", err), os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(file))
}
