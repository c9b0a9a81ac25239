// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// NewWriteID is the random number that one accepted write gets (C3.11). It is
// never 0.
func NewWriteID() uint64 {
	var b [8]byte
	for {
		rand.Read(b[:]) // never fails
		if id := binary.BigEndian.Uint64(b[:]); id != 0 {
			return id
		}
	}
}

// ETag is the opaque version that clients see for a write: E and 13 characters of
// [A-Z2-7] (C3.11). It depends on nothing but the write, so a restored backup
// keeps its etags.
func ETag(writeID uint64) string {
	return "E" + etagEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, writeID))
}

// ParseETag returns the write that an etag stands for. False means that no write
// can ever have had it (C3.6: INVALID_IF_MATCH_VERSION).
func ParseETag(etag string) (writeID uint64, ok bool) {
	if len(etag) != 14 || etag[0] != 'E' {
		return 0, false
	}
	b, err := etagEncoding.DecodeString(etag[1:])
	if err != nil || len(b) != 8 {
		return 0, false
	}
	id := binary.BigEndian.Uint64(b)
	return id, ETag(id) == etag // refuse other spellings of the same bits
}

var etagEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewDistributionID is E and 13 random characters of [A-Z0-9] (C3.41).
func NewDistributionID() string { return "E" + random("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 13) }

// NewPublicKeyID is K and 13 random characters of [A-Z0-9] (C3.41).
func NewPublicKeyID() string { return "K" + random("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 13) }

// NewAccessControlID is E and 13 random characters of [A-Z0-9] (C3.41).
func NewAccessControlID() string { return NewDistributionID() }

// Of the 13 characters behind the I of an invalidation, clockDigits are its time of
// creation, counted in microseconds backwards from lastMoment, in the year 6141.
const (
	clockDigits = 11
	lastMoment  = 131621703842267135 // 36^11 - 1
)

// NewInvalidationID is I and 13 characters of [A-Z0-9] (C3.41), such that ids in the
// order of their bytes are newest first (C3.25). Two of one microsecond differ by
// chance, one in 1,296 that they do not: the transaction looks whether an id is free.
func NewInvalidationID(now time.Time) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	left := lastMoment - min(max(now.UnixMicro(), 0), lastMoment)
	var clock [clockDigits]byte
	for i := range clock {
		clock[clockDigits-1-i] = digits[left%36]
		left /= 36
	}
	return "I" + string(clock[:]) + random(digits, 13-clockDigits)
}

// NewLabel is d and 13 random characters of [a-z0-9], 67 bits: the first label of
// a generated host name (C3.39).
func NewLabel() string { return "d" + random("abcdefghijklmnopqrstuvwxyz0123456789", 13) }

// random draws n characters of a 36-letter alphabet without bias.
func random(alphabet string, n int) string {
	out := make([]byte, 0, n)
	var b [1]byte
	for len(out) < n {
		rand.Read(b[:]) // never fails
		if b[0] < 252 { // the largest multiple of 36
			out = append(out, alphabet[b[0]%36])
		}
	}
	return string(out)
}
