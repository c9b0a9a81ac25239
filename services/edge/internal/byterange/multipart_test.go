// SPDX-License-Identifier: Apache-2.0

package byterange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange/exchangetest"
)

// read returns all bytes of a body, and fails if they are not as many as it says.
func read(t failer, b exchange.Body) string {
	t.Helper()
	var out []byte
	n, err := exchangetest.Read(context.Background(), b, func(p []byte) {
		if len(p) == 0 && b.Stream != nil {
			t.Fatalf("an empty piece")
		}
		out = append(out, p...)
	})
	if err != nil || n != b.Size {
		t.Fatalf("body of %d bytes: read %d, %v", b.Size, n, err)
	}
	return string(out)
}

// text is a body in pieces of the given sizes.
func text(s string, sizes ...int) Pieces {
	var p Pieces
	for _, n := range sizes {
		p = append(p, exchange.Piece{Bytes: []byte(s[:n])})
		s = s[n:]
	}
	if s != "" {
		p = append(p, exchange.Piece{Bytes: []byte(s)})
	}
	return p
}

func TestMultipart(t *testing.T) {
	const boundary = "000102030405060708090a0b0c0d0e0f"
	var random [16]byte
	for i := range random {
		random[i] = byte(i)
	}
	if got := Boundary(random); got != boundary {
		t.Errorf("Boundary = %q, want %q", got, boundary)
	}
	m := NewMultipart([]Range{{0, 2}, {5, 3}}, 10, "text/plain", boundary)
	want := strings.ReplaceAll(`--B
Content-Type: text/plain
Content-Range: bytes 0-1/10

01
--B
Content-Type: text/plain
Content-Range: bytes 5-7/10

567
--B--
`, "\n", "\r\n")
	want = strings.ReplaceAll(want, "B", boundary)
	if got := read(t, m.Body(text("0123456789", 3, 3))); got != want {
		t.Errorf("RFC 9110 14.6: body = %q, want %q", got, want)
	}
	wantHeader := header.Fields{
		{Name: "Content-Type", Value: "multipart/byteranges; boundary=" + boundary}, {Name: "ETag", Value: `"a"`},
		{Name: "Content-Length", Value: fmt.Sprint(len(want))},
	}
	got := m.Header(header.Fields{
		{Name: "Content-Type", Value: "text/plain"}, {Name: "ETag", Value: `"a"`}, {Name: "Content-Length", Value: "10"},
		{Name: "Content-Range", Value: "x"},
	})
	if diff := cmp.Diff(wantHeader, got); diff != "" {
		t.Errorf("Header (-want +got):\n%s", diff)
	}
	if body := read(t, NewMultipart([]Range{{0, 1}, {2, 1}}, 3, "", "B").Body(text("abc"))); strings.Contains(body, "Content-Type") {
		t.Errorf("a part without a type has one: %q", body)
	}
}

// TestMultipartReassembles: what a reader of multipart finds in the parts of any selection
// is what the ranges hold, from memory, files and both.
func TestMultipartReassembles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "body")
	body := make([]byte, 40)
	for i := range body {
		body[i] = byte('a' + i%26)
	}
	if err := os.WriteFile(path, append([]byte("before"), body...), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, len(body)).Draw(t, "size")
		source := drawPieces(t, body[:size], file)
		rules := rapid.SampledFrom([]Rules{InOrder, AnyOrder}).Draw(t, "rules")
		x := checkSelection(t, drawSet(t), int64(size), rules)
		switch x.Outcome {
		case Single:
			want := string(body[x.Range.Start:x.Range.End()])
			if got := read(t, Section(source, x.Range)); got != want {
				t.Fatalf("section %v = %q, want %q", x.Range, got, want)
			}
			if got := read(t, Cut(body[:size], x.Range)); got != want {
				t.Fatalf("cut %v = %q, want %q", x.Range, got, want)
			}
		case Several:
			m := NewMultipart(x.Ranges, int64(size), "text/plain", "BOUNDARY")
			checkParts(t, m, read(t, m.Body(source)), body[:size], x.Ranges)
		}
	})
}

// drawPieces splits a body, which lies in the file behind 6 bytes, into pieces.
func drawPieces(t *rapid.T, body []byte, file *os.File) Pieces {
	var p Pieces
	for at := 0; at < len(body); {
		n := rapid.IntRange(1, len(body)-at).Draw(t, "piece")
		if rapid.Bool().Draw(t, "from the file") {
			p = append(p, exchange.Piece{File: file, Offset: int64(6 + at), Length: int64(n)})
		} else {
			p = append(p, exchange.Piece{Bytes: body[at : at+n]})
		}
		at += n
	}
	return p
}

func checkParts(t *rapid.T, m *Multipart, sent string, body []byte, ranges []Range) {
	_, params, err := mime.ParseMediaType(m.ContentType())
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(strings.NewReader(sent), params["boundary"])
	for _, want := range ranges {
		part, err := r.NextPart()
		if err != nil {
			t.Fatalf("no part for %v: %v", want, err)
		}
		c, ok := ParseContentRange(part.Header.Get("Content-Range"))
		if !ok || c.Range != want || c.Size != int64(len(body)) {
			t.Fatalf("Content-Range = %q, want %v", part.Header.Get("Content-Range"), want)
		}
		got, err := io.ReadAll(part)
		if err != nil || !bytes.Equal(got, body[want.Start:want.End()]) {
			t.Fatalf("part %v = %q, %v", want, got, err)
		}
	}
	if _, err := r.NextPart(); !errors.Is(err, io.EOF) {
		t.Fatalf("after the last part: %v, want io.EOF", err)
	}
}

// liar is a source whose sections have another length.
type liar struct{ by int64 }

func (l liar) Section(r Range) exchange.Stream {
	p := exchange.Pieces{make([]byte, r.Length+l.by)}
	return &p
}

// TestSectionsOfAnotherLength: nobody may take for whole what is not (D17.12).
func TestSectionsOfAnotherLength(t *testing.T) {
	m := NewMultipart([]Range{{0, 2}, {4, 2}}, 10, "", "B")
	for name, b := range map[string]exchange.Body{
		"short section": Section(liar{-1}, Range{0, 2}), "long section": Section(liar{1}, Range{0, 2}),
		"short part": m.Body(liar{-1}), "long part": m.Body(liar{1}),
	} {
		if n, err := exchangetest.Read(context.Background(), b, func([]byte) {}); err == nil {
			t.Errorf("%s: %d bytes of %d without an error", name, n, b.Size)
		} else if n >= b.Size {
			t.Errorf("%s: %d bytes of %d before the error", name, n, b.Size)
		}
	}
}

func TestMultipartClosed(t *testing.T) {
	s := NewMultipart([]Range{{0, 2}, {4, 2}}, 10, "", "B").Body(text("0123456789")).Stream
	for range 2 {
		if _, err := s.Next(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s.Close()
	if _, err := s.Next(context.Background()); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Next after Close = %v, want an error", err)
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		r    Range
		want string
	}{
		{Range{0, 3}, "abc"},
		{Range{1, 1}, "b"},
		{Range{2, 5}, "c"},
		{Range{5, 1}, ""},
	} {
		if got := read(t, Cut([]byte("abc"), tt.r)); got != tt.want {
			t.Errorf("Cut(%v) = %q, want %q", tt.r, got, tt.want)
		}
	}
}
