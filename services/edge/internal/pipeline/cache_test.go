// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

const (
	minute = time.Minute
	hour   = time.Hour
)

// TestLifetimes is the table of D13.1 from the outside: how long an answer is a hit.
func TestLifetimes(t *testing.T) {
	past := "Sun, 02 Jan 1994 15:04:05 GMT" // the clock begins in 2000
	for _, tt := range []struct {
		name              string
		least, usual, max time.Duration
		header            []string
		want              time.Duration // 0: not a hit a second later
	}{
		{"D13.1: max-age", 0, hour, 24 * hour, []string{"Cache-Control", "max-age=60"}, minute},
		{"D13.1: s-maxage wins", 0, hour, 24 * hour, []string{"Cache-Control", "max-age=60, s-maxage=120"}, 2 * minute},
		{"D13.1: capped by MaxTTL", 0, minute, hour, []string{"Cache-Control", "max-age=86400"}, hour},
		{"D13.1: raised to MinTTL", minute, hour, hour, []string{"Cache-Control", "max-age=1"}, minute},
		{"D13.4: DefaultTTL", 0, 10 * minute, 24 * hour, nil, 10 * minute},
		{"D13.4: no heuristic", 0, minute, 24 * hour, []string{"Last-Modified", past}, minute},
		{"D13.1: no-store", 0, hour, hour, []string{"Cache-Control", "no-store"}, 0},
		{"D13.2: MinTTL beats no-store", minute, hour, hour, []string{"Cache-Control", "no-store"}, minute},
		{"D13.2: MinTTL beats private", minute, hour, hour, []string{"Cache-Control", "private"}, minute},
		{"D13.2: MinTTL beats no-cache", minute, hour, hour, []string{"Cache-Control", "no-cache"}, minute},
		{"D13.6: past Expires", 0, hour, hour, []string{"Expires", past}, 0},
		{"D13.6: past Expires with MinTTL", minute, hour, hour, []string{"Expires", past}, minute},
		{"D13.3: caching off", 0, 0, 0, []string{"Cache-Control", "max-age=60"}, 0},
		{"D13.15: upstream Age counts", 0, hour, hour, []string{"Cache-Control", "max-age=120", "Age", "60"}, minute},
		{"D13.18: Vary: *", 0, hour, hour, []string{"Vary", "*"}, 0},
		{"D13.18: Vary: * with MinTTL", minute, minute, hour, []string{"Vary", "*"}, minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEdge(t, options{policy: policyOf(tt.least, tt.usual, tt.max)})
				e.origin.says(text(200, "x", tt.header...))
				e.want("first", e.get("/"), 200, "Miss", "x", 1)
				if tt.want == 0 {
					time.Sleep(time.Second)
					e.want("a second later", e.get("/"), 200, "Miss", "x", 1)
					return
				}
				time.Sleep(tt.want - time.Second)
				g := e.get("/")
				e.want("just fresh", g, 200, "Hit", "x", 0)
				if cc := g.header.Get("Cache-Control"); cc != fieldsOf(tt.header...).Get("Cache-Control") {
					t.Errorf("D22.7: Cache-Control %q", cc)
				}
				time.Sleep(time.Second)
				e.want("stale", e.get("/"), 200, "Miss", "x", 1)
			})
		})
	}
}

func TestViewerDirectivesAreIgnored(t *testing.T) {
	e := newEdge(t, options{})
	e.get("/")
	e.origin.requests()
	for _, cc := range []string{"no-cache", "no-store", "max-age=0", "only-if-cached"} {
		e.want("D4.13: "+cc, e.get("/", "Cache-Control", cc, "Pragma", "no-cache"), 200, "Hit", "body", 0)
	}
	e.get("/new", "Cache-Control", "only-if-cached", "Authorization", "x")
	for _, f := range e.origin.requests()[0].Header {
		switch f.Name {
		case "Cache-Control", "Authorization":
			t.Errorf("D15.2: %s reached the origin", f.Name)
		}
	}
}

func TestRevalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		fields := []string{"Cache-Control", "max-age=60", "ETag", `"1"`, "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT", "X-Old", "1"}
		e.origin.says(text(200, "one", fields...))
		e.get("/")
		e.origin.requests()
		time.Sleep(2 * minute)
		e.origin.says(text(304, "", "Cache-Control", "max-age=30", "X-New", "2", "Content-Type", "wrong/type"))
		g := e.get("/", "If-None-Match", `"other"`, "If-Modified-Since", "Tue, 03 Jan 2006 15:04:05 GMT")
		asked := e.origin.requests()
		if g.status != 200 || g.xcache() != "RefreshHit" || g.body != "one" || g.header.Get("Age") != "0" {
			t.Errorf("D14.6: %d %q %q", g.status, g.header, g.body)
		}
		if h := asked[0].Header; h.Get("If-None-Match") != `"1"` || h.Get("If-Modified-Since") != fields[5] {
			t.Errorf("D14.5: validators %v", h)
		}
		if g.header.Get("X-New") != "2" || g.header.Get("X-Old") != "1" || g.header.Has("Content-Type") || g.header.Get("Content-Length") != "3" {
			t.Errorf("D14.6: merged %v", g.header)
		}
		time.Sleep(29 * time.Second)
		e.want("D14.6: new lifetime", e.get("/"), 200, "Hit", "one", 0)
		time.Sleep(time.Second)
		e.origin.says(text(200, "two", "ETag", `"2"`))
		e.want("D14.7: changed", e.get("/"), 200, "Miss", "two", 1)
		e.want("D14.7: replaced", e.get("/"), 200, "Hit", "two", 0)
		time.Sleep(2 * hour)
		e.origin.says(text(404, "gone"))
		e.want("D13.22: 4xx goes out", e.get("/"), 404, "Error", "gone", 1)
		e.origin.says(failure(origin.Connect))
		time.Sleep(20 * time.Second)
		g = e.get("/")
		if g.status != 502 {
			t.Errorf("D13.22: 4xx did not replace the object: %d %q", g.status, g.body)
		}
	})
}

func TestRevalidationThatForbidsStoring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		e.origin.says(text(200, "one", "Cache-Control", "max-age=60", "ETag", `"1"`))
		e.get("/")
		time.Sleep(2 * minute)
		e.origin.requests()
		e.origin.says(text(304, "", "Cache-Control", "private"))
		e.want("served once more", e.get("/"), 200, "RefreshHit", "one", 1)
		e.origin.says(text(200, "two", "Cache-Control", "private"))
		e.want("and gone", e.get("/"), 200, "Miss", "two", 1)
	})
}

func TestVaryAnyIsFetchedPlainly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		e.origin.says(text(200, "x", "Vary", "*", "ETag", `"1"`))
		e.get("/")
		time.Sleep(time.Second)
		e.origin.requests()
		e.get("/")
		if h := e.origin.requests()[0].Header; h.Has("If-None-Match") {
			t.Error("D13.18: conditional request for an object with Vary: *")
		}
		e.origin.says(failure(origin.Timeout))
		e.want("D13.21: but it serves when the origin fails", e.get("/"), 200, "RefreshHit", "x", 1)
	})
}

func TestStaleOnError(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cc     string
		answer page
		status int
		word   string
	}{
		{"D13.21: 500", "max-age=60", text(500, "oops"), 200, "RefreshHit"},
		{"D13.21: 503", "max-age=60", text(503, "oops", "Cache-Control", "no-store"), 200, "RefreshHit"},
		{"D13.21: cannot connect", "max-age=60", failure(origin.Connect), 200, "RefreshHit"},
		{"D13.21: times out", "max-age=60", failure(origin.Timeout), 200, "RefreshHit"},
		{"design 3.9: overloaded", "max-age=60", failure(origin.Overloaded), 200, "RefreshHit"},
		{"D13.8: must-revalidate", "max-age=60, must-revalidate", failure(origin.Connect), 502, "Error"},
		{"D13.23: stale-if-error=0", "max-age=60, stale-if-error=0", text(500, "oops"), 500, "Error"},
		{"D13.22: 404", "max-age=60", text(404, "oops"), 404, "Error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEdge(t, options{})
				e.origin.says(text(200, "good", "Cache-Control", tt.cc, "ETag", `"1"`))
				e.get("/")
				time.Sleep(2 * minute)
				e.origin.requests()
				e.origin.says(tt.answer)
				g := e.get("/")
				if g.status != tt.status || g.xcache() != tt.word || g.status == 200 && g.body != "good" {
					t.Fatalf("got %d %q %q", g.status, g.header.Get("X-Cache"), g.body)
				}
				if g.status != 200 {
					return
				}
				e.origin.requests()
				time.Sleep(9 * time.Second)
				e.want("D13.21: no other try for 10 s", e.get("/"), 200, "Hit", "good", 0)
				time.Sleep(time.Second)
				e.want("D13.21: then another", e.get("/"), 200, "RefreshHit", "good", 1)
				e.origin.says(text(304, ""))
				time.Sleep(10 * time.Second)
				e.want("origin is back", e.get("/"), 200, "RefreshHit", "good", 1)
				e.want("origin is back", e.get("/"), 200, "Hit", "good", 0)
				e.origin.says(failure(origin.Connect))
				time.Sleep(25 * hour)
				if g := e.get("/"); g.status != 502 {
					t.Errorf("D13.26: served %d beyond MaxTTL", g.status)
				}
			})
		})
	}
}

func TestErrorCaching(t *testing.T) {
	site := siteOf(80)
	ttl := map[int32]time.Duration{503: 0, 404: 30 * time.Second}
	for code, d := range ttl {
		site.Config.CustomErrorResponses = append(site.Config.CustomErrorResponses, errorTTL(code, d))
	}
	for _, tt := range []struct {
		name   string
		off    bool
		answer page
		status int
		want   time.Duration
	}{
		{"D18.1: 500", false, text(500, "x"), 500, 10 * time.Second},
		{"D18.3: 404 with its own minimum", false, text(404, "x"), 404, 30 * time.Second},
		{"D18.1: the origin's time if longer", false, text(404, "x", "Cache-Control", "max-age=60"), 404, minute},
		{"D18.4: no-store on 404", false, text(404, "x", "Cache-Control", "no-store"), 404, 0},
		{"D18.4: no-store on 500", false, text(500, "x", "Cache-Control", "no-store"), 500, 10 * time.Second},
		{"D18.2: 403 without max-age", false, text(403, "x"), 403, 0},
		{"D18.2: 403 with max-age", false, text(403, "x", "Cache-Control", "max-age=5"), 403, 10 * time.Second},
		{"D18.3: minimum 0", false, text(503, "x"), 503, 0},
		{"D18.5: 416", false, text(416, "x", "Cache-Control", "max-age=60"), 416, 0},
		{"D18.6: 429", false, text(429, "x", "Cache-Control", "max-age=60"), 429, 0},
		{"D18.8: made 502", false, failure(origin.DNS), 502, 10 * time.Second},
		{"D18.8: made 504", false, failure(origin.Timeout), 504, 10 * time.Second},
		{"a request that cannot be made", false, failure(origin.BadRequest), 500, 0},
		{"D18.7: caching off", true, text(404, "x"), 404, 0},
		{"D18.7: caching off, made", true, failure(origin.Connect), 502, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options{site: site}
				if tt.off {
					o.policy = policyOf(0, 0, 0)
				}
				e := newEdge(t, o)
				e.origin.says(tt.answer)
				check := func(what string, asked int) {
					t.Helper()
					g := e.get("/")
					if n := len(e.origin.requests()); g.status != tt.status || g.xcache() != "Error" || n != asked {
						t.Errorf("%s: %d %q, asked %d", what, g.status, g.header.Get("X-Cache"), n)
					}
					if tt.answer.err != nil && !strings.Contains(g.body, g.header.Get("X-Seafront-Id")) {
						t.Errorf("D22.12: the page names another request:\n%s", g.body)
					}
				}
				check("first", 1)
				if tt.want == 0 {
					check("at once again", 1)
					return
				}
				time.Sleep(tt.want - time.Second)
				check("D18.10: still cached", 0)
				time.Sleep(time.Second)
				check("D18.10: one new try", 1)
			})
		})
	}
}

func TestOverload(t *testing.T) {
	e := newEdge(t, options{policy: policyOf(0, 0, 0)})
	e.origin.says(failure(origin.Overloaded))
	if g := e.get("/"); g.status != 503 || g.header.Get("X-Cache") != "CapacityExceeded from seafront" {
		t.Errorf("D22.5: %d %q", g.status, g.header.Get("X-Cache"))
	}
}

func TestOriginFailsMidwayIsNotStored(t *testing.T) {
	e := newEdge(t, options{})
	broken := &origin.Error{Kind: origin.Truncated, Origin: "web"}
	e.origin.says(page{status: 200, body: &breaking{text: "half", err: broken}, length: 8})
	if g := e.get("/"); g.body != "half" || g.err == nil {
		t.Errorf("D17.12: %q, %v", g.body, g.err)
	}
	e.origin.requests()
	e.origin.says(text(200, "whole"))
	e.want("D17.12: not stored", e.get("/"), 200, "Miss", "whole", 1)
	if !strings.Contains(e.log.String(), "truncated") {
		t.Errorf("log: %s", e.log)
	}
}

// breaking gives text, then fails.
type breaking struct {
	text string
	err  error
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.text == "" {
		return 0, b.err
	}
	n := copy(p, b.text)
	b.text = b.text[n:]
	return n, nil
}

func TestSetCookie(t *testing.T) {
	answer := text(200, "x", "Set-Cookie", "id=1", "Cache-Control", `max-age=60, no-cache="X-Mine"`, "X-Mine", "secret")
	e := newEdge(t, options{})
	e.origin.says(answer)
	first := e.get("/", "Cookie", "a=1")
	if first.header.Has("Set-Cookie") || first.header.Get("X-Mine") != "secret" {
		t.Errorf("D17.6, D17.7: %v", first.header)
	}
	if e.origin.requests()[0].Header.Has("Cookie") {
		t.Error("D15.2: a cookie that is not keyed reached the origin")
	}
	if hit := e.get("/"); hit.xcache() != "Hit" || hit.header.Has("X-Mine") {
		t.Errorf("D13.8: %v", hit.header)
	}

	policy := policyOf(0, hour, hour)
	policy.Cookies = &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_LISTED, Names: []string{"b", "a"}}
	e = newEdge(t, options{policy: policy})
	e.origin.says(answer)
	e.get("/", "Cookie", "z=9; b=2; a=1")
	if got := e.origin.requests()[0].Header.Get("Cookie"); got != "a=1; b=2" {
		t.Errorf("D11.13: Cookie %q", got)
	}
	hit := e.get("/", "Cookie", "a=1; b=2; y=8", "If-None-Match", "*")
	if hit.xcache() != "Hit" || hit.header.Get("Set-Cookie") != "id=1" || hit.status != 200 {
		t.Errorf("D17.6, D14.4: %d %v", hit.status, hit.header)
	}
	e.want("D11.13: other cookie, other object", e.get("/", "Cookie", "a=2; b=2"), 200, "Miss", "x", 1)
}

func TestCookiesForwardedAreNotValidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := policyOf(0, minute, hour)
		policy.Cookies = &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_ALL}
		e := newEdge(t, options{policy: policy})
		e.origin.says(text(200, "x", "ETag", `"1"`))
		e.get("/")
		time.Sleep(2 * minute)
		e.origin.requests()
		e.want("D14.4: plain GET", e.get("/", "If-None-Match", `"1"`), 200, "Miss", "x", 1)
		e.get("/")
		time.Sleep(2 * minute)
		e.get("/", "If-None-Match", `"1"`)
		for _, f := range e.origin.requests()[0].Header {
			if strings.HasPrefix(f.Name, "If-") {
				t.Errorf("D14.4: %s reached the origin", f.Name)
			}
		}
	})
}

func TestHitForMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		e.origin.says(text(200, "mine", "Cache-Control", "private"))
		e.want("D13.1: private", e.get("/"), 200, "Miss", "mine", 1)
		e.want("D13.1: private again", e.get("/"), 200, "Miss", "mine", 1)
		if s := e.Store.Stats().Memory; s.Records != 1 {
			t.Errorf("design 3.9: %d objects, want a marker", s.Records)
		}
		e.origin.says(text(200, "ours"))
		e.want("an answer for all", e.get("/"), 200, "Miss", "ours", 1)
		e.want("takes the marker's place", e.get("/"), 200, "Hit", "ours", 0)
	})
}

func TestLargerThanTheStoreTakes(t *testing.T) {
	e := newEdge(t, options{bytes: 1 << 20})
	big := strings.Repeat("x", 1<<18)
	e.origin.says(text(200, big))
	e.want("announced", e.get("/announced"), 200, "Miss", big, 1)
	e.want("not stored", e.get("/announced"), 200, "Miss", big, 1)
	e.origin.set(func(*origin.Request) page { return page{status: 200, text: big, chunked: true} })
	e.want("chunked", e.get("/chunked"), 200, "Miss", big, 1)
	e.want("not stored", e.get("/chunked"), 200, "Miss", big, 1)
	if s := e.Store.Stats().Memory; s.Live > 1<<16 {
		t.Errorf("store holds %+v", s)
	}
	e.origin.says(page{status: 200, text: "small", chunked: true})
	e.get("/small")
	if g := e.get("/small"); g.xcache() != "Hit" || g.header.Get("Content-Length") != "5" {
		t.Errorf("D17.15: %v", g.header)
	}
}

// What a fill looks for before it asks the origin is no lookup of a viewer's.
func TestAMissIsOneMiss(t *testing.T) {
	e := newEdge(t, options{})
	e.want("cold", e.get("/"), 200, "Miss", "body", 1)
	waitStored(e)
	e.want("stored", e.get("/"), 200, "Hit", "body", 0)
	if s := e.Store.Stats().Memory; s.Hits != 1 || s.Misses != 1 {
		t.Errorf("%d hits, %d misses", s.Hits, s.Misses)
	}
}
