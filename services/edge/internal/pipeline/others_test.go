// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"
	"testing/synctest"
	"time"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// rfc9111 is a policy with the semantics of HTTP.
func rfc9111() *configv1.CachePolicy {
	p := policyOf(0, 0, 24*hour)
	p.Semantics = configv1.CacheSemantics_CACHE_SEMANTICS_HTTP
	p.AcceptEncodingGzip = true
	return p
}

// TestOwnWishesDoNotHarmOthers: what one viewer wants or is, is nothing to the answers
// that others get (RFC 9111 §3.5, §5.2.1.5).
func TestOwnWishesDoNotHarmOthers(t *testing.T) {
	for _, own := range [][2]string{{"Authorization", "x"}, {"Cache-Control", "no-store"}} {
		t.Run(own[0], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEdge(t, options{policy: rfc9111()})
				e.origin.says(text(200, "one", "Cache-Control", "max-age=60", "ETag", `"1"`, "Server", "theirs"))
				e.want("own answer", e.get("/", own[0], own[1]), 200, "Miss", "one", 1)
				e.want("not stored", e.get("/"), 200, "Miss", "one", 1)
				e.want("stored", e.get("/", own[0], own[1]), 200, "Hit", "one", 0)
				time.Sleep(2 * minute)
				e.origin.says(text(304, "", "X-Own", "1"))
				g := e.get("/", own[0], own[1])
				e.want("validated", g, 200, "RefreshHit", "one", 1)
				if g.header.Get("X-Own") != "1" || g.header.Get("Server") != "theirs" {
					t.Errorf("RFC 9111 3.2: %v", g.header)
				}
				g = e.get("/")
				e.want("still there to be validated", g, 200, "RefreshHit", "one", 1)
				e.want("and for others refreshed", e.get("/"), 200, "Hit", "one", 0)
			})
		})
	}
}

// TestVaryByWhatIsKeyed: such an answer lies at its cache key, without variants below.
func TestVaryByWhatIsKeyed(t *testing.T) {
	e := newEdge(t, options{policy: rfc9111()})
	e.origin.says(text(200, "zip", "Cache-Control", "max-age=60", "Vary", "Accept-Encoding", "Content-Encoding", "gzip"))
	e.want("first", e.get("/", "Accept-Encoding", "gzip, deflate"), 200, "Miss", "zip", 1)
	g := e.get("/", "Accept-Encoding", "br, gzip")
	e.want("RFC 9111 4.1: the same to the origin", g, 200, "Hit", "zip", 0)
	if got := g.header.Get("Vary"); got != "Accept-Encoding" {
		t.Errorf("Vary = %q", got)
	}
	e.origin.says(text(200, "plain", "Cache-Control", "max-age=60", "Vary", "Accept-Encoding"))
	e.want("another coding", e.get("/"), 200, "Miss", "plain", 1)
	if n := e.Store.Stats().Memory.Records; n != 2 {
		t.Errorf("%d objects, want 2", n)
	}
}

// TestVariantThatCannotBeShared: it leaves the others where they are.
func TestVariantThatCannotBeShared(t *testing.T) {
	e := newEdge(t, options{policy: rfc9111()})
	e.origin.says(text(200, "all", "Cache-Control", "max-age=60", "Vary", "X-User"))
	e.want("for all", e.get("/"), 200, "Miss", "all", 1)
	e.origin.says(text(200, "own", "Cache-Control", "private", "Vary", "X-User"))
	e.want("for one", e.get("/", "X-User", "1"), 200, "Miss", "own", 1)
	e.want("for all", e.get("/"), 200, "Hit", "all", 0)
	e.want("for one again", e.get("/", "X-User", "1"), 200, "Miss", "own", 1)
	e.want("for all", e.get("/"), 200, "Hit", "all", 0)
}
