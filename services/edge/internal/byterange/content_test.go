// SPDX-License-Identifier: Apache-2.0

package byterange

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// appendSpec appends a range as a request asks for it.
func appendSpec(b []byte, s Spec) []byte {
	switch {
	case s.Suffix():
		return fmt.Appendf(b, "-%d", s.Last)
	case s.Last == open:
		return fmt.Appendf(b, "%d-", s.First)
	default:
		return fmt.Appendf(b, "%d-%d", s.First, s.Last)
	}
}

func TestParseContentRange(t *testing.T) {
	for _, tt := range []struct {
		name  string
		value string
		want  ContentRange
		ok    bool
	}{
		{"RFC 9110 14.4", "bytes 42-1233/1234", ContentRange{Range{42, 1192}, 1234}, true},
		{"RFC 9110 14.4: size not told", "bytes 42-1233/*", ContentRange{Range{42, 1192}, -1}, true},
		{"RFC 9110 14.4: unsatisfied", "bytes */1234", ContentRange{Size: 1234}, true},
		{"RFC 9110 14.1: units in any case", "Bytes 0-0/1", ContentRange{Range{0, 1}, 1}, true},
		{"RFC 9110 14.4: last before first", "bytes 5-4/10", ContentRange{}, false},
		{"RFC 9110 14.4: last not below the size", "bytes 5-10/10", ContentRange{}, false},
		{"nothing known", "bytes */*", ContentRange{}, false},
		{"another unit", "items 0-1/2", ContentRange{}, false},
		{"no size", "bytes 0-1", ContentRange{}, false},
		{"empty size", "bytes 0-1/", ContentRange{}, false},
		{"no range", "bytes /5", ContentRange{}, false},
		{"no last", "bytes 0-/5", ContentRange{}, false},
		{"suffix", "bytes -1/5", ContentRange{}, false},
		{"=", "bytes=0-1/5", ContentRange{}, false},
		{"spaces", "bytes  0-1/5", ContentRange{}, false},
		{"text behind", "bytes 0-1/5 ", ContentRange{}, false},
		{"beyond what can be reckoned with", "bytes 0-1/9223372036854775807", ContentRange{}, false},
		{"empty", "", ContentRange{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := ParseContentRange(tt.value)
			if got != tt.want || ok != tt.ok {
				t.Errorf("ParseContentRange(%q) = %v, %v, want %v, %v", tt.value, got, ok, tt.want, tt.ok)
			}
		})
	}
}

func FuzzParseContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-1/2", "bytes 0-1/*", "bytes */5", "bytes 5-4/10", "bytes 9999999999999999999-1/2", "", "bytes -/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c, ok := ParseContentRange(value)
		if !ok {
			return
		}
		again := AppendUnsatisfied(nil, c.Size)
		if c.Range != (Range{}) {
			again = AppendContentRange(nil, c.Range, c.Size)
		}
		if back, ok := ParseContentRange(string(again)); !ok || back != c {
			t.Errorf("%q is %v, written %q, which is %v, %v", value, c, again, back, ok)
		}
	})
}

func TestHeads(t *testing.T) {
	r := Range{42, 100}
	if got, want := string(AppendHead(nil, r, 1234)), "Content-Range: bytes 42-141/1234\r\nContent-Length: 100\r\n"; got != want {
		t.Errorf("AppendHead = %q, want %q", got, want)
	}
	if got, want := string(AppendContentRange(nil, r, -1)), "bytes 42-141/*"; got != want {
		t.Errorf("AppendContentRange = %q, want %q", got, want)
	}
	if got, want := string(AppendUnsatisfied(nil, 1234)), "bytes */1234"; got != want {
		t.Errorf("D19.5: AppendUnsatisfied = %q, want %q", got, want)
	}
	if got, want := string(AppendRange(nil, r)), "bytes=42-141"; got != want {
		t.Errorf("AppendRange = %q, want %q", got, want)
	}
	whole := header.Fields{{Name: "ETag", Value: `"a"`}, {Name: "content-length", Value: "1234"}, {Name: "Vary", Value: "Accept"}}
	want := header.Fields{
		{Name: "ETag", Value: `"a"`}, {Name: "content-length", Value: "100"}, {Name: "Vary", Value: "Accept"},
		{Name: "Content-Range", Value: "bytes 42-141/1234"},
	}
	if diff := cmp.Diff(want, Header(whole, r, 1234)); diff != "" {
		t.Errorf("Header (-want +got):\n%s", diff)
	}
}

func TestIfRange(t *testing.T) {
	received := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	const (
		date = "Sun, 17 May 2026 12:00:00 GMT"
		old  = "Sun, 17 May 2026 11:00:00 GMT"
	)
	tagged := header.Fields{{Name: "ETag", Value: `"a"`}, {Name: "Last-Modified", Value: old}, {Name: "Date", Value: date}}
	weak := header.Fields{{Name: "ETag", Value: `W/"a"`}, {Name: "Last-Modified", Value: date}, {Name: "Date", Value: date}}
	for _, tt := range []struct {
		name    string
		ifRange []string
		stored  header.Fields
		want    bool
	}{
		{"D19.7: none", nil, tagged, true},
		{"D19.7: the entity tag", []string{`"a"`}, tagged, true},
		{"D19.7: another entity tag", []string{`"b"`}, tagged, false},
		{"D19.7: a weak one never", []string{`W/"a"`}, weak, false},
		{"D19.7: the strong form of a weak one", []string{`"a"`}, weak, false},
		{"D19.7: the date", []string{old}, tagged, true},
		{"D19.7: a later date is another", []string{date}, tagged, false},
		{"RFC 9110 8.8.2.2: a date of the same second is weak", []string{date}, weak, false},
		{"RFC 9110 8.8.2.2: without Date nothing is known", []string{old}, header.Fields{{Name: "Last-Modified", Value: old}}, false},
		{"D19.7: the same time in another form", []string{"Sunday, 17-May-26 11:00:00 GMT"}, tagged, false},
		{"D19.7: no validator stored", []string{`"a"`}, nil, false},
		{"D19.7: a tag without quotes", []string{"a"}, header.Fields{{Name: "ETag", Value: "a"}}, false},
		{"RFC 9110 13.1.5: two", []string{`"a"`, `"a"`}, tagged, false},
		{"empty", []string{""}, tagged, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var request header.Fields
			for _, v := range tt.ifRange {
				request.Add("if-range", v)
			}
			if got := IfRange(request, tt.stored, received); got != tt.want {
				t.Errorf("IfRange = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestStrong(t *testing.T) {
	received := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	date := header.Field{Name: "Date", Value: "Sun, 17 May 2026 12:00:00 GMT"}
	old := header.Field{Name: "Last-Modified", Value: "Sun, 17 May 2026 11:00:00 GMT"}
	for _, tt := range []struct {
		name   string
		stored header.Fields
		want   string
		ok     bool
	}{
		{"D19.9: entity tag", header.Fields{{Name: "ETag", Value: `"a"`}, old, date}, `"a"`, true},
		{"D19.9: weak entity tag", header.Fields{{Name: "ETag", Value: `W/"a"`}, old, date}, `W/"a"`, false},
		{"D19.9: date", header.Fields{old, date}, old.Value, true},
		{"D19.9: date without Date", header.Fields{old}, old.Value, false},
		{"D19.9: none", header.Fields{date}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := Strong(tt.stored, received); ok != tt.ok || got != tt.want {
				t.Errorf("Strong = %q, %v, want %q, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}
