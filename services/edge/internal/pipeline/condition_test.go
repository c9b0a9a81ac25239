// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

func TestViewerConditions(t *testing.T) {
	const modified = "Sun, 02 Jan 1994 15:04:05 GMT"
	const later = "Mon, 03 Jan 1994 15:04:05 GMT"
	for _, tt := range []struct {
		name   string
		header []string
		status int
	}{
		{"D14.2: matching tag", []string{"If-None-Match", `W/"1"`}, 304},
		{"D14.2: other tag", []string{"If-None-Match", `"2"`}, 200},
		{"D14.2: date counts only without a tag", []string{"If-None-Match", `"2"`, "If-Modified-Since", later}, 200},
		{"D14.2: not modified since", []string{"If-Modified-Since", modified}, 304},
		{"D14.2: If-Match fails", []string{"If-Match", `"2"`}, 412},
		{"D14.2: If-Match holds", []string{"If-Match", `"1"`}, 200},
		{"D14.2: If-Unmodified-Since fails", []string{"If-Unmodified-Since", "Sat, 01 Jan 1994 15:04:05 GMT"}, 412},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEdge(t, options{})
			e.origin.says(text(200, "body", "ETag", `"1"`, "Last-Modified", modified, "Cache-Control", "max-age=60",
				"Content-Type", "text/plain"))
			// On a miss the edge evaluates them too, and the answer is stored.
			for _, outcome := range []string{"miss", "hit"} {
				g := e.get("/", tt.header...)
				if g.status != tt.status {
					t.Fatalf("%s: %d, want %d", outcome, g.status, tt.status)
				}
				if tt.status == 304 && (g.body != "" || g.header.Has("Content-Type") || g.header.Has("Content-Length") ||
					g.header.Get("ETag") != `"1"` || g.header.Get("Cache-Control") != "max-age=60" || !g.header.Has("Date")) {
					t.Errorf("%s: D14.2, D22.10: %v %q", outcome, g.header, g.body)
				}
				if asked := e.origin.requests(); len(asked) > 0 {
					if h := asked[0].Header; h.Has("If-None-Match") || h.Has("If-Match") || h.Has("If-Modified-Since") {
						t.Errorf("conditions reached the origin: %v", h)
					}
				}
				waitStored(e)
			}
			if g := e.get("/"); g.status != 200 || g.body != "body" || g.xcache() != "Hit" {
				t.Errorf("afterwards: %d %q %q", g.status, g.body, g.xcache())
			}
		})
	}
}

// waitStored waits until no fill is under way.
func waitStored(e *edge) {
	for e.fills.Stats().Fills > 0 {
		time.Sleep(time.Millisecond)
	}
}

func TestConditionsWithCachingOff(t *testing.T) {
	e := newEdge(t, options{policy: policyOf(0, 0, 0)})
	e.origin.set(func(r *origin.Request) page {
		if r.Header.Get("If-None-Match") == `"1"` {
			return text(304, "", "ETag", `"1"`)
		}
		return text(200, "body", "ETag", `"1"`)
	})
	e.want("D14.3: the origin's 304 passes", e.get("/", "If-None-Match", `"1"`), 304, "Miss", "", 1)
	e.want("D15.2: other tag", e.get("/", "If-None-Match", `"2"`), 200, "Miss", "body", 1)
	if s := e.Store.Stats().Memory; s.Records != 0 {
		t.Errorf("D13.3: %d objects", s.Records)
	}
	if !strings.Contains(e.log.String(), `"outcome":"bypass"`) {
		t.Error("D13.3: outcome is not bypass")
	}
}

func TestHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		e.origin.set(func(r *origin.Request) page {
			return text(200, "body", "Cache-Control", "max-age=60", "ETag", `"1"`)
		})
		g := e.head("/")
		if asked := e.origin.requests(); len(asked) != 1 || asked[0].Method != "HEAD" || g.header.Get("Content-Length") != "4" {
			t.Errorf("D13.31: %+v %v", asked, g.header)
		}
		e.want("D13.31: answers later HEADs", e.head("/"), 200, "Hit", "", 0)
		e.want("D13.31: but no GET", e.get("/"), 200, "Miss", "body", 1)
		g = e.head("/")
		e.want("D13.30: HEAD from a GET object", g, 200, "Hit", "", 0)
		if g.header.Get("Content-Length") != "4" {
			t.Errorf("D13.30: %v", g.header)
		}
		time.Sleep(2 * minute)
		e.origin.set(func(r *origin.Request) page { return text(304, "", "Cache-Control", "max-age=600") })
		e.want("HEAD validates the GET object", e.head("/"), 200, "RefreshHit", "", 1)
		e.want("for GETs too", e.get("/"), 200, "Hit", "body", 0)
		time.Sleep(20 * minute)
		e.origin.says(text(200, "changed", "ETag", `"2"`))
		e.want("D13.31: changed", e.head("/"), 200, "Miss", "", 1)
		e.origin.says(failure(origin.Connect))
		e.want("D13.31: the GET object is as it was", e.get("/"), 200, "RefreshHit", "body", 1)
	})
}

func TestHeadOfErrorPage(t *testing.T) {
	e := newEdge(t, options{})
	r := ask("/a b")
	r.Method = "HEAD"
	if g := e.do(r); g.status != 400 || g.body != "" || g.header.Get("Content-Length") == "0" {
		t.Errorf("D22.11: %d %v %q", g.status, g.header, g.body)
	}
}
