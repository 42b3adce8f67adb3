package control

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/scrypt"

	"arus/connectors"
)

// sealedKey is a key that a passphrase seals: scrypt makes the passphrase a key
// of its own, which seals with XChaCha20-Poly1305.
type sealedKey struct {
	N      int    `json:"scrypt_n"`
	R      int    `json:"scrypt_r"`
	P      int    `json:"scrypt_p"`
	Salt   []byte `json:"salt"`
	Nonce  []byte `json:"nonce"`
	Sealed []byte `json:"sealed"`
}

// ErrPassphrase is what a wrong passphrase gets.
var ErrPassphrase = errors.New("the passphrase does not open the key in the backup")

func sealKey(key string, passphrase connectors.Secret) ([]byte, error) {
	k := sealedKey{N: 1 << 16, R: 8, P: 1, Salt: make([]byte, 16), Nonce: make([]byte, chacha20poly1305.NonceSizeX)}
	for _, b := range [][]byte{k.Salt, k.Nonce} {
		if _, err := rand.Read(b); err != nil {
			return nil, err
		}
	}
	derived, err := scrypt.Key([]byte(passphrase.Reveal()), k.Salt, k.N, k.R, k.P, chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	box, err := chacha20poly1305.NewX(derived)
	if err != nil {
		return nil, err
	}
	k.Sealed = box.Seal(nil, k.Nonce, []byte(key), nil)
	return json.Marshal(k)
}

func openKey(text []byte, passphrase connectors.Secret) (string, error) {
	var k sealedKey
	if err := json.Unmarshal(text, &k); err != nil {
		return "", fmt.Errorf("read the key in the backup: %w", err)
	}
	if k.N > 1<<18 || k.R > 8 || k.P > 4 || len(k.Nonce) != chacha20poly1305.NonceSizeX {
		return "", errors.New("read the key in the backup: it is not of this program")
	}
	derived, err := scrypt.Key([]byte(passphrase.Reveal()), k.Salt, k.N, k.R, k.P, chacha20poly1305.KeySize)
	if err != nil {
		return "", fmt.Errorf("read the key in the backup: %w", err)
	}
	box, err := chacha20poly1305.NewX(derived)
	if err != nil {
		return "", err
	}
	key, err := box.Open(nil, k.Nonce, k.Sealed, nil)
	if err != nil {
		return "", ErrPassphrase
	}
	return string(key), nil
}
