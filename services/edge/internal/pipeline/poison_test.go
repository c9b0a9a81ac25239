// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"
	"testing/synctest"
	"time"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// TestLateAnswers: a request that hangs at the origin while another one brings the
// object must not push that out when its own answer comes at last.
func TestLateAnswers(t *testing.T) {
	for _, tt := range []struct {
		name string
		late page
		want string // what the leader gets
		code int
	}{
		{"D13.21: an origin that failed", failure(origin.Timeout), "good", 200},
		{"D13.21: 503", text(503, "bad"), "good", 200},
		{"design 3.9: not to be shared", text(200, "mine", "Cache-Control", "private"), "mine", 200},
		{"an error that is not cached", text(429, "bad"), "bad", 429},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				site := siteOf(80)
				o := site.Config.Origins[0]
				o.ConnectionAttempts, o.ConnectTimeout, o.ReadTimeout = ptr(int32(1)), seconds(1), seconds(4)
				e := newEdge(t, options{site: site})
				hang := make(chan struct{})
				e.origin.set(func(*origin.Request) page {
					<-hang
					return tt.late
				})
				leader := start(e, 1, "/")
				synctest.Wait()
				e.origin.says(text(200, "good"))
				waiter := start(e, 1, "/")
				waiter.wg.Wait() // D14.13: it went itself
				e.origin.requests()
				e.want("before", e.get("/"), 200, "Hit", "good", 0)
				close(hang)
				leader.wg.Wait()
				if w := leader.viewers[0]; w.status != tt.code || tt.late.err == nil && w.far() != tt.want {
					t.Errorf("leader: %d %q", w.status, w.far())
				}
				e.want("after", e.get("/"), 200, "Hit", "good", 0)
			})
		})
	}
}

// TestOlderAnswer: of two whole answers the one that came later stays.
func TestOlderAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		e.origin.says(text(200, "mine", "Cache-Control", "private"))
		e.get("/") // from now on each request goes to the origin
		slow := newGate()
		e.origin.says(page{status: 200, body: slow, length: -1})
		first := start(e, 1, "/")
		slow.pieces <- "old"
		time.Sleep(time.Second)
		e.origin.says(text(200, "new"))
		if g := e.get("/"); g.body != "new" {
			t.Fatalf("second: %q", g.body)
		}
		close(slow.pieces)
		first.wg.Wait()
		if g := e.get("/"); g.body != "new" || g.xcache() != "Hit" {
			t.Errorf("%s %q", g.xcache(), g.body)
		}
	})
}

// TestOverloadIsNotCached: too many requests at one moment are no answer for those
// who come in the next.
func TestOverloadIsNotCached(t *testing.T) {
	e := newEdge(t, options{})
	e.origin.says(failure(origin.Overloaded))
	if g := e.get("/"); g.status != 503 || g.xcache() != "CapacityExceeded" {
		t.Errorf("overloaded: %d %s", g.status, g.xcache())
	}
	e.origin.requests()
	e.origin.says(text(200, "x"))
	e.want("design 3.9: the next one", e.get("/"), 200, "Miss", "x", 1)
}

// TestOtherETag: a 304 that names another answer than the stored one says nothing
// about that (RFC 9111 §4.3.4).
func TestOtherETag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{policy: policyOf(0, time.Second, time.Hour)})
		e.origin.says(text(200, "one", "ETag", `"1"`, "Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"))
		e.get("/")
		time.Sleep(2 * time.Second)
		e.origin.set(func(r *origin.Request) page {
			if r.Header.Has("If-Modified-Since") || r.Header.Has("If-None-Match") {
				return text(304, "", "ETag", `"2"`)
			}
			return text(200, "two", "ETag", `"2"`)
		})
		e.origin.requests()
		e.want("D14.6", e.get("/"), 200, "Miss", "two", 2)
		e.want("D14.7: replaced", e.get("/"), 200, "Hit", "two", 0)
		time.Sleep(2 * time.Second)
		e.want("D14.6: the same tag", e.get("/"), 200, "RefreshHit", "two", 1)
	})
}

// TestSetCookieOfAnEarlierPolicy: what was stored while cookies were forwarded goes
// without Set-Cookie to viewers of a policy that does not forward them.
func TestSetCookieOfAnEarlierPolicy(t *testing.T) {
	policy := policyOf(0, time.Hour, time.Hour)
	policy.Cookies = &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_ALL}
	e := newEdge(t, options{policy: policy})
	e.origin.says(text(200, "x", "Set-Cookie", "session=1"))
	if g := e.get("/"); !g.header.Has("Set-Cookie") {
		t.Fatal("D17.6: no Set-Cookie where cookies are forwarded")
	}
	e.config.mu.Lock()
	e.config.now = snapshotOf(t, siteOf(80), policyOf(0, time.Hour, time.Hour))
	e.config.mu.Unlock()
	if g := e.get("/"); g.xcache() != "Hit" || g.header.Has("Set-Cookie") {
		t.Errorf("D17.6: %s %v", g.xcache(), g.header)
	}
}

// TestPathsStayBelowThePrefix: a viewer must not get out of the path or bucket that
// the distribution has at its origin.
func TestPathsStayBelowThePrefix(t *testing.T) {
	site := siteOf(80)
	site.Config.Origins[0].Source = &configv1.Origin_Endpoint{Endpoint: &originv1.OriginEndpoint{
		Kind: &originv1.OriginEndpoint_S3{S3: &originv1.S3Endpoint{
			EndpointUrl: "http://127.0.0.1:9000", Bucket: "media", PathStyle: true,
		}},
	}}
	bucket, whole := newEdge(t, options{site: site}), newEdge(t, options{})
	for target, refused := range map[string]bool{
		"/../private/x":         true,
		"/a/../../private/x":    true,
		"/%2e%2E/private/x":     true,
		"/.%2e/private":         true,
		"/..":                   true,
		"/a//../../private/x":   true,
		"/..%2fprivate/x":       true,
		"/..\\private":          true,
		"/a/%5c..%5c..%5cother": true,
		"/..;a=b/private":       true,
		"/a/../x":               false,
		"/a/b/../../x":          false,
		"/...":                  false,
		"/..x/y":                false,
		"/%2e/x?../../y":        false,
		"/a/..":                 false,
		"/%2":                   false,
	} {
		g := bucket.get(target)
		n := len(bucket.origin.requests())
		if refused && (g.status != 400 || n != 0) || !refused && (g.status != 200 || n != 1) {
			t.Errorf("%s: %d, asked %d times", target, g.status, n)
		}
		// D5.8: the raw path is the origin's where there is nothing to get out of.
		if g := whole.get(target); g.status != 200 {
			t.Errorf("%s without a prefix: %d", target, g.status)
		}
	}
}
