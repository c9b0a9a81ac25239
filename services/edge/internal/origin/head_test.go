// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

func reader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }

func TestReadHead(t *testing.T) {
	for _, tt := range []struct {
		name string
		raw  string
		want head
	}{
		{
			name: "fields keep order, spelling and repetition",
			raw:  "HTTP/1.1 200 OK\r\nserver: x\r\nSet-Cookie:a=1\r\nset-cookie: \t b=2 \t\r\nX-Empty:\r\n\r\n",
			want: head{1, 200, header.Fields{{Name: "server", Value: "x"}, {Name: "Set-Cookie", Value: "a=1"}, {Name: "set-cookie", Value: "b=2"}, {Name: "X-Empty", Value: ""}}},
		},
		{"HTTP/1.0", "HTTP/1.0 404 Not Found\r\n\r\n", head{0, 404, header.Fields{}}},
		{"empty reason", "HTTP/1.1 200 \r\n\r\n", head{1, 200, header.Fields{}}},
		{"no space before an empty reason", "HTTP/1.1 200\r\n\r\n", head{1, 200, header.Fields{}}},
		{"bytes above 0x7f pass", "HTTP/1.1 200 \xc3\xa9\r\nX: \xff\r\n\r\n", head{1, 200, header.Fields{{Name: "X", Value: "\xff"}}}},
		{"D17.11: one 100 Continue is allowed", "HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 204 \r\n\r\n", head{1, 204, header.Fields{}}},
		{"D17.11: 103 is dropped", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 8) + "HTTP/1.1 204 \r\n\r\n", head{1, 204, header.Fields{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := reader(tt.raw + "rest")
			got, err := readFinalHead(in, DefaultMaxHeaderBytes, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(head{})); diff != "" {
				t.Error(diff)
			}
			if rest, _ := io.ReadAll(in); string(rest) != "rest" {
				t.Errorf("%q is left", rest)
			}
		})
	}
}

// TestInterim: interim answers are passed on to who asks for them.
func TestInterim(t *testing.T) {
	hints := "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 5\r\n\r\n"
	for _, tt := range []struct {
		name, raw string
		want      []string
		kind      Kind
	}{
		{"D17.11: as they come, without what is for one hop", "HTTP/1.1 102 \r\n\r\n" + hints + "HTTP/1.1 199 x\r\nA: b\r\n\r\n", []string{"102 []", "103 [{Link </x>}]", "199 [{A b}]"}, 0},
		{"D4.10: 100 is not passed on, nor a second one", strings.Repeat("HTTP/1.1 100 \r\n\r\n", 2), nil, 0},
		{"101 that nobody asked for", "HTTP/1.1 101 \r\n\r\n", nil, Invalid},
		{"their number is bounded", strings.Repeat("HTTP/1.1 100 \r\n\r\n", 33), nil, Invalid},
		{"their size is bounded in all", strings.Repeat("HTTP/1.1 100 \r\nA: "+strings.Repeat("b", 9000)+"\r\n\r\n", 4), nil, HeaderTooBig},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			interim := func(status int, h header.Fields) { got = append(got, fmt.Sprint(status, " ", h)) }
			h, err := readFinalHead(reader(tt.raw+"HTTP/1.1 204 \r\n\r\n"), DefaultMaxHeaderBytes, false, interim)
			if tt.kind != 0 {
				wantKind(t, err, tt.kind)
			} else if err != nil || h.status != 204 {
				t.Errorf("%d, %v", h.status, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadHeadRefused(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tt := range []struct {
		name string
		raw  string
		want Kind
	}{
		{"not HTTP", "220 smtp ready\r\n\r\n", Invalid},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", Invalid},
		{"lower case", "http/1.1 200 OK\r\n\r\n", Invalid},
		{"minor version is no digit", "HTTP/1.x 200 OK\r\n\r\n", Invalid},
		{"empty line first", "\r\n" + ok + "\r\n", Invalid},
		{"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", Invalid},
		{"status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", Invalid},
		{"status with a sign", "HTTP/1.1 +20 OK\r\n\r\n", Invalid},
		{"status below 100", "HTTP/1.1 099 OK\r\n\r\n", Invalid},
		{"status 000", "HTTP/1.1 000 OK\r\n\r\n", Invalid},
		{"tab after the status", "HTTP/1.1 200\tOK\r\n\r\n", Invalid},
		{"control in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n", Invalid},
		{"D17.13: bare LF after the status line", "HTTP/1.1 200 OK\nA: b\r\n\r\n", Invalid},
		{"D17.13: bare LF after a field", ok + "A: b\n\r\n", Invalid},
		{"D17.13: bare LF at the end", ok + "A: b\r\n\n", Invalid},
		{"D17.13: bare CR in a value", ok + "A: b\rC: d\r\n\r\n", Invalid},
		{"D17.13: folded line", ok + "A: b\r\n c\r\n\r\n", Invalid},
		{"D17.13: folded line first", ok + "\tA: b\r\n\r\n", Invalid},
		{"D17.13: space before the colon", ok + "A : b\r\n\r\n", Invalid},
		{"D17.13: no colon", ok + "A\r\n\r\n", Invalid},
		{"D17.13: no name", ok + ": b\r\n\r\n", Invalid},
		{"D17.13: bad name", ok + "A(b): c\r\n\r\n", Invalid},
		{"D17.13: NUL in a value", ok + "A: b\x00\r\n\r\n", Invalid},
		{"D17.13: DEL in a value", ok + "A: b\x7f\r\n\r\n", Invalid},
		{"D17.11: a second 100 Continue", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 2) + ok + "\r\n", Invalid},
		{"D17.11: 101 that nobody asked for", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", Invalid},
		{"D17.11: endless interim answers", strings.Repeat("HTTP/1.1 103 \r\n\r\n", 33) + ok + "\r\n", Invalid},
		{"D17.13: head of more than 32768 bytes", ok + "A: " + strings.Repeat("b", 32768) + "\r\n\r\n", HeaderTooBig},
		{"D17.13: many fields of more than 32768 bytes", ok + strings.Repeat("A: b\r\n", 6000) + "\r\n", HeaderTooBig},
		{"D17.13: line without an end", strings.Repeat("b", 40000), HeaderTooBig},
		{"ends within the head", ok + "A: b\r\n", Truncated},
		{"ends within a line", ok + "A: b", Truncated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readFinalHead(reader(tt.raw), DefaultMaxHeaderBytes, false, nil)
			wantKind(t, err, tt.want)
		})
	}
}

func TestHeadLimitIsExact(t *testing.T) {
	raw := "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 100) + "\r\n\r\n"
	if _, _, err := readHead(reader(raw), len(raw)); err != nil {
		t.Errorf("D17.13: a head of the limit is refused: %v", err)
	}
	_, _, err := readHead(reader(raw), len(raw)-1)
	wantKind(t, err, HeaderTooBig)
}

// sourceOf is how a body in a framing is read.
func sourceOf(in *bufio.Reader, f frame, limit int) source {
	b := &body{conn: &conn{in: in}}
	return b.source(f, limit)
}

// FuzzAnswer reads arbitrary bytes as answers. Nothing panics, the head and the
// body never take more than their framing, and what net/http accepts as well it
// reads the same way.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcX",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\nX",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nabc",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.1 200 OK\nA : b\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		in := bufio.NewReader(bytes.NewReader(raw))
		h, err := readFinalHead(in, DefaultMaxHeaderBytes, false, nil)
		if err != nil {
			return
		}
		fr, err := frameOf("GET", h)
		if err != nil {
			return
		}
		got, err := io.ReadAll(sourceOf(in, fr, DefaultMaxHeaderBytes))
		if fr.framing == ContentLength && int64(len(got)) > fr.length {
			t.Fatalf("%d bytes read of %d", len(got), fr.length)
		}
		if err == nil {
			compare(t, raw, h, fr, got)
		}
	})
}

// compare reads the last answer in raw with net/http, which reads interim ones as
// answers of their own.
func compare(t *testing.T, raw []byte, h head, fr frame, got []byte) {
	in := bufio.NewReader(bytes.NewReader(raw))
	res, err := http.ReadResponse(in, nil)
	for err == nil && res.StatusCode < 200 {
		res, err = http.ReadResponse(in, nil)
	}
	if err != nil {
		return // net/http is stricter here
	}
	defer func() { _ = res.Body.Close() }()
	want, err := io.ReadAll(res.Body)
	if err != nil {
		return
	}
	if res.StatusCode != h.status || !bytes.Equal(want, got) {
		t.Fatalf("got %d %q (%v), net/http %d %q", h.status, got, fr.framing, res.StatusCode, want)
	}
	for name, values := range res.Header {
		if mine := h.fields.Values(name); name != "Content-Length" && !cmp.Equal(values, mine) {
			t.Fatalf("%s: got %q, net/http %q", name, mine, values)
		}
	}
}
