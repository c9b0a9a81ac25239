// SPDX-License-Identifier: Apache-2.0

package lastgood

import (
	"encoding/binary"
	"errors"
	"hash/crc64"
	"sync"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/mirror"
)

// format is the first byte of every value; an unknown one is refused.
const format = 1

const sumSize = 8

var errDamaged = errors.New("checksum does not match")

var table = sync.OnceValue(func() *crc64.Table { return crc64.MakeTable(crc64.ECMA) })

// checksum covers the bucket, the key and the body, so that no value passes for
// another key's.
func checksum(bucket, key string, body []byte) uint64 {
	sum := crc64.Update(0, table(), []byte(bucket+"\x00"+key+"\x00"))
	return crc64.Update(sum, table(), body)
}

// seal appends the checksum.
func seal(bucket, key string, body []byte) []byte {
	return binary.BigEndian.AppendUint64(body, checksum(bucket, key, body))
}

// open checks and removes what seal appended.
func open(bucket, key string, sealed []byte) (body []byte, err error) {
	if len(sealed) < 1+sumSize {
		return nil, errDamaged
	}
	body = sealed[:len(sealed)-sumSize]
	if checksum(bucket, key, body) != sumOf(sealed) || body[0] != format {
		return nil, errDamaged
	}
	return body[1:], nil
}

// sumOf is the checksum at the end of a sealed value.
func sumOf(sealed []byte) uint64 {
	if len(sealed) < sumSize {
		return 0
	}
	return binary.BigEndian.Uint64(sealed[len(sealed)-sumSize:])
}

// encode makes the stored form of one pair.
func encode(bucket string, c snapshot.Change) []byte {
	body := make([]byte, 0, 1+binary.MaxVarintLen64+len(c.Value)+sumSize)
	body = binary.AppendVarint(append(body, format), c.ModRevision)
	return seal(bucket, c.Key, append(body, c.Value...))
}

// decode reads what encode made. The value is a copy.
func decode(bucket, key string, sealed []byte) (snapshot.Change, error) {
	body, err := open(bucket, key, sealed)
	if err != nil {
		return snapshot.Change{}, err
	}
	revision, n := binary.Varint(body)
	if n <= 0 {
		return snapshot.Change{}, errDamaged
	}
	return snapshot.Change{Key: key, ModRevision: revision, Value: append([]byte(nil), body[n:]...)}, nil
}

// state says what the pairs of a file are and how many there must be: it changes in
// the same transaction as they do, so a pair that is missing, left over or of
// another time is noticed.
type state struct {
	point mirror.Point
	account
}

// account says how many pairs there must be.
type account struct {
	count int64
	sum   uint64 // of the checksums of all pairs, modulo 2^64
}

// add and remove keep the account of a sealed value.
func (a *account) add(sealed []byte) {
	a.count++
	a.sum += sumOf(sealed)
}

func (a *account) remove(sealed []byte) {
	a.count--
	a.sum -= sumOf(sealed)
}

func (s state) encode() []byte {
	body := binary.AppendVarint([]byte{format}, s.point.Revision)
	body = binary.AppendVarint(body, s.count)
	body = binary.BigEndian.AppendUint64(body, s.sum)
	return seal(bucketState, keyState, append(body, s.point.Epoch...))
}

func decodeState(sealed []byte) (state, error) {
	body, err := open(bucketState, keyState, sealed)
	if err != nil {
		return state{}, err
	}
	revision, n := binary.Varint(body)
	if n <= 0 {
		return state{}, errDamaged
	}
	count, m := binary.Varint(body[n:])
	if m <= 0 || len(body) < n+m+sumSize {
		return state{}, errDamaged
	}
	rest := body[n+m:]
	return state{
		point:   mirror.Point{Revision: revision, Epoch: string(rest[sumSize:])},
		account: account{count: count, sum: binary.BigEndian.Uint64(rest)},
	}, nil
}
