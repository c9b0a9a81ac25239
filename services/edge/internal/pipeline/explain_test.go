// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// explain inspects a request and holds it against the promise: nothing is counted and
// nobody is asked.
func (e *edge) explain(r *exchange.Request) Explanation {
	e.t.Helper()
	before, stored := e.Counts(), e.Store.Stats().Memory
	e.origin.requests()
	x := e.Explain(e.t.Context(), r)
	after := e.Store.Stats().Memory
	if e.Counts() != before || len(e.origin.requests()) != 0 || after.Hits != stored.Hits || after.Misses != stored.Misses {
		e.t.Error("an inspection has left a trace")
	}
	return x
}

func TestExplainEnds(t *testing.T) {
	off, redirect := siteOf(80), siteOf(80)
	off.Config.Enabled = false
	redirect.Config.DefaultCacheBehavior.ViewerProtocolPolicy = configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_REDIRECT_TO_HTTPS
	change := func(f func(*exchange.Request)) *exchange.Request {
		r := ask("/a?b")
		f(r)
		return r
	}
	for _, tt := range []struct {
		name string
		edge options
		req  *exchange.Request
		want string // what Ends begins with
	}{
		{"to the end", options{}, ask("/a"), ""},
		{"D4.5: too long", options{}, ask("/" + strings.Repeat("a", 9000)), "receive: 414. "},
		{"D2.6: nobody's name", options{}, change(func(r *exchange.Request) { r.Host = "nobody.test" }), "match: 403. "},
		{"D2.1: no name at all", options{}, change(func(r *exchange.Request) { r.Host = "a..b" }), "match: 400. "},
		{"D0.5: disabled", options{site: off}, ask("/a"), "match: 403. "},
		{"D4.2: a method that is not allowed", options{}, change(func(r *exchange.Request) { r.Method = "DELETE" }), "admit: 403. "},
		{"D6.3: redirected", options{site: redirect}, ask("/a?b"), "admit: 301, to https://" + host + "/a?b"},
		{"D13.3: caching is off", options{policy: policyOf(0, 0, 0)}, ask("/a"), "lookup: bypass, because caching is off"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newEdge(t, tt.edge).explain(tt.req)
			if !strings.HasPrefix(x.Ends, tt.want) || (x.Ends == "") != (tt.want == "") {
				t.Errorf("ends %q, want %q", x.Ends, tt.want)
			}
			if (x.Key != "") != (tt.want == "" || strings.HasPrefix(tt.want, "lookup")) || x.Config == nil {
				t.Errorf("key %q of a request that ends %q", x.Key, x.Ends)
			}
		})
	}
}

func TestExplainFinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		if x := e.explain(ask("/a")); x.Ends != "" || len(x.Found) != 0 || x.Origin == "" || x.Distribution.ID != "site" || x.Policy.ID != "main" {
			t.Errorf("nothing stored: %+v", x)
		}
		e.origin.says(text(200, "one", "Cache-Control", "max-age=60", "X", "1"))
		e.get("/a")
		synctest.Wait()
		x := e.explain(ask("/a"))
		if len(x.Found) != 1 || x.Found[0].Use != httpcache.Serve || x.Found[0].Tier != store.Memory || x.Found[0].Object.Header.Get("X") != "1" || x.Found[0].Dead {
			t.Fatalf("fresh: %+v", x.Found)
		}
		time.Sleep(2 * minute)
		if x := e.explain(ask("/a")); len(x.Found) != 1 || x.Found[0].Use != httpcache.Validate {
			t.Errorf("stale: %+v", x.Found)
		}
		head := ask("/h")
		head.Method = "HEAD"
		e.do(head)
		synctest.Wait()
		if x := e.explain(head); len(x.Found) != 1 || !x.Found[0].Object.Head {
			t.Errorf("D13.31: the object of a HEAD request: %+v", x.Found)
		}
		if x := e.explain(ask("/h")); len(x.Found) != 0 {
			t.Errorf("D13.31: for GET: %+v", x.Found)
		}
		e.origin.says(text(200, "own", "Cache-Control", "no-store"))
		e.get("/mine")
		synctest.Wait()
		if x := e.explain(ask("/mine")); len(x.Found) != 1 || !x.Found[0].Object.HitForMiss {
			t.Errorf("D14.10: a mark: %+v", x.Found)
		}
	})
}

func TestExplainVariants(t *testing.T) {
	e := newEdge(t, options{policy: rfc9111()})
	e.origin.says(text(200, "one", "Cache-Control", "max-age=60", "Vary", "Accept-Language"))
	e.get("/v", "Accept-Language", "de")
	waitStored(e)
	x := e.explain(ask("/v", "Accept-Language", "de"))
	if len(x.Found) != 1 || x.Found[0].Vary != "accept-language" {
		t.Errorf("RFC 9111 §4.1: the variant: %+v", x.Found)
	}
	if x := e.explain(ask("/v", "Accept-Language", "fr", "Cache-Control", "only-if-cached")); len(x.Found) != 0 || x.Vary != "accept-language" {
		t.Errorf("RFC 9111 §4.1: no variant: %+v", x)
	}
}

// TestCounts: the numbers that CacheService gives.
func TestCounts(t *testing.T) {
	e := newEdge(t, options{})
	if c := e.Counts(); c.HitRatio() != 0 || c.ByteHitRatio() != 0 {
		t.Errorf("before the first request: %+v", c)
	}
	e.get("/a")
	waitStored(e)
	for range 3 {
		e.get("/a")
	}
	r := ask("/a")
	r.Host = "nobody.test"
	e.do(r)
	c := e.Counts()
	if c.Requests[Hit] != 3 || c.Requests[Miss] != 1 || c.Requests[0] != 1 || c.Bytes[Hit] != 3*c.Bytes[Miss] || c.HitRatio() != 0.75 || c.ByteHitRatio() != 0.75 {
		t.Errorf("%+v", c)
	}
}
