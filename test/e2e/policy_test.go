// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
)

// TestCustomCachePolicy makes a cache policy, uses it, and changes what is in the key
// and how long objects live: the edge obeys without a change of the distribution.
func TestCustomCachePolicy(t *testing.T) {
	t.Parallel()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.RawQuery) }))
	t.Cleanup(origin.Close)
	u := startUp(t, t.TempDir(), "--no-sample")
	made, err := u.api.Policies.CreateCachePolicy(t.Context(), &configv1.CreateCachePolicyRequest{CachePolicy: &configv1.CachePolicy{
		DisplayName: "mine", MinTtl: durationpb.New(0), DefaultTtl: durationpb.New(time.Hour),
	}})
	if err != nil {
		t.Fatal(err)
	}
	policy := made.GetCachePolicy().GetName()
	site := control.Site(inline(server(t, origin.Listener.Addr().String())))
	site.DefaultCacheBehavior = control.Behavior("", "site", policy)
	d := u.api.Create(t, "policy", site)
	u.api.Watch(t, d.GetName(), deployTimeout)
	get := func(target string) *viewer.Answer { return viewer.Get(t, u.at["http"], d.GetDomainName(), target) }

	viewer.Want(t, "no query string in the key", get("/a?x=1"), 200, "Miss")
	viewer.Want(t, "no query string in the key", get("/a?x=2&y=3"), 200, "Hit")
	if a := get("/a?x=4"); string(a.Body) != "" {
		t.Errorf("D11.4: the origin was sent %q", a.Body)
	}

	change := func(p *configv1.CachePolicy, paths ...string) {
		t.Helper()
		p.Name = policy
		if _, err := u.api.Policies.UpdateCachePolicy(t.Context(), &configv1.UpdateCachePolicyRequest{
			CachePolicy: p, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		}); err != nil {
			t.Fatal(err)
		}
	}
	change(&configv1.CachePolicy{QueryStrings: &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_LISTED, Names: []string{"x"}}}, "query_strings")
	n := 0
	program.Await(t, "x is in the key", deployTimeout, func(context.Context) error {
		n++
		if got, want := string(get(fmt.Sprintf("/b?y=0&x=%d", n)).Body), fmt.Sprintf("x=%d", n); got != want {
			return fmt.Errorf("the answer is for %q, want %q", got, want)
		}
		return nil
	})
	viewer.Want(t, "x is in the key", get("/c?x=1&y=1"), 200, "Miss")
	viewer.Want(t, "x is in the key", get("/c?x=2"), 200, "Miss")
	viewer.Want(t, "y is not in the key", get("/c?y=2&x=1"), 200, "Hit")

	// Caching off: nothing may be in the key either.
	change(&configv1.CachePolicy{DefaultTtl: durationpb.New(0), MaxTtl: durationpb.New(0)}, "default_ttl", "max_ttl", "query_strings")
	program.Await(t, "caching is off", deployTimeout, func(context.Context) error {
		n++
		target := fmt.Sprintf("/d%d", n)
		get(target)
		if a := get(target); a.Cache() != "Miss" {
			return fmt.Errorf("the second answer is a %s", a.Cache())
		}
		return nil
	})
	program.Await(t, "the distribution is deployed with the newest policy", deployTimeout, func(context.Context) error {
		if got := u.api.Get(t, d.GetName()); got.GetReconciling() || got.GetEtag() != d.GetEtag() {
			return fmt.Errorf("distribution %v", got.GetDeployment())
		}
		return nil
	})
}
