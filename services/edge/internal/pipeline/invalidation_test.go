// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// invalidate brings an invalidation into force as a follower does: first the table,
// then the snapshot.
func (e *edge) invalidate(o invalidation.Order) {
	e.t.Helper()
	e.swap(e.order(o))
}

// order is the first half of it; swap the second.
func (e *edge) order(o invalidation.Order) *snapshot.Snapshot {
	next, _ := e.config.Current().Apply(e.config.Current().Revision+1, nil)
	o.Distribution, o.ID, o.Revision = "site", fmt.Sprint("I", next.Revision), next.Revision
	e.Invalidations.Apply([]invalidation.Order{o})
	return next
}

func (e *edge) swap(next *snapshot.Snapshot) {
	e.config.mu.Lock()
	defer e.config.mu.Unlock()
	e.config.now = next
}

// keyOf is the key of a GET for a target without a query.
func keyOf(e *edge, path string) cachekey.Key {
	config := e.config.Current()
	d, _ := config.Match(host)
	policy, _ := config.CachePolicy(d.Behavior(path))
	k, _ := policy.Key.Build(cachekey.Parts{Distribution: d.ID, Method: "GET", Path: path})
	return k
}

func paths(p ...string) invalidation.Order { return invalidation.Order{Paths: p} }

// later is an answer that comes when the test says so.
type later struct {
	asked  chan *origin.Request
	answer chan page
}

func (e *edge) answersLater() later {
	l := later{asked: make(chan *origin.Request), answer: make(chan page)}
	e.origin.set(func(r *origin.Request) page {
		l.asked <- r
		return <-l.answer
	})
	return l
}

// async asks in the background.
func (e *edge) async(target string) <-chan *got {
	out := make(chan *got, 1)
	go func() { out <- e.get(target) }()
	return out
}

func TestInvalidatedIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		e.origin.says(text(200, "old", "ETag", `"1"`, "Cache-Control", "max-age=60"))
		for _, target := range []string{"/a", "/b"} {
			e.want("first", e.get(target), 200, "Miss", "old", 1)
			synctest.Wait()
			e.want("second", e.get(target), 200, "Hit", "old", 0)
		}
		e.invalidate(paths("/a"))
		e.want("another path", e.get("/b"), 200, "Hit", "old", 0)
		e.origin.says(text(200, "new", "ETag", `"1"`, "Cache-Control", "max-age=60"))
		e.want("D25.14: a miss", e.get("/a"), 200, "Miss", "new", 1)
		synctest.Wait()
		e.want("and stored", e.get("/a"), 200, "Hit", "new", 0)

		time.Sleep(2 * minute) // stale
		e.invalidate(paths("/*"))
		e.origin.set(func(r *origin.Request) page {
			if r.Header.Has("If-None-Match") || r.Header.Has("If-Modified-Since") {
				t.Error("D25.14: a conditional request by what is invalidated")
			}
			return failure(origin.Connect)
		})
		for _, target := range []string{"/a", "/b"} {
			if g := e.get(target); g.status < 500 {
				t.Errorf("D25.14: %s is served after the origin failed: %d %q", target, g.status, g.body)
			}
		}
		// D25.12: the error is stored under the path that was asked for.
		e.origin.requests()
		e.origin.says(text(200, "again"))
		if g := e.get("/a"); g.status < 500 || len(e.origin.requests()) > 0 {
			t.Errorf("the error is not stored: %d", g.status)
		}
		e.invalidate(paths("/a"))
		e.want("D25.12: the error is gone", e.get("/a"), 200, "Miss", "again", 1)
		if met := e.Invalidations.Met(); met != 4 {
			t.Errorf("%d objects were met dead, want 4", met)
		}
	})
}

func TestInvalidatedOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		l := e.answersLater()
		first := e.async("/a")
		<-l.asked
		joined := e.async("/a")
		other := e.async("/b")
		<-l.asked
		synctest.Wait()
		e.invalidate(paths("/a"))
		second := e.async("/a")
		synctest.Wait()
		select {
		case <-l.asked:
		default:
			t.Fatal("D25.15: who came after the invalidation joined a fill from before")
		}
		third := e.async("/a")
		fourth := e.async("/b")
		synctest.Wait()
		select {
		case <-l.asked:
			t.Fatal("D14.8: a request for what is being fetched asks again")
		default:
		}
		e.origin.says(text(200, "unexpected"))
		for range 3 {
			l.answer <- text(200, "x", "Cache-Control", "max-age=60")
		}
		for _, g := range []*got{<-first, <-joined, <-second, <-third, <-other, <-fourth} {
			if g.status != 200 || g.body != "x" {
				t.Errorf("got %d %q", g.status, g.body)
			}
		}
		synctest.Wait()
		e.origin.requests()
		e.want("of the second fill", e.get("/a"), 200, "Hit", "x", 0)
		e.want("not concerned", e.get("/b"), 200, "Hit", "x", 0)
	})
}

func TestInvalidatedOnItsWayIsNotStored(t *testing.T) {
	for _, tt := range []struct {
		rule string
		by   func(e *edge)
	}{
		{"D25.15: by path", func(e *edge) { e.invalidate(paths("/a*")) }},
		{"D25.20: by a tag that comes with the answer", func(e *edge) { e.invalidate(invalidation.Order{Tags: []string{"RED"}}) }},
		{"C8.88: the cache is dropped", func(e *edge) { e.Invalidations.Drop(2) }},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				site := siteOf(80)
				site.Config.CacheTagHeader = "Cache-Tag"
				e := newEdge(t, options{site: site})
				l := e.answersLater()
				first := e.async("/a")
				<-l.asked
				tt.by(e)
				e.origin.says(text(200, "new"))
				l.answer <- text(200, "old", "Cache-Tag", "blue, Red")
				if g := <-first; g.body != "old" {
					t.Errorf("who waited got %q", g.body)
				}
				synctest.Wait()
				e.origin.requests()
				e.want("afterwards", e.get("/a"), 200, "Miss", "new", 1)
				synctest.Wait()
				e.want("stored again", e.get("/a"), 200, "Hit", "new", 0)
			})
		})
	}
}

func TestValidatedOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		e.origin.says(text(200, "old", "ETag", `"1"`, "Cache-Control", "max-age=60"))
		e.get("/a")
		time.Sleep(2 * minute)
		for _, answer := range []page{text(304, "", "ETag", `"1"`), failure(origin.Connect)} {
			l := e.answersLater()
			waits := e.async("/a")
			if r := <-l.asked; !r.Header.Has("If-None-Match") {
				t.Fatal("no validation")
			}
			e.invalidate(paths("/a"))
			e.origin.says(text(200, "new", "ETag", `"2"`, "Cache-Control", "max-age=60"))
			l.answer <- answer
			switch g := <-waits; {
			case answer.err == nil && g.body != "old":
				t.Errorf("D25.15: who waited got %d %q", g.status, g.body)
			case answer.err != nil && g.status < 500:
				t.Errorf("D25.14: stale after an error: %d %q", g.status, g.body)
			}
			synctest.Wait()
			if answer.err != nil {
				time.Sleep(time.Minute) // the error is stored, and younger than nothing
			}
			e.origin.requests()
			e.want("afterwards", e.get("/a"), 200, "Miss", "new", 1)
			time.Sleep(2 * minute)
		}
	})
}

// A request that has loaded its configuration before an invalidation asks the origin by
// that; what it brings is not what the invalidation was made to let in (C8.85).
func TestOlderConfigurationBringsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		next := e.order(paths("/a"))
		e.want("between the two halves", e.get("/a"), 200, "Miss", "body", 1)
		synctest.Wait()
		e.swap(next)
		e.want("C8.85: afterwards", e.get("/a"), 200, "Miss", "body", 1)
		synctest.Wait()
		e.want("stored", e.get("/a"), 200, "Hit", "body", 0)
	})
}

func TestTagsOfObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := siteOf(80)
		site.Config.CacheTagHeader = "Cache-Tag"
		e := newEdge(t, options{site: site})
		tag := func(s string) invalidation.Order { return invalidation.Order{Tags: []string{s}} }
		e.origin.says(text(200, "x", "ETag", `"1"`, "Cache-Tag", "a, b", "cache-tag", "C", "Cache-Control", "max-age=60"))
		g := e.get("/a")
		if v, _ := g.header.Joined("Cache-Tag", "|"); v != "a, b|C" {
			t.Errorf("D17.16: the viewer sees %q", v)
		}
		e.origin.requests()
		e.invalidate(tag("d"))
		e.want("another tag", e.get("/a"), 200, "Hit", "x", 0)
		e.invalidate(tag("c"))
		e.want("D17.16: a tag of the second line", e.get("/a"), 200, "Miss", "x", 1)

		time.Sleep(2 * minute)
		e.origin.says(text(304, "", "ETag", `"1"`, "Cache-Tag", "z"))
		e.want("validated", e.get("/a"), 200, "RefreshHit", "x", 1)
		e.origin.says(text(200, "y", "ETag", `"1"`, "Cache-Tag", "z"))
		e.invalidate(tag("a"))
		e.want("D25.20: a tag that it has no more", e.get("/a"), 200, "Hit", "x", 0)
		e.invalidate(tag("Z"))
		e.want("D25.20: the tag that came with the 304", e.get("/a"), 200, "Miss", "y", 1)
	})
}

func TestInvalidatedByOtherWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := siteOf(80)
		site.Config.DefaultRootObject = "index.html"
		e := newEdge(t, options{site: site})
		e.want("D25.11: the root object", e.get("/"), 200, "Miss", "body", 1)
		synctest.Wait()
		e.invalidate(paths("/index.html"))
		e.want("D25.11: by its own path", e.get("/"), 200, "Miss", "body", 1)

		e.head("/head")
		synctest.Wait()
		e.origin.requests()
		e.want("the answer to a HEAD", e.head("/head"), 200, "Hit", "", 0)
		e.invalidate(paths("/head"))
		e.want("D25.6: goes with it", e.head("/head"), 200, "Miss", "", 1)

		e.origin.says(text(200, "private", "Cache-Control", "private"))
		e.get("/private")
		if o, ok := e.Store.Peek(keyOf(e, "/private")); !ok || !o.HitForMiss {
			t.Fatal("no marker")
		}
		e.invalidate(paths("/private"))
		e.origin.says(text(200, "public"))
		e.get("/private")
		synctest.Wait()
		e.origin.requests()
		e.want("a marker goes too", e.get("/private"), 200, "Hit", "public", 0)
	})
}
