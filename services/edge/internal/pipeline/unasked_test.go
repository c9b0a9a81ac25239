// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"testing"
	"time"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func TestAnswersThatWereNotAskedFor(t *testing.T) {
	e := newEdge(t, options{})
	e.origin.says(text(304, ""))
	if g := e.get("/", "If-None-Match", `"1"`); g.status != 502 {
		t.Errorf("304 without a condition: %d", g.status)
	}
}

// A part where the whole was asked for is this viewer's: it is passed on as what it is
// (RFC 9110 §15.3.7), and neither kept nor taken for the whole (RFC 9111 §3.3).
func TestUnaskedPart(t *testing.T) {
	for _, semantics := range []configv1.CacheSemantics{configv1.CacheSemantics_CACHE_SEMANTICS_CLOUDFRONT, configv1.CacheSemantics_CACHE_SEMANTICS_HTTP} {
		for _, fields := range [][]string{{"Content-Range", "bytes 0-3/10"}, {}} {
			for _, stale := range []bool{false, true} {
				t.Run(fmt.Sprint(semantics, fields, " stale ", stale), func(t *testing.T) {
					policy := policyOf(0, 0, time.Hour)
					policy.Semantics = semantics
					e := newEdge(t, options{policy: policy})
					if stale {
						e.origin.says(text(200, "0123456789", "Cache-Control", "max-age=0", "ETag", `"1"`))
						e.get("/")
					}
					e.origin.requests()
					part := text(206, "0123", append(fields, "Cache-Control", "max-age=60", "ETag", `"1"`)...)
					e.origin.says(part)
					for range 2 {
						g := e.get("/")
						if g.status != 206 || g.body != "0123" || g.header.Get("Content-Range") != part.fields.Get("Content-Range") || g.xcache() != "Miss" || g.err != nil {
							t.Errorf("%d %q %v, %v", g.status, g.body, g.header, g.err)
						}
					}
					if asked := e.origin.requests(); len(asked) != 2 || asked[0].Header.Has("Range") {
						t.Errorf("the origin was asked %d times", len(asked))
					}
					e.origin.says(text(200, "0123456789", "Cache-Control", "max-age=60"))
					waitStored(e)
					e.want("the whole", e.get("/"), 200, "Miss", "0123456789", 1)
				})
			}
		}
	}
}
