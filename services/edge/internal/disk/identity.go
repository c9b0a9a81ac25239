// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
)

// format is the version of all files of a log. Another one is another log: there is
// nothing in a cache that is worth a migration.
const format = 1

const (
	identityMagic = "SEAFDISK"
	identityBytes = 8 + 4 + 32 + 4
)

// hash stands for a key: 128 bits that nobody can foresee who does not know the secret.
type hash [16]byte

// identity is what tells one log from every other: without it nothing in the segments
// is found or believed. Bodies are made by strangers, so what a body contains must never
// pass for a record; magic and seed are as secret as the hashes.
type identity struct {
	secret [32]byte
	magic  uint32 // of records
	seed   uint32 // every checksum begins with it
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func newIdentity(secret [32]byte) *identity {
	derived := sha256.Sum256(append([]byte("seafront disk"), secret[:]...))
	return &identity{
		secret: secret,
		magic:  binary.LittleEndian.Uint32(derived[:]) | 1, // never as zeros are
		seed:   binary.LittleEndian.Uint32(derived[4:]),
	}
}

// hash returns the hash of a key.
func (id *identity) hash(key string) (h hash) {
	var small [512]byte
	sum := sha256.Sum256(append(append(small[:0], id.secret[:]...), key...))
	copy(h[:], sum[:])
	return h
}

// check is the checksum of a part that lies at offset of segment seq. It begins with
// the place, so what was written elsewhere does not pass.
func (id *identity) check(seq uint64, offset int64, part []byte) uint32 {
	place := (seq*0x9e3779b97f4a7c15 + uint64(offset)) * 0xd6e8feb86659fd93 // odd numbers that spread
	return crc32.Update(id.seed^uint32(place>>32), castagnoli(), part)
}

func (id *identity) encode() []byte {
	b := binary.LittleEndian.AppendUint32([]byte(identityMagic), format)
	b = append(b, id.secret[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

func decodeIdentity(b []byte) (*identity, error) {
	if len(b) != identityBytes || string(b[:8]) != identityMagic {
		return nil, errors.New("it is not one")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != format {
		return nil, fmt.Errorf("it is of format %d, this release knows %d", v, format)
	}
	if crc32.Checksum(b[:identityBytes-4], castagnoli()) != binary.LittleEndian.Uint32(b[identityBytes-4:]) {
		return nil, errors.New("it is damaged")
	}
	return newIdentity([32]byte(b[12:44])), nil
}

// readIdentity returns the identity of dir. Without one there is none and no error; a
// refused one is to be replaced.
func readIdentity(on files, dir string) (id *identity, refused error, err error) {
	f, err := on.Open(filepath.Join(dir, identityName), false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("identity of the disk cache: %w", err)
	}
	defer f.Close()
	b := make([]byte, identityBytes+1)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("identity of the disk cache: %w", err)
	}
	id, refused = decodeIdentity(b[:n])
	return id, refused, nil
}

// writeIdentity makes a new one.
func writeIdentity(on files, dir string) (*identity, error) {
	var secret [32]byte
	rand.Read(secret[:]) // never fails
	id := newIdentity(secret)
	return id, replace(on, dir, identityName, id.encode())
}
