// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"errors"
	"time"
	"unsafe"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// A record is an object as bytes, the same in memory and on disk: a fixed part, the
// lines of the header, the reason line of what the edge made, what a mark says of
// variants, the cache tags, and the body unless that lies in slices. The key is the
// tier's.
const (
	recordFormat = 1
	fixedBytes   = 128

	atFormat    = 0
	atStatus    = 2
	atFlags     = 4
	atBrief     = 6
	atDescribed = 8
	atLines     = 10
	atMade      = 12
	atTags      = 14
	atVersion   = 16
	atEra       = 24
	atRevision  = 32
	atRequest   = 40
	atResponse  = 48
	atInitial   = 56
	atLifetime  = 64
	atRetain    = 72
	atRetry     = 80
	atSize      = 88
	atSlices    = 96
	atWindows   = 104 // four durations in whole seconds, rounded down
	atVary      = 120
)

// The flags of a record.
const (
	flagNoCondition = 1 << iota
	flagUnshared
	flagHitForMiss
	flagSetsCookie
	flagHead
)

// maxPart bounds each part of a head but the body: two bytes hold its length.
const maxPart = 1<<16 - 1

var errRecord = errors.New("not a record of an object")

// fits says whether an object can be a record at all.
func (o *Object) fits() bool {
	return len(o.lines) <= maxPart && len(o.Made) <= maxPart && len(o.Vary) <= maxPart &&
		tagsLength(o.Tags) <= maxPart && o.Status >= 0 && o.Status <= maxPart
}

// headLength is the number of bytes of a record before the body.
func (o *Object) headLength() int {
	return fixedBytes + len(o.lines) + len(o.Made) + len(o.Vary) + tagsLength(o.Tags)
}

// bodyLength is the number of body bytes in the record.
func (o *Object) bodyLength() (n int) {
	for _, piece := range o.Body {
		n += len(piece)
	}
	return n
}

func tagsLength(tags []string) int {
	n := 0
	for _, tag := range tags {
		n += len(tag) + 1
	}
	return n
}

// encodeHead writes what is before the body into b, which is as long as headLength says.
func (o *Object) encodeHead(b []byte) {
	le := binary.LittleEndian
	at := o.Stamp.Moment()
	for _, x := range [...]struct{ at, value int }{
		{atFormat, recordFormat},
		{atStatus, o.Status}, {atFlags, int(o.flags())}, {atBrief, o.brief}, {atDescribed, o.described},
		{atLines, len(o.lines)}, {atMade, len(o.Made)}, {atTags, tagsLength(o.Tags)}, {atVary, len(o.Vary)},
	} {
		le.PutUint16(b[x.at:], uint16(x.value))
	}
	for _, x := range [...]struct {
		at    int
		value int64
	}{
		{atVersion, int64(o.version)}, {atEra, int64(at.Era)}, {atRevision, at.Revision},
		{atRequest, nanos(o.RequestTime)}, {atResponse, nanos(o.ResponseTime)},
		{atInitial, int64(o.InitialAge)}, {atLifetime, int64(o.Lifetime)}, {atRetain, int64(o.Retain)},
		{atRetry, nanos(o.RetryAfter)}, {atSize, o.Size}, {atSlices, int64(o.Slices)},
	} {
		le.PutUint64(b[x.at:], uint64(x.value))
	}
	for i, d := range [...]time.Duration{o.Windows.Refreshing, o.Windows.Unreachable, o.Windows.Failing, o.Windows.Asked} {
		le.PutUint32(b[atWindows+4*i:], uint32(d/time.Second)) // at most 100 years
	}
	rest := b[fixedBytes:]
	rest = rest[copy(rest, o.lines):]
	rest = rest[copy(rest, o.Made):]
	rest = rest[copy(rest, o.Vary):]
	for _, tag := range o.Tags {
		rest = rest[copy(rest, tag):]
		rest[0], rest = 0, rest[1:]
	}
}

func (o *Object) flags() (f uint16) {
	for _, x := range [...]struct {
		set  bool
		flag uint16
	}{
		{o.NoCondition, flagNoCondition}, {o.Unshared, flagUnshared}, {o.HitForMiss, flagHitForMiss},
		{o.SetsCookie, flagSetsCookie}, {o.Head, flagHead},
	} {
		if x.set {
			f |= x.flag
		}
	}
	return f
}

// decode makes v a view of a record: nothing is copied, and v is valid as long as b is.
func (v *View) decode(key cachekey.Key, b []byte) error {
	if err := v.decodeHead(key, b); err != nil {
		return err
	}
	if !v.complete() {
		return errRecord
	}
	return nil
}

// complete says whether the body is there, be it in slices.
func (v *View) complete() bool { return v.Slices != 0 || int64(len(v.bytes)) == v.Size }

// onDisk makes v a view of a record that was read from disk, perhaps without its body.
// The stamp that the disk has for it may be above the one in the record.
func (v *View) onDisk(key cachekey.Key, b []byte, at disk.Stamp) error {
	if err := v.decodeHead(key, b); err != nil {
		return err
	}
	v.stamp.Set(invalidation.Moment{Era: at.Era, Revision: at.Revision})
	return nil
}

// decodeHead is decode of a record that may be without its body.
func (v *View) decodeHead(key cachekey.Key, b []byte) error {
	le := binary.LittleEndian
	if len(b) < fixedBytes || le.Uint16(b[atFormat:]) != recordFormat {
		return errRecord
	}
	short := func(at int) int { return int(le.Uint16(b[at:])) }
	long := func(at int) int64 { return int64(le.Uint64(b[at:])) }
	seconds := func(i int) time.Duration { return time.Duration(le.Uint32(b[atWindows+4*i:])) * time.Second }
	lines, made, vary, tags := short(atLines), short(atMade), short(atVary), short(atTags)
	if fixedBytes+lines+made+vary+tags > len(b) || short(atBrief) > short(atDescribed) || short(atDescribed) > lines || long(atSize) < 0 {
		return errRecord
	}
	flags := short(atFlags)
	o := &v.Object
	o.viewed = true
	o.Key, o.Status, o.Header, o.Body, o.Tags = key, short(atStatus), nil, nil, nil
	o.version, o.Size, o.Slices = uint64(long(atVersion)), long(atSize), uint64(long(atSlices))
	o.RequestTime, o.ResponseTime, o.RetryAfter = moment(long(atRequest)), moment(long(atResponse)), moment(long(atRetry))
	o.InitialAge, o.Lifetime, o.Retain = time.Duration(long(atInitial)), time.Duration(long(atLifetime)), time.Duration(long(atRetain))
	o.Windows = httpcache.Windows{Refreshing: seconds(0), Unreachable: seconds(1), Failing: seconds(2), Asked: seconds(3)}
	o.NoCondition, o.Unshared, o.HitForMiss = flags&flagNoCondition != 0, flags&flagUnshared != 0, flags&flagHitForMiss != 0
	o.Head = flags&flagHead != 0
	rest := b[fixedBytes:]
	o.head = head{lines: rest[:lines:lines], brief: short(atBrief), described: short(atDescribed), SetsCookie: flags&flagSetsCookie != 0}
	rest = rest[lines:]
	o.Made, rest = text(rest[:made]), rest[made:]
	o.Vary, rest = httpcache.Vary(text(rest[:vary])), rest[vary:]
	o.tags, o.bytes = rest[:tags:tags], rest[tags:]
	v.stamp.Set(invalidation.Moment{Era: le.Uint64(b[atEra:]), Revision: long(atRevision)})
	o.Stamp = &v.stamp
	return nil
}

// versionOf returns the version of a record, 0 of what is none.
func versionOf(b []byte) uint64 {
	if len(b) < fixedBytes {
		return 0
	}
	return binary.LittleEndian.Uint64(b[atVersion:])
}

// nanos and moment keep a time as nanoseconds since 1970; 0 is the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
