// SPDX-License-Identifier: Apache-2.0

// Package secret encrypts values that lie in the store: AES-256-GCM with a data key
// of their own, which is encrypted with the cluster's key (C8.102). Each value is
// bound to the record that it belongs to and to its place in it, so that whoever can
// write to the store cannot make one secret appear where another belongs.
//
// It promises that a value that opens is the value that was sealed, that no error and
// no printed form of anything here holds a key or a value, and that several cluster
// keys can be known at once, so that the key is changed without downtime: the first
// one seals, all of them open. It knows nothing of records, and does not hide how
// long a value is.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// keySize is the size of cluster keys and data keys in bytes: AES-256.
const keySize = 32

// overhead is by how much a sealed value is longer than the value: nonce and tag.
const overhead = 12 + 16

// The errors of Seal and Open that are about the keyring, not about the value.
var (
	// ErrNoKey says that there is no cluster key at all.
	ErrNoKey = errors.New("no cluster key is configured (--cluster-key-file, SEAFRONT_CLUSTER_KEY_FILE or SEAFRONT_CLUSTER_KEY)")
	// ErrUnknownKey says that a secret was sealed with a key that the keyring lacks.
	ErrUnknownKey = errors.New("the cluster key is not among those that are configured")
	// ErrWrongKey says that a secret does not open: the configured key has the id but
	// is another one, or the secret was changed or moved in the store.
	ErrWrongKey = errors.New("the cluster key does not open it: it is another key of the same name, or the store was tampered with")
)

// Sealed is the secret values of one record. The zero value is none.
type Sealed struct {
	// KeyID names the cluster key that encrypts DataKey.
	KeyID string
	// DataKey encrypts Values, and is encrypted itself.
	DataKey []byte
	// Values are the encrypted values by their place in the record.
	Values map[string][]byte
}

// Length is how many bytes a sealed value has when it is opened. No key is needed.
func Length(sealed []byte) int { return max(0, len(sealed)-overhead) }

// Seal encrypts values with a new data key, and that with the primary cluster key.
// record names what the values belong to: they open under the same name only.
func (k *Keyring) Seal(record string, values map[string]string) (*Sealed, error) {
	primary, err := k.primary()
	if err != nil {
		return nil, err
	}
	raw := make([]byte, keySize)
	rand.Read(raw) // never fails
	dataKey, err := newAEAD(raw)
	if err != nil {
		return nil, err
	}
	out := &Sealed{KeyID: primary.id, DataKey: primary.wrap(raw), Values: make(map[string][]byte, len(values))}
	for at, value := range values {
		out.Values[at] = dataKey.Seal(nil, nil, []byte(value), place(record, at))
	}
	return out, nil
}

// Open decrypts all values of s. The error is ErrNoKey, ErrUnknownKey or ErrWrongKey,
// with the id of the key and the place in front; it never holds anything of a value.
func (k *Keyring) Open(record string, s *Sealed) (map[string]string, error) {
	if len(s.Values) == 0 {
		return nil, nil
	}
	raw, err := k.unwrap(s)
	if err != nil {
		return nil, err
	}
	dataKey, err := newAEAD(raw)
	if err != nil {
		return nil, ErrWrongKey
	}
	out := make(map[string]string, len(s.Values))
	for _, at := range slices.Sorted(maps.Keys(s.Values)) {
		value, err := dataKey.Open(nil, nil, s.Values[at], place(record, at))
		if err != nil {
			return nil, fmt.Errorf("%s (cluster key %q): %w", at, s.KeyID, ErrWrongKey)
		}
		out[at] = string(value)
	}
	return out, nil
}

// Rewrap encrypts the data key of s with the primary cluster key, in place. The
// values stay as they are. It says whether there was anything to do.
func (k *Keyring) Rewrap(s *Sealed) (changed bool, err error) {
	primary, err := k.primary()
	if err != nil || s.KeyID == primary.id || len(s.Values) == 0 {
		return false, err
	}
	raw, err := k.unwrap(s)
	if err != nil {
		return false, err
	}
	s.KeyID, s.DataKey = primary.id, primary.wrap(raw)
	return true, nil
}

// unwrap decrypts the data key.
func (k *Keyring) unwrap(s *Sealed) ([]byte, error) {
	by, err := k.named(s.KeyID)
	if err != nil {
		return nil, err
	}
	raw, err := by.aead.Open(nil, nil, s.DataKey, by.purpose())
	if err != nil {
		return nil, fmt.Errorf("cluster key %q: %w", s.KeyID, ErrWrongKey)
	}
	return raw, nil
}

// key is one cluster key.
type key struct {
	id   string
	aead cipher.AEAD
}

func (k key) wrap(dataKey []byte) []byte { return k.aead.Seal(nil, nil, dataKey, k.purpose()) }

// purpose is authenticated with a data key, so that no value passes for one.
func (k key) purpose() []byte { return []byte("seafront data key " + k.id) }

// place is authenticated with a value: the record and where in it. Lengths stand in
// front, so that no two places are the same text.
func place(record, at string) []byte {
	return fmt.Appendf(nil, "seafront value %d:%s %d:%s", len(record), record, len(at), at)
}

// newAEAD is AES-256-GCM with a random nonce of 96 bits in front of each ciphertext.
func newAEAD(raw []byte) (cipher.AEAD, error) {
	if len(raw) != keySize {
		return nil, fmt.Errorf("a key of %d bytes; want %d", len(raw), keySize)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
