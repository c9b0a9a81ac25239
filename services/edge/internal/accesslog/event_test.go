// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// line is the line of an event.
func line(e *Event) string {
	s := newShard(leastShard)
	return string(e.append(nil, s.clock(e.Time)))
}

// full has everything.
func full() *Event {
	return &Event{
		Time:   time.Date(2026, 1, 2, 3, 4, 5, 67890_999, time.FixedZone("x", 3600)),
		Method: "GET", Host: "www.example.com", Path: "/a\"b", Protocol: "HTTP/1.1", Status: 200,
		Outcome: "hit", Result: "Hit", Bytes: 1024, Duration: 1500 * time.Microsecond, RequestID: "id==",
		Viewer: netip.MustParseAddr("::ffff:192.0.2.1"), Revision: 7, Distribution: "d1", Behavior: "*.js",
		Origin: "origins/o", Collapsed: true, Attempts: 2, OriginError: "timeout", Reason: "private", Error: "x: y",
		TraceID: [16]byte{1, 15: 2}, SpanID: [8]byte{0xab},
	}
}

func TestLine(t *testing.T) {
	want := `{"time":"2026-01-02T02:04:05.067890Z","level":"INFO","msg":"request","method":"GET","host":"www.example.com",` +
		`"path":"/a\"b","protocol":"HTTP/1.1","status":200,"outcome":"hit","result":"Hit","bytes":1024,"duration":1500000,` +
		`"request_id":"id==","viewer":"192.0.2.1","revision":7,"distribution":"d1","behavior":"*.js","origin":"origins/o",` +
		`"collapsed":true,"attempts":2,"origin_error":"timeout","reason":"private","error":"x: y",` +
		`"trace_id":"01000000000000000000000000000002","span_id":"ab00000000000000"}` + "\n"
	if diff := cmp.Diff(want, line(full())); diff != "" {
		t.Error(diff)
	}
	want = `{"time":"2026-01-02T03:04:05.000000Z","level":"INFO","msg":"request","method":"","host":"","path":"","protocol":"",` +
		`"status":0,"outcome":"","result":"","bytes":0,"duration":0,"request_id":""}` + "\n"
	if diff := cmp.Diff(want, line(&Event{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})); diff != "" {
		t.Error(diff)
	}
}

// TestLongest: a line is bounded, and never longer than most.
func TestLongest(t *testing.T) {
	s := strings.Repeat("\x01", 1<<20)
	e := &Event{
		Time: time.Unix(1<<37, 999999999), Method: s, Host: s, Path: s, Protocol: s, Outcome: s, Result: s, RequestID: s,
		Distribution: s, Behavior: s, Origin: s, OriginError: s, Reason: s, Error: s,
		Status: -1 << 63, Bytes: -1 << 63, Duration: -1 << 63, Revision: -1 << 63, Attempts: -1 << 63,
		Viewer:  netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666"),
		TraceID: [16]byte{1}, SpanID: [8]byte{1},
	}
	got := line(e)
	if most := e.most(); len(got) > most || len(got) < most-fixed {
		t.Errorf("%d bytes, most %d", len(got), most)
	}
	if e.most() > leastShard-enough {
		t.Errorf("most is %d", e.most())
	}
	if !json.Valid([]byte(got)) {
		t.Error("no JSON")
	}
}

// FuzzLine: a line is what encoding/json makes of the same strings, byte for byte.
func FuzzLine(f *testing.F) {
	f.Add("GET", "/a")
	f.Add("\"\\\b\f\n\r\t\x00\x1f\x7f", "<>&\u2028\u2029é\U0001F600")
	f.Add("\xff\xc3", "\xed\xa0\x80\xf5")
	f.Add(strings.Repeat("é", 600), "a"+strings.Repeat("é", 600))
	f.Fuzz(func(t *testing.T, method, path string) {
		e := &Event{Time: time.Unix(0, 0), Method: method, Path: path, Error: path}
		got := line(e)
		for _, s := range []string{method, path} {
			s = s[:min(len(s), longest)]
			var want bytes.Buffer
			enc := json.NewEncoder(&want)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(s); err != nil {
				t.Fatal(err)
			}
			if mine := string(appendString(nil, s)); mine+"\n" != want.String() {
				t.Fatalf("%q: got %s, want %s", s, mine, want.String())
			}
		}
		var read map[string]any
		if err := json.Unmarshal([]byte(got), &read); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		if !utf8.ValidString(got) || strings.Count(got, "\n") != 1 || len(got) > e.most() {
			t.Fatalf("%q is not one bounded line of UTF-8", got)
		}
	})
}
