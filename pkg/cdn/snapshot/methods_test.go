// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func TestMethods(t *testing.T) {
	const (
		getHead = configv1.MethodSet_METHOD_SET_GET_HEAD
		options = configv1.MethodSet_METHOD_SET_GET_HEAD_OPTIONS
		known   = configv1.MethodSet_METHOD_SET_ALL
		every   = configv1.MethodSet_METHOD_SET_ANY
	)
	asked := strings.Fields("GET HEAD OPTIONS PUT PATCH POST DELETE M-SEARCH get TRACE CONNECT")
	for _, tt := range []struct {
		rule           string
		allowed, cache configv1.MethodSet
		allows, caches string
	}{
		{"C2.71: the default", 0, 0, "GET HEAD", "GET HEAD"},
		{"D4.2: two", getHead, getHead, "GET HEAD", "GET HEAD"},
		{"D4.2: three", options, getHead, "GET HEAD OPTIONS", "GET HEAD"},
		{"D4.3: three", options, options, "GET HEAD OPTIONS", "GET HEAD OPTIONS"},
		{"D4.2: seven", known, options, "GET HEAD OPTIONS PUT PATCH POST DELETE", "GET HEAD OPTIONS"},
		{"design §5: any, but none that shows or joins others", every, getHead, "GET HEAD OPTIONS PUT PATCH POST DELETE M-SEARCH get", "GET HEAD"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d := distribution("1", "origin.test", optimized)
			d.Config.DefaultCacheBehavior.AllowedMethods, d.Config.DefaultCacheBehavior.CachedMethods = tt.allowed, tt.cache
			compiled, err := CompileDistribution("1", 1, d)
			if err != nil {
				t.Fatal(err)
			}
			set := compiled.Behavior("/").Methods
			var allows, caches []string
			for _, m := range asked {
				if set.Allows(m) {
					allows = append(allows, m)
				}
				if set.Caches(m) {
					caches = append(caches, m)
				}
			}
			if got := strings.Join(allows, " "); got != tt.allows {
				t.Errorf("allows %s, want %s", got, tt.allows)
			}
			if got := strings.Join(caches, " "); got != tt.caches {
				t.Errorf("caches %s, want %s", got, tt.caches)
			}
			if n := testing.AllocsPerRun(100, func() { _ = set.Allows("DELETE") }); n > 0 {
				t.Errorf("asking allocates %v times", n)
			}
		})
	}
	if (MethodSet{}).Allows("GET") || (MethodSet{}).Caches("GET") {
		t.Error("the zero value allows something")
	}
}

func TestSemantics(t *testing.T) {
	p := &configv1.CachePolicy{MinTtl: durationpb.New(0), CacheStatus: true}
	plain, err := CompileCachePolicy("p", p)
	if err != nil || plain.Semantics != CloudFrontSemantics || plain.Heuristic || !plain.CacheStatus || plain.Def != 24*time.Hour {
		t.Errorf("design 3.16: the default: %+v, %v", plain, err)
	}
	p.Semantics, p.HeuristicFreshness = configv1.CacheSemantics_CACHE_SEMANTICS_HTTP, true
	http, err := CompileCachePolicy("p", p)
	if err != nil || http.Semantics != HTTPSemantics || !http.Heuristic || http.Def != 0 || http.Max != 365*24*time.Hour {
		t.Errorf("design 3.16: as RFC 9111 says: %+v, %v", http, err)
	}
	p.MinTtl = durationpb.New(time.Second)
	if _, err := CompileCachePolicy("p", p); err == nil {
		t.Error("design 3.16: an answer is kept for longer than its origin says")
	}
}
