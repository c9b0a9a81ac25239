// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// drawn is an object with anything in it that one may have.
func drawn(t *rapid.T) *Object {
	span := func(what string) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(100*365*24*time.Hour/time.Second)).Draw(t, what)) * time.Second
	}
	at := func(what string) time.Time {
		if rapid.Bool().Draw(t, what+" is set") {
			return time.Unix(0, rapid.Int64Range(1, 1<<62).Draw(t, what))
		}
		return time.Time{}
	}
	field := rapid.Custom(func(t *rapid.T) header.Field {
		return header.Field{
			Name:  rapid.SampledFrom([]string{"ETag", "Content-Type", "Set-Cookie", "Content-Length", "X-A", "Vary"}).Draw(t, "name"),
			Value: rapid.StringMatching(`[!-~]([ -~]{0,40}[!-~])?`).Draw(t, "value"),
		}
	})
	o := &Object{
		Key: "k", Status: rapid.IntRange(0, 999).Draw(t, "status"),
		Header:      rapid.SliceOfN(field, 0, 12).Draw(t, "header"),
		RequestTime: at("request"), ResponseTime: at("response"), RetryAfter: at("retry"),
		InitialAge: span("age"), Lifetime: span("lifetime"), Retain: span("retain"),
		Windows:     httpcache.Windows{Refreshing: span("a"), Unreachable: span("b"), Failing: span("c"), Asked: span("d")},
		NoCondition: rapid.Bool().Draw(t, "no condition"), Unshared: rapid.Bool().Draw(t, "unshared"),
		HitForMiss: rapid.Bool().Draw(t, "hit for miss"), Head: rapid.Bool().Draw(t, "head"),
		Made: rapid.StringN(0, 30, -1).Draw(t, "made"), Vary: httpcache.Vary(rapid.StringMatching(`[a-z]{0,20}`).Draw(t, "vary")),
		Tags:  rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,10}`), 0, 5).Draw(t, "tags"),
		Stamp: invalidation.Moment{Era: rapid.Uint64().Draw(t, "era"), Revision: rapid.Int64().Draw(t, "revision")}.Stamp(),
	}
	if rapid.Bool().Draw(t, "in slices") {
		o.Slices, o.Size = rapid.Uint64Min(1).Draw(t, "slices"), rapid.Int64Min(0).Draw(t, "size")
	} else {
		o.Body = rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 50), 0, 4).Draw(t, "body")
		o.Size = int64(o.bodyLength())
	}
	return o
}

// encoded is the whole record of an object.
func encoded(o *Object) []byte {
	b := make([]byte, o.headLength(), o.headLength()+o.bodyLength())
	o.encodeHead(b)
	return append(b, bytes.Join(o.Body, nil)...)
}

// TestRecord: an object that was a record is what it was.
func TestRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawn(t)
		o.Prepare(httpcache.NotModifiedHeader)
		o.version = rapid.Uint64().Draw(t, "version")
		b := encoded(o)
		var v View
		if err := v.decode("k", b); err != nil {
			t.Fatal(err)
		}
		if versionOf(b) != o.version {
			t.Error("another version")
		}
		got := v.Own()
		for i := range b { // Own has taken nothing along
			b[i] = 0xff
		}
		same(t, got, o)
	})
}

// same compares all that a record keeps.
func same(t *rapid.T, got, want *Object) {
	for _, status := range []int{200, 206, 304} {
		if !bytes.Equal(got.Lines(status), want.Lines(status)) {
			t.Errorf("lines for %d: %q, want %q", status, got.Lines(status), want.Lines(status))
		}
	}
	if got.SetsCookie != want.SetsCookie || got.Stamp.Moment() != want.Stamp.Moment() || got.version != want.version {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !slices.Equal(got.Tags, want.Tags) || !bytes.Equal(bytes.Join(got.Body, nil), bytes.Join(want.Body, nil)) {
		t.Errorf("tags %q, want %q; body %q, want %q", got.Tags, want.Tags, got.Body, want.Body)
	}
	if got.Size != want.Size || got.Slices != want.Slices {
		t.Errorf("%d bytes in slices %d, want %d in %d", got.Size, got.Slices, want.Size, want.Slices)
	}
	a, b := *got, *want
	for _, o := range []*Object{&a, &b} {
		o.Header, o.Body, o.Tags, o.Stamp, o.head = nil, nil, nil, nil, head{}
	}
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("got %+v, want %+v", a, b)
	}
}

// FuzzRecord: whatever is on a disk, a record is refused or is a view that can be used,
// and nothing outside it is read.
func FuzzRecord(f *testing.F) {
	o := object("k", 10)
	o.Header = header.Fields{{Name: "ETag", Value: `"1"`}, {Name: "Content-Length", Value: "10"}}
	o.Tags, o.Made, o.Vary = []string{"a", "b"}, "made", "accept"
	o.Prepare(httpcache.NotModifiedHeader)
	f.Add(encoded(o))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, fixedBytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = slices.Clip(b)
		var v View
		if v.decodeHead("k", b) != nil {
			return
		}
		n := len(v.lines) + len(v.Made) + len(v.Vary) + len(v.tags) + len(v.bytes)
		if fixedBytes+n != len(b) || v.Size < 0 {
			t.Fatalf("%d bytes of %d, size %d", n, len(b), v.Size)
		}
		own := v.Own()
		_, _, _ = own.Lines(200), own.Lines(206), own.Lines(304)
		if strings.Join(own.tagList(), "") != strings.ReplaceAll(string(v.tags), "\x00", "") {
			t.Errorf("tags %q of %q", own.tagList(), v.tags)
		}
		_ = v.Content()
		if v.complete() && v.decode("k", b) != nil {
			t.Error("complete, and refused")
		}
	})
}

// TestPartsThatDoNotFit: what is too long for a record is not stored, and nothing is cut.
func TestPartsThatDoNotFit(t *testing.T) {
	long := strings.Repeat("x", maxPart+1)
	for name, o := range map[string]*Object{
		"reason line": {Made: long}, "vary": {Vary: httpcache.Vary(long)}, "tags": {Tags: []string{long[1:]}}, "status": {Status: maxPart + 1},
		"lines": {Header: header.Fields{{Name: "A", Value: long}}},
	} {
		inTiers(t, func(t *testing.T, open func(int64, *invalidation.Table) *opened) {
			s := open(64<<20, nil)
			s.Put(object("k", 1))
			o.Key, o.Stamp = cachekey.Key("k"), began.Stamp()
			o.Prepare(httpcache.NotModifiedHeader)
			if s.Put(o) {
				t.Errorf("%s: stored", name)
			}
			if _, ok := get(s.Store, "k"); ok {
				t.Errorf("%s: the object before is still there", name)
			}
		})
	}
}
