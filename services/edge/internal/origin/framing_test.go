// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// fieldsOf makes fields of "name: value" lines.
func fieldsOf(lines ...string) header.Fields {
	var f header.Fields
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		f.Add(name, value)
	}
	return f
}

func TestFrameOf(t *testing.T) {
	for _, tt := range []struct {
		name   string
		method string
		status int
		minor  int
		fields header.Fields
		want   frame
	}{
		{"D17.12: length", "GET", 200, 1, fieldsOf("content-length: 5"), frame{ContentLength, 5, true}},
		{"length of zero", "GET", 200, 1, fieldsOf("Content-Length: 0"), frame{ContentLength, 0, true}},
		{"equal lengths", "GET", 200, 1, fieldsOf("Content-Length: 5", "Content-Length: 05"), frame{ContentLength, 5, true}},
		{"D17.3: chunked", "GET", 200, 1, fieldsOf("Transfer-Encoding: Chunked"), frame{Chunked, -1, true}},
		{"D17.12: neither", "GET", 200, 1, nil, frame{CloseDelimited, -1, false}},
		{"neither, whatever Connection says", "GET", 200, 1, fieldsOf("Connection: keep-alive"), frame{CloseDelimited, -1, false}},
		{"HEAD with length", "HEAD", 200, 1, fieldsOf("Content-Length: 5"), frame{None, 5, true}},
		{"HEAD chunked", "HEAD", 200, 1, fieldsOf("Transfer-Encoding: chunked"), frame{None, -1, true}},
		{"HEAD with neither", "HEAD", 200, 1, nil, frame{None, -1, true}},
		{"304 with length", "GET", 304, 1, fieldsOf("Content-Length: 5"), frame{None, 5, true}},
		{"204", "GET", 204, 1, nil, frame{None, 0, true}},
		{"204 with length 0", "GET", 204, 1, fieldsOf("Content-Length: 0"), frame{None, 0, true}},
		{"204 with a length is not trusted again", "GET", 204, 1, fieldsOf("Content-Length: 5"), frame{None, 0, false}},
		{"204 with a coding is not trusted again", "GET", 204, 1, fieldsOf("Transfer-Encoding: chunked"), frame{None, 0, false}},
		{"D16.16: close", "GET", 200, 1, fieldsOf("Content-Length: 5", "Connection: x", "Connection: y, Close"), frame{ContentLength, 5, false}},
		{"D16.16: close wins", "GET", 200, 1, fieldsOf("Content-Length: 5", "Connection: close, keep-alive"), frame{ContentLength, 5, false}},
		{"D16.16: HTTP/1.0", "GET", 200, 0, fieldsOf("Content-Length: 5"), frame{ContentLength, 5, false}},
		{"D16.16: HTTP/1.0 with keep-alive", "GET", 200, 0, fieldsOf("Content-Length: 5", "Connection: Keep-Alive"), frame{ContentLength, 5, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := frameOf(tt.method, head{tt.minor, tt.status, tt.fields})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(frame{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFrameRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		minor  int
		fields header.Fields
	}{
		{"D17.3: another coding", 1, fieldsOf("Transfer-Encoding: gzip")},
		{"D17.3: two codings", 1, fieldsOf("Transfer-Encoding: gzip, chunked")},
		{"D17.3: chunked twice", 1, fieldsOf("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")},
		{"D17.3: empty coding", 1, fieldsOf("Transfer-Encoding: ")},
		{"D17.3: identity", 1, fieldsOf("Transfer-Encoding: identity")},
		{"coding in HTTP/1.0", 0, fieldsOf("Transfer-Encoding: chunked")},
		{"D17.13: coding and length", 1, fieldsOf("Transfer-Encoding: chunked", "Content-Length: 5")},
		{"D17.13: differing lengths", 1, fieldsOf("Content-Length: 5", "Content-Length: 6")},
		{"D17.13: list of lengths", 1, fieldsOf("Content-Length: 5, 5")},
		{"D17.13: sign", 1, fieldsOf("Content-Length: +5")},
		{"D17.13: negative", 1, fieldsOf("Content-Length: -5")},
		{"D17.13: empty", 1, fieldsOf("Content-Length: ")},
		{"D17.13: hexadecimal", 1, fieldsOf("Content-Length: 0x5")},
		{"D17.13: out of range", 1, fieldsOf("Content-Length: 9223372036854775808")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				_, err := frameOf(method, head{tt.minor, 200, tt.fields})
				wantKind(t, err, Invalid)
			}
		})
	}
}

func TestEndToEnd(t *testing.T) {
	got := fieldsOf("Server: x", "Connection: close, X-Hop", "Keep-Alive: timeout=5", "Proxy-Authenticate: x",
		"TE: x", "Trailer: x", "Transfer-Encoding: chunked", "Upgrade: x", "x-hop: 1",
		"content-length: 5", "Content-Length: 5", "Set-Cookie: a", "Set-Cookie: b")
	endToEnd(&got)
	want := fieldsOf("Server: x", "content-length: 5", "Set-Cookie: a", "Set-Cookie: b")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("D17.2: hop-by-hop fields are removed: %s", diff)
	}
}

// TestKeepFor: a connection is given up before the origin ends it.
func TestKeepFor(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        time.Duration
	}{
		{"D16.b: as the edge is set", "", 5 * time.Second},
		{"the origin waits longer", "timeout=60, max=100", 5 * time.Second},
		{"as long", "timeout=5", 4 * time.Second},
		{"shorter", "max=100, Timeout = 2", time.Second},
		{"a second", "timeout=1", 500 * time.Millisecond},
		{"not at all", "timeout=0", 0},
		{"no number", "timeout=x", 5 * time.Second},
		{"out of range", "timeout=99999999999999999999", 5 * time.Second},
		{"the least of many", "timeout=4, timeout=3", 2 * time.Second},
	} {
		h := header.Fields{{Name: "Server", Value: "x"}}
		if tt.value != "" {
			h.Add("keep-alive", tt.value)
		}
		if got := keepFor(h, 5*time.Second); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
