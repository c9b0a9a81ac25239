// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Limits of a key file.
const (
	maxKeys = 16
	maxID   = 32
	maxFile = 16 << 10 // bytes
)

// Keyring is the cluster keys that a process knows: the first seals, all of them
// open. Nil is a keyring without keys, with which nothing is sealed or opened. It is
// safe for concurrent use, and prints the ids of its keys alone.
type Keyring struct {
	keys []key // fixed; unused when file is set
	file *file
}

// Parse reads cluster keys from a text: one key a line, an id of 1 to 32 characters
// of [A-Za-z0-9._-], a space, and 32 bytes in base64. The first key is the primary.
// Lines may also be separated by commas; empty lines and lines that begin with # say
// nothing. Errors name the line and nothing of its content.
func Parse(text string) (*Keyring, error) {
	keys, err := parse(text)
	if err != nil {
		return nil, err
	}
	return &Keyring{keys: keys}, nil
}

// NewKey returns a random cluster key as a line for a key file, under the id.
func NewKey(id string) (string, error) {
	if !validID(id) {
		return "", badID()
	}
	raw := make([]byte, keySize)
	rand.Read(raw) // never fails
	return id + " " + base64.StdEncoding.EncodeToString(raw), nil
}

func parse(text string) ([]key, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%d bytes of cluster keys; want at most %d", len(text), maxFile)
	}
	var keys []key
	n := 0
	for line := range strings.SplitSeq(strings.ReplaceAll(text, ",", "\n"), "\n") {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		for _, other := range keys {
			if other.id == k.id {
				return nil, fmt.Errorf("line %d: a second key with the id %q", n, k.id)
			}
		}
		keys = append(keys, k)
	}
	switch {
	case len(keys) == 0:
		return nil, errors.New("there is no cluster key in it; want a line with an id, a space and 32 bytes in base64")
	case len(keys) > maxKeys:
		return nil, fmt.Errorf("%d cluster keys; want at most %d", len(keys), maxKeys)
	}
	return keys, nil
}

func parseLine(line string) (key, error) {
	fields := strings.Fields(line)
	if len(fields) != 2 {
		return key{}, fmt.Errorf("%d words; want an id, a space and 32 bytes in base64", len(fields))
	}
	if !validID(fields[0]) {
		return key{}, badID()
	}
	raw, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return key{}, errors.New("the key is no base64; is the file whole?")
	}
	aead, err := newAEAD(raw)
	if err != nil {
		return key{}, fmt.Errorf("%w; is the file whole?", err)
	}
	return key{fields[0], aead}, nil
}

func validID(id string) bool {
	const characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return id != "" && len(id) <= maxID && strings.Trim(id, characters) == ""
}

// badID repeats nothing: what stands in the place of an id may be a key.
func badID() error {
	return fmt.Errorf("the id of a key has to be 1 to %d characters of [A-Za-z0-9._-]", maxID)
}

// current is the keys as they are now.
func (k *Keyring) current() []key {
	if k == nil {
		return nil
	}
	if k.file != nil {
		return k.file.current()
	}
	return k.keys
}

func (k *Keyring) primary() (key, error) {
	keys := k.current()
	if len(keys) == 0 {
		return key{}, ErrNoKey
	}
	return keys[0], nil
}

func (k *Keyring) named(id string) (key, error) {
	keys := k.current()
	for _, one := range keys {
		if one.id == id {
			return one, nil
		}
	}
	if len(keys) == 0 {
		return key{}, fmt.Errorf("cluster key %q: %w", id, ErrNoKey)
	}
	return key{}, fmt.Errorf("cluster key %q: %w", id, ErrUnknownKey)
}

// IDs are the ids of the keys, the primary first.
func (k *Keyring) IDs() []string {
	var ids []string
	for _, one := range k.current() {
		ids = append(ids, one.id)
	}
	return ids
}

// String names the keys without showing them.
func (k *Keyring) String() string { return fmt.Sprintf("cluster keys %q", k.IDs()) }

// GoString is String.
func (k *Keyring) GoString() string { return k.String() }

// LogValue is String, for logs.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }
