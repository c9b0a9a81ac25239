// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bufio"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// BenchmarkFetchKeepAlive is one small answer over a kept connection, the
// origin's share included.
func BenchmarkFetchKeepAlive(b *testing.B) {
	fetch := keptFetch(b)
	b.ReportAllocs()
	for b.Loop() {
		fetch()
	}
}

// keptFetch returns a function that fetches 1 KB over a kept connection, reads and
// closes it.
func keptFetch(t testing.TB) func() {
	answer := []byte("HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n" +
		"Content-Type: text/html\r\nETag: \"abc\"\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024))
	o := serve(t, func(p *peer) {
		for {
			line, err := p.in.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == 2 {
				if _, err := p.Write(answer); err != nil {
					return
				}
			}
		}
	})
	c := newTestClient(t, Config{})
	r := get(o)
	r.Header = header.Fields{{Name: "User-Agent", Value: "Seafront"}, {Name: "Via", Value: "1.1 x"}, {Name: "X-Forwarded-For", Value: "192.0.2.1"}}
	r.Viewer = netip.MustParseAddr("2001:db8::1")
	buf := make([]byte, 4096)
	return func() {
		res, err := c.Fetch(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = res.Body.Read(buf)
		}
		if err != io.EOF {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
}

// BenchmarkReadHead is the parser alone.
func BenchmarkReadHead(b *testing.B) {
	raw := "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n" +
		"Content-Type: text/html; charset=utf-8\r\nETag: \"abc\"\r\nContent-Length: 1024\r\n" +
		"Cache-Control: public, max-age=3600\r\nVary: Accept-Encoding\r\n\r\n"
	src := strings.NewReader(raw)
	in := bufio.NewReader(src)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		src.Reset(raw)
		in.Reset(src)
		if _, err := readFinalHead(in, DefaultMaxHeaderBytes, false, nil); err != nil {
			b.Fatal(err)
		}
	}
}
