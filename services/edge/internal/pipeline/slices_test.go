// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange/exchangetest"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// openDisk opens a disk cache. One that nobody runs takes what its buffer holds.
func openDisk(t *testing.T, dir string, runs bool) *disk.Log {
	t.Helper()
	cfg := disk.Config{Dir: dir, Limit: 256 << 20, SegmentBytes: 16 << 20}
	if !runs {
		cfg.BufferBytes = 4 << 20
	}
	l, err := disk.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if runs {
		running.Go(func() { _ = l.Run(ctx) })
		<-l.Loaded()
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
		_ = l.Close() // fails where a test has taken the disk away
	})
	return l
}

const mebi = 1 << 20

// TestBodiesOfEveryLength: what is stored in slices is what came, at the ends of slices and
// of what lies in one record, with a length announced and without, on both tiers.
func TestBodiesOfEveryLength(t *testing.T) {
	all := content(7 * mebi)
	for _, onDisk := range []bool{false, true} {
		o := options{bytes: 256 << 20}
		if onDisk {
			o.disk = openDisk(t, t.TempDir(), true)
		}
		e := newEdge(t, o)
		inline := int(e.Store.MaxInline())
		for _, size := range []int{
			inline - 1, inline, inline + 1, mebi - 1, mebi, mebi + 1, 2*mebi - 1, 2 * mebi, 2*mebi + 1, 4 * mebi, 4*mebi + 1, 6 * mebi, 6*mebi + 7,
		} {
			for _, chunked := range []bool{false, true} {
				what := fmt.Sprintf("%d bytes, on disk: %v, chunked: %v", size, onDisk, chunked)
				target := fmt.Sprintf("/%d/%v", size, chunked)
				body := all[:size]
				e.origin.set(func(*origin.Request) page {
					p := text(200, body, "ETag", `"1"`)
					p.chunked = chunked
					return p
				})
				e.want(what, e.get(target), 200, "Miss", body, 1)
				waitStored(e)
				if e.Store.Stats().Disk != nil { // a disk may be too slow for what it is given at once
					if err := o.disk.Sync(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				g := e.get(target)
				if g.body != body || g.err != nil || !onDisk && g.xcache() != "Hit" {
					t.Errorf("%s: %d bytes, %s, %v", what, len(g.body), g.xcache(), g.err)
				}
				if g := e.get(target, "Range", "bytes=-5"); g.status != 206 || g.body != body[size-5:] {
					t.Errorf("%s: the end: %d %q", what, g.status, g.body)
				}
				e.origin.requests()
			}
		}
	}
}

// TestBusyDiskLosesSlices: what a disk is too slow for is fetched again; nobody gets half
// of anything.
func TestBusyDiskLosesSlices(t *testing.T) {
	for _, tt := range []struct{ name, tag string }{
		{"what is missing can be fetched", `"1"`},
		{"what is missing cannot be fetched", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEdge(t, options{bytes: 64 << 20, disk: openDisk(t, t.TempDir(), false)})
			body := content(12 * mebi)
			if tt.tag != "" {
				e.origin.set(ranged(&body, &tt.tag))
			} else {
				e.origin.says(text(200, body))
			}
			for i := range 3 {
				if g := e.get("/"); g.status != 200 || g.body != body || g.err != nil || g.xcache() != "Miss" {
					t.Errorf("request %d: %d, %d bytes, %s, %v", i, g.status, len(g.body), g.xcache(), g.err)
				}
				waitStored(e)
			}
		})
	}
}

// held is a viewer that stops after its first piece until it may go on.
type held struct {
	got
	first, goes chan struct{}
}

func (h *held) Send(ctx context.Context, a *exchange.Answer) (int64, error) {
	h.status = a.Status
	var b strings.Builder
	stop := sync.OnceFunc(func() { close(h.first); <-h.goes })
	defer stop()
	n, err := exchangetest.Read(ctx, a.Body, func(p []byte) { b.Write(p); stop() })
	h.body, h.err = b.String(), err
	return n, err
}

// TestSlowViewerGoesOn: one that falls out of the window of a fill goes on with what is
// stored (design 3.9), whether or not the origin gives parts.
func TestSlowViewerGoesOn(t *testing.T) {
	for _, tt := range []struct {
		name, tag, rng string
	}{
		{"a strong validator", `"1"`, ""},
		{"a range", `"1"`, "bytes=5-"},
		{"a weak validator", `W/"1"`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEdge(t, options{bytes: 256 << 20, change: func(c *Config) { c.FillWindow = 256 << 10 }})
				body := content(6*mebi + 5)
				e.origin.set(func(*origin.Request) page {
					time.Sleep(time.Second) // so that both viewers wait for this answer
					return text(200, body, "ETag", tt.tag)
				})
				slow := &held{first: make(chan struct{}), goes: make(chan struct{})}
				var wg sync.WaitGroup
				fast := &held{first: make(chan struct{}), goes: slow.first}
				viewer := func() *exchange.Request {
					if tt.rng != "" {
						return ask("/", "Range", tt.rng)
					}
					return ask("/")
				}
				wg.Go(func() { e.Serve(t.Context(), viewer(), fast) })
				synctest.Wait()
				wg.Go(func() { e.Serve(t.Context(), viewer(), slow) })
				<-slow.first
				synctest.Wait() // the other one has all
				close(slow.goes)
				wg.Wait()
				if fast.body != body || fast.err != nil {
					t.Errorf("the fast viewer: %d bytes, %v", len(fast.body), fast.err)
				}
				want := body
				if tt.rng != "" {
					want = body[5:]
				}
				if n := len(e.origin.requests()); n != 1 {
					t.Errorf("design 3.9: %d origin requests", n)
				}
				if slow.body != want || slow.err != nil {
					t.Errorf("design 3.9: the slow viewer: %d bytes of %d, %v", len(slow.body), len(want), slow.err)
				}
				if !strings.HasPrefix(want, slow.body) {
					t.Error("design 3.9: other bytes")
				}
			})
		})
	}
}

// TestEvictedSlicesOfWhatCannotBeFetched: without a validator, an object of which a slice
// has gone is not there.
func TestEvictedSlicesOfWhatCannotBeFetched(t *testing.T) {
	e := newEdge(t, options{bytes: 96 << 20})
	body := content(5 * mebi)
	e.origin.says(text(200, body))
	e.want("cold", e.get("/"), 200, "Miss", body, 1)
	waitStored(e)
	e.want("stored", e.get("/"), 200, "Hit", body, 0)
	var object *store.Object
	key, _ := (&cachekey.Policy{}).Build(cachekey.Parts{Distribution: "site", Method: "GET", Path: "/"})
	object, ok := e.Store.Peek(key)
	if !ok || object.Slices == 0 {
		t.Fatalf("%v, %v", object, ok)
	}
	for i := int64(0); e.Store.HasSlices(object.Slices, byterange.SlicesOf(byterange.Range{Length: object.Size})); i++ {
		e.Store.PutSlice(e.Store.NewSlices(), i, object.Stamp.Moment(), make([]byte, mebi))
	}
	e.Store.Put(object)
	g := e.head("/")
	if g.status != 200 || g.xcache() != "Hit" {
		t.Errorf("HEAD needs no slice: %d %s", g.status, g.xcache())
	}
	e.origin.requests()
	e.want("a slice is gone", e.get("/"), 200, "Miss", body, 1)
	waitStored(e)
	e.want("and afterwards", e.get("/"), 200, "Hit", body, 0)
}

// TestChangeWhileTheFirstSliceIsSent: the object of another representation does not stay.
func TestChangeWhileTheFirstSliceIsSent(t *testing.T) {
	e := newEdge(t, options{bytes: 256 << 20})
	body, tag := content(3*mebi), `"1"`
	changed, tag2 := strings.Repeat("n", 3*mebi), `"2"`
	n := 0
	e.origin.set(func(r *origin.Request) page {
		if n++; n == 1 {
			return ranged(&body, &tag)(r)
		}
		return ranged(&changed, &tag2)(r)
	})
	g := e.get("/", "Range", "bytes=0-")
	if g.err == nil || strings.Contains(g.body, "n") {
		t.Errorf("design 3.8: %d bytes, %v", len(g.body), g.err)
	}
	if g := e.get("/"); g.err != nil || g.body != changed {
		t.Errorf("design 3.8: afterwards: %d bytes, %v", len(g.body), g.err)
	}
}

// TestErrorInThePlaceOfASlice: it cuts this answer, and says nothing about what is stored
// (D13.21).
func TestErrorInThePlaceOfASlice(t *testing.T) {
	e := newEdge(t, options{bytes: 256 << 20})
	body, tag := content(3*mebi), `"1"`
	e.origin.set(ranged(&body, &tag))
	e.get("/", "Range", "bytes=0-9")
	e.origin.says(text(503, "no"))
	if g := e.get("/"); g.err == nil || g.body != body[:mebi] {
		t.Errorf("D13.21: %d bytes, %v", len(g.body), g.err)
	}
	e.origin.set(ranged(&body, &tag))
	e.origin.requests()
	e.want("D13.21: the origin is well again", e.get("/"), 200, "Miss", body, 2)
}

// TestSeveralRangesOfWhatIsArriving: whatever the form of the answer, its bytes are right.
func TestSeveralRangesOfWhatIsArriving(t *testing.T) {
	for _, size := range []int{1000, 3 * mebi} {
		e := newEdge(t, options{bytes: 256 << 20})
		body, tag := content(size), `"1"`
		e.origin.set(ranged(&body, &tag, "Content-Type", "text/plain"))
		g := e.get("/", "Range", "bytes=0-1,10-19,-5")
		switch {
		case g.err != nil:
			t.Errorf("D19.4: %d bytes: %v", size, g.err)
		case g.status == 200 && g.body == body:
		case g.status == 206 && strings.Contains(g.body, body[10:20]+"\r\n") && strings.Contains(g.body, body[size-5:]+"\r\n"):
		default:
			t.Errorf("D19.4: %d bytes: %d, %d bytes", size, g.status, len(g.body))
		}
	}
}

// TestAnnounced: who comes while a long body arrives takes the slices that are there and
// fetches others (design 3.8).
func TestAnnounced(t *testing.T) {
	e := newEdge(t, options{bytes: 256 << 20, change: func(c *Config) { c.FillWindow = 256 << 10 }})
	body, tag := content(6*mebi), `"1"`
	arriving := newGate()
	e.origin.set(func(r *origin.Request) page {
		if r.Header.Has("Range") {
			return ranged(&body, &tag)(r)
		}
		return page{status: 200, body: arriving, length: 6 * mebi, fields: fieldsOf("ETag", tag, "Accept-Ranges", "bytes")}
	})
	c := start(e, 1, "/")
	arriving.pieces <- body[:mebi]
	arriving.pieces <- body[mebi : mebi+1] // so the first one has been taken in
	e.origin.requests()
	for _, tt := range []struct {
		from        int
		asked, word string
	}{{10, "[]", "Hit"}, {4*mebi + 1, "[bytes=4194304-5242879]", "Miss"}} {
		g := e.get("/", "Range", fmt.Sprintf("bytes=%d-%d", tt.from, tt.from+9))
		if g.status != 206 || g.body != body[tt.from:tt.from+10] || g.xcache() != tt.word {
			t.Errorf("design 3.8: %d %q %s %v", g.status, g.body, g.xcache(), g.err)
		}
		if got := fmt.Sprint(e.asked()); got != tt.asked {
			t.Errorf("design 3.8: the origin was asked for %s, want %s", got, tt.asked)
		}
	}
	arriving.pieces <- body[mebi+1:]
	close(arriving.pieces)
	c.wg.Wait()
	if w := c.viewers[0]; w.far() != body || w.err != nil {
		t.Errorf("the first viewer: %d bytes, %v", len(w.far()), w.err)
	}
	waitStored(e)
	e.want("afterwards", e.get("/"), 200, "Hit", body, 0)
}

// TestMemoryTooSmallForSlices: an edge that can keep none passes long bodies on.
func TestMemoryTooSmallForSlices(t *testing.T) {
	for _, tag := range []string{`"1"`, `W/"1"`} {
		e := newEdge(t, options{bytes: 4 << 20})
		body := content(3*mebi + 1)
		e.origin.set(ranged(&body, &tag))
		for i := range 3 {
			if g := e.get("/a"); g.status != 200 || g.body != body || g.err != nil {
				t.Errorf("whole %d: %d, %d bytes, %v", i, g.status, len(g.body), g.err)
			}
			if g := e.get("/b", "Range", "bytes=2000000-2000009"); g.status != 206 || g.body != body[2000000:2000010] {
				t.Errorf("range %d: %d, %d bytes, %v", i, g.status, len(g.body), g.err)
			}
		}
		small := "small"
		e.origin.says(text(200, small))
		e.origin.requests()
		e.want("small", e.get("/c"), 200, "Miss", small, 1)
		waitStored(e)
		e.want("small", e.get("/c"), 200, "Hit", small, 0)
	}
}

// TestDiskOutOfService: the edge goes on from memory and the origin.
func TestDiskOutOfService(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	l := openDisk(t, dir, true)
	e := newEdge(t, options{bytes: 256 << 20, disk: l})
	body, tag := content(3*mebi), `"1"`
	e.origin.set(ranged(&body, &tag))
	e.get("/before")
	if err := os.Rename(dir, dir+" is gone"); err != nil {
		t.Fatal(err)
	}
	for i := 0; l.Serving(); i++ {
		if g := e.get(fmt.Sprint("/", i)); g.status != 200 || g.body != body || g.err != nil {
			t.Fatalf("while the disk fails: %d, %d bytes, %v", g.status, len(g.body), g.err)
		}
		_ = l.Sync(t.Context()) // fails in the end
		if i == 1000 {
			t.Fatal("the disk is in service")
		}
	}
	for range 2 {
		if g := e.get("/before"); g.body != body || g.err != nil {
			t.Errorf("stored before: %d bytes, %v", len(g.body), g.err)
		}
		if g := e.get("/after"); g.body != body || g.err != nil {
			t.Errorf("asked for afterwards: %d bytes, %v", len(g.body), g.err)
		}
		waitStored(e)
	}
	e.origin.requests()
	e.want("in memory", e.get("/after"), 200, "Hit", body, 0)
	if g := e.get("/after", "Range", fmt.Sprintf("bytes=%d-", 2*byterange.SliceSize)); g.status != 206 || g.body != body[2*mebi:] {
		t.Errorf("a range from memory: %d, %d bytes", g.status, len(g.body))
	}
}
