// SPDX-License-Identifier: Apache-2.0

package fill

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// What has come with the head is there at once, and the rest as it comes.
func TestArrived(t *testing.T) {
	for _, tt := range []struct {
		name  string
		body  Body
		rest  string
		first string // what Next has when the head is there
	}{
		{"whole", Body{Size: 5, Keep: 10, Arrived: []byte("hello"), Whole: true}, "", "hello"},
		{"whole, of unknown length", Body{Size: -1, Keep: 10, Arrived: []byte("hello"), Whole: true}, "", "hello"},
		{"whole, not kept", Body{Size: 5, Arrived: []byte("hello"), Whole: true}, "", "hello"},
		{"a part", Body{Size: 5, Keep: 10, Arrived: []byte("he")}, "llo", "he"},
		{"a part, not kept", Body{Size: 5, Arrived: []byte("he")}, "llo", "he"},
		{"a part of what is too long to be kept", Body{Size: -1, Keep: 3, Arrived: []byte("he")}, "llo", "he"},
		{"nothing", Body{Size: 5, Keep: 10}, "hello", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGroup[string](Config{})
				more, stored := make(chan struct{}), make(chan struct{})
				var pieces [][]byte
				r := join(t, g, func(ctx context.Context, f *Fill[string]) (err error) {
					f.Begin("head", tt.body)
					<-more
					pieces, _, err = f.Copy(ctx, strings.NewReader(tt.rest))
					<-stored
					return err
				})
				if _, err := r.Head(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
				if r.Ready() != (tt.first != "") {
					t.Errorf("ready: %v", r.Ready())
				}
				if tt.first != "" {
					if b, err := r.Next(t.Context()); string(b) != tt.first || err != nil {
						t.Errorf("with the head: %q, %v", b, err)
					}
				}
				close(more)
				if !tt.body.Whole {
					close(stored) // before, there is no end
				}
				if b, err := drain(t.Context(), r); tt.first+string(b) != "hello" || err != nil {
					t.Errorf("then %q, %v", b, err)
				}
				if tt.body.Whole {
					close(stored)
				}
				g.Close()
				if kept := string(bytes.Join(pieces, nil)); tt.body.Keep >= 5 && kept != "hello" {
					t.Errorf("kept %q", kept)
				}
			})
		})
	}
}

// What comes together with its end is at its end, and the reader does not wait for what
// the Run does then, nor end it by leaving.
func TestEndDoesNotWaitForTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup[string](Config{})
		stored := make(chan struct{})
		r := join(t, g, func(ctx context.Context, f *Fill[string]) error {
			f.Begin("head", Body{Size: 5})
			_, _, err := f.Copy(ctx, lastWithEnd{strings.NewReader("hello")})
			<-stored
			if ctx.Err() != nil {
				t.Error("the fill is given up")
			}
			return err
		})
		if b, err := drain(t.Context(), r); string(b) != "hello" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		close(stored)
		synctest.Wait()
		g.Close()
	})
}

// lastWithEnd gives its last bytes together with io.EOF.
type lastWithEnd struct{ *strings.Reader }

func (r lastWithEnd) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == nil && r.Len() == 0 {
		err = io.EOF
	}
	return n, err
}
