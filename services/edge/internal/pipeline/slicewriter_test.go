// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"
	"testing/synctest"

	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// TestBufferOfSlicesIsCharged: what a fill holds to fill a slice counts against what all may
// hold; where that is too much, the body passes by and is not stored.
func TestBufferOfSlicesIsCharged(t *testing.T) {
	for _, tt := range []struct {
		name   string
		most   int64
		stored bool
	}{
		{"room", 64 << 20, true},
		{"none to spare", 2*int64(store.SliceBytes) - 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEdge(t, options{bytes: 256 << 20, change: func(c *Config) { c.FillWindow, c.MaxFillBytes = 256<<10, tt.most }})
				body, arriving := content(5*mebi), newGate()
				e.origin.set(func(*origin.Request) page { return page{status: 200, body: arriving, length: -1} })
				c := start(e, 1, "/")
				arriving.pieces <- body[:3*mebi]
				arriving.pieces <- body[3*mebi : 4*mebi+9]
				synctest.Wait()
				held := e.fills.Stats().Bytes
				if charged := held >= int64(store.SliceBytes); charged != tt.stored || held > tt.most {
					t.Errorf("%d bytes are charged, of %d", held, tt.most)
				}
				arriving.pieces <- body[4*mebi+9:]
				close(arriving.pieces)
				c.wg.Wait()
				if w := c.viewers[0]; w.far() != body || w.err != nil {
					t.Errorf("the viewer: %d bytes, %v", len(w.far()), w.err)
				}
				synctest.Wait()
				if held := e.fills.Stats().Bytes; held != 0 {
					t.Errorf("left over: %d bytes", held)
				}
				e.origin.says(text(200, body))
				word := map[bool]string{true: "Hit", false: "Miss"}[tt.stored]
				if g := e.get("/"); g.xcache() != word || g.body != body {
					t.Errorf("afterwards: %s, %d bytes, want %s", g.xcache(), len(g.body), word)
				}
			})
		})
	}
}
