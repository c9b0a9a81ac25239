// SPDX-License-Identifier: Apache-2.0

package fill

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestSpill: a body that is not kept in memory goes to the store whole and in order,
// whether that is known from the announced length or found out on the way.
func TestSpill(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 40<<10) // ten chunks
	for _, tt := range []struct {
		name       string
		size, keep int64
		spilled    bool
	}{
		{"announced, kept", int64(len(text)), 1 << 20, false},
		{"announced, too long", int64(len(text)), 1000, true},
		{"unknown, kept", -1, 1 << 20, false},
		{"unknown, grows too long", -1, 200 << 10, true},
		{"never kept", -1, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := NewGroup[string](Config{})
			defer g.Close()
			var spilled bytes.Buffer
			r := join(t, g, pour(Body{Size: tt.size, Keep: tt.keep, Shared: true, Spill: func(b []byte) error {
				spilled.Write(b)
				return nil
			}}, strings.NewReader(text)))
			defer r.Close()
			if _, err := r.Head(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			for {
				b, err := r.Next(t.Context())
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got.Write(b)
			}
			if got.String() != text {
				t.Errorf("design 3.9: the reader has %d bytes of %d", got.Len(), len(text))
			}
			want := ""
			if tt.spilled {
				want = text
			}
			if spilled.String() != want {
				t.Errorf("design 3.9: %d bytes are spilled, want %d", spilled.Len(), len(want))
			}
		})
	}
}

// TestSpillFails: what cannot be stored ends the fill with that error, and Spill is not
// called again.
func TestSpillFails(t *testing.T) {
	g := NewGroup[string](Config{})
	defer g.Close()
	full := errors.New("disk is full")
	calls := 0
	r := join(t, g, func(ctx context.Context, f *Fill[string]) error {
		f.Begin("head", Body{Size: -1, Spill: func([]byte) error {
			calls++
			return full
		}})
		_, _, err := f.Copy(ctx, strings.NewReader("text"))
		return err
	})
	defer r.Close()
	if _, err := r.Next(t.Context()); !errors.Is(err, full) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}
