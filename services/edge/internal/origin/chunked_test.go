// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bytes"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestChunked(t *testing.T) {
	for _, tt := range []struct {
		name, raw, want string
	}{
		{"empty", "0\r\n\r\n", ""},
		{"two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"},
		{"digits of both cases", "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"},
		{"leading zeros", "0000000000000000003\r\nabc\r\n000\r\n\r\n", "abc"},
		{"extensions", "3;a=b\r\nabc\r\n0 ; c=\"d\"\r\n\r\n", "abc"},
		{"tiny chunks are slow, but data", strings.Repeat("1\r\na\r\n", 100000) + "0\r\n\r\n", strings.Repeat("a", 100000)},
		{"long extensions of long chunks", strings.Repeat("3e8;"+strings.Repeat("a", 900)+"\r\n"+strings.Repeat("b", 1000)+"\r\n", 200) + "0\r\n\r\n", strings.Repeat("b", 200000)},
		{"trailers are dropped", "0\r\nA: b\r\nC: d\r\n\r\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := reader(tt.raw + "rest")
			r := &chunkedReader{in: in, limit: 100}
			got, err := io.ReadAll(r)
			if err != nil || string(got) != tt.want || !r.whole() {
				t.Errorf("got %q, %v, whole %v", got, err, r.whole())
			}
			if rest, _ := io.ReadAll(in); string(rest) != "rest" {
				t.Errorf("%q is left", rest)
			}
		})
	}
}

func TestChunkedRefused(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		want      Kind
	}{
		{"no size", "\r\n", Invalid},
		{"extension without a size", ";a\r\n", Invalid},
		{"prefix", "0x3\r\nabc\r\n", Invalid},
		{"sign", "-1\r\n", Invalid},
		{"space first", " 3\r\nabc\r\n", Invalid},
		{"space after the size", "3 \r\nabc\r\n", Invalid},
		{"out of range", "8000000000000000\r\n", Invalid},
		{"far out of range", "10000000000000000000000003\r\n", Invalid},
		{"control in an extension", "3;\x00\r\nabc\r\n", Invalid},
		{"bare LF after the size", "3\nabc\r\n", Invalid},
		{"bare LF after the data", "3\r\nabc\n0\r\n\r\n", Invalid},
		{"data longer than the size", "3\r\nabcd\r\n0\r\n\r\n", Invalid},
		{"framing without data", strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nb\r\n", 100), Invalid},
		{"zeros without data", strings.Repeat(strings.Repeat("0", 1000)+"1\r\nb\r\n", 100), Invalid},
		{"endless line", "3;" + strings.Repeat("a", 5000), Invalid},
		{"bad trailer", "0\r\nA\r\n\r\n", Invalid},
		{"folded trailer", "0\r\nA: b\r\n c\r\n\r\n", Invalid},
		{"D17.13: trailers too big", "0\r\n" + strings.Repeat("A: b\r\n", 20) + "\r\n", HeaderTooBig},
		{"D17.12: nothing", "", Truncated},
		{"D17.12: ends in the size", "3", Truncated},
		{"D17.12: ends in the data", "3\r\nab", Truncated},
		{"D17.12: no final chunk", "3\r\nabc\r\n", Truncated},
		{"D17.12: no end after the final chunk", "3\r\nabc\r\n0\r\n", Truncated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &chunkedReader{in: reader(tt.raw), limit: 100}
			_, err := io.ReadAll(r)
			wantKind(t, err, tt.want)
			if r.whole() {
				t.Error("counts as whole")
			}
		})
	}
}

// TestChunkedStreams: what has arrived of a chunk is delivered before its end
// (D17.1).
func TestChunkedStreams(t *testing.T) {
	pr, pw := io.Pipe()
	defer func() { _ = pr.Close() }()
	in := reader("")
	in.Reset(pr)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.WriteString(pw, "6\r\nabc")
	}()
	r := &chunkedReader{in: in, limit: 100}
	b := make([]byte, 10)
	n, err := r.Read(b)
	if err != nil || string(b[:n]) != "abc" {
		t.Errorf("D17.1: got %q, %v", b[:n], err)
	}
	<-done
}

// TestChunkedRoundTrip: any body in any chunks, arriving in any pieces, is read as
// it was.
func TestChunkedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunks := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 1, 300)).Draw(t, "chunks")
		var raw, want bytes.Buffer
		for _, c := range chunks {
			want.Write(c)
			fmt.Fprintf(&raw, "%x\r\n%s\r\n", len(c), c)
		}
		raw.WriteString("0\r\n\r\nrest")
		in := reader("")
		if rapid.Bool().Draw(t, "slowly") {
			in.Reset(iotest.OneByteReader(&raw))
		} else {
			in.Reset(&raw)
		}
		got, err := io.ReadAll(&chunkedReader{in: in, limit: 100})
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("got %q, %v, want %q", got, err, want.Bytes())
		}
		if rest, _ := io.ReadAll(in); string(rest) != "rest" {
			t.Fatalf("%q is left", rest)
		}
	})
}

// FuzzChunked compares with net/http's decoder on what both accept.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{"3\r\nabc\r\n0\r\n\r\n", "0\r\nA: b\r\n\r\nx", "3;a=b\r\nabc\r\n0;c\r\n\r\n", "ffffffffffffffff\r\n", "3 \r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := &chunkedReader{in: reader(string(raw)), limit: 1000}
		got, err := io.ReadAll(r)
		if (err == nil) != r.whole() {
			t.Fatalf("error %v, whole %v", err, r.whole())
		}
		if err != nil {
			return
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(raw)))
		if err == nil && !bytes.Equal(got, want) {
			t.Fatalf("got %q, net/http %q", got, want)
		}
	})
}
