// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// listed are the caller references of all that a filter takes, page by page.
func (r replica) listed(t *testing.T, filter string, size int32) (out []string) {
	t.Helper()
	token := ""
	for page := 0; page == 0 || token != ""; page++ {
		res, err := r.ListDistributions(t.Context(), &configv1.ListDistributionsRequest{Filter: filter, PageSize: size, PageToken: token})
		if err != nil {
			t.Fatalf("%s: %v", filter, body(err))
		}
		if len(res.GetDistributions()) > int(size) && size > 0 {
			t.Errorf("%s: %d in a page of %d", filter, len(res.GetDistributions()), size)
		}
		for _, d := range res.GetDistributions() {
			out = append(out, d.GetCallerReference())
		}
		token = res.GetNextPageToken()
	}
	slices.Sort(out)
	return out
}

func TestFilters(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	const custom = "11111111-2222-4333-8444-555555555555"
	put(t, kv, keys.CachePolicies, custom, &configv1.CachePolicy{DisplayName: "custom"})
	put(t, kv, keys.KeyGroups, custom, &configv1.KeyGroup{DisplayName: "group"})
	putOrigin(t, kv, "web", httpEndpoint())
	putOrigin(t, kv, "unused", httpEndpoint())
	plain := simple("plain", "plain.example.com")
	plain.Labels = map[string]string{"env": "prod", "cost center": "7"}
	p := r.mustCreate(t, plain)
	r.stage(t, p, "staging")
	off := simple("off")
	off.Config.Enabled = false
	r.mustCreate(t, off)
	for i := range 3 {
		d := referring(fmt.Sprint("web-", i), "web")
		d.Labels = map[string]string{"env": "test", "n": fmt.Sprint(i)}
		d.Config.DefaultCacheBehavior.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/" + custom}
		r.mustCreate(t, d)
	}
	web := []string{"web-0", "web-1", "web-2"}
	for filter, want := range map[string][]string{
		"":                                       {"off", "plain", "staging", "web-0", "web-1", "web-2"},
		`config.enabled = false`:                 {"off"},
		`config.staging = true`:                  {"staging"},
		`config.staging = false`:                 {"off", "plain", "web-0", "web-1", "web-2"},
		`alias = "plain.example.com"`:            {"plain"},
		`alias = "*.example.com"`:                nil,
		`alias = not_even_a_name`:                nil,
		`labels.env = prod`:                      {"plain", "staging"},
		`labels."cost center" = 7`:               {"plain", "staging"},
		`labels.none = ""`:                       nil,
		`origin = origins/web`:                   web,
		`origin = "origins/unused"`:              nil,
		`cache_policy = cachePolicies/` + custom: web,
		`cache_policy = ` + cachingOptimized:     {"off", "plain", "staging"},
		`cache_policy = ` + hostInKey:            nil,
		`key_group = keyGroups/` + custom:        nil,
		`deployment.state = STATE_DEPLOYED`:      {"off", "plain", "staging", "web-0", "web-1", "web-2"}, // there is no edge
		`deployment.state = STATE_IN_PROGRESS`:   nil,
		`origin = origins/web AND labels.n = 1`:  {"web-1"},
		`origin = origins/web AND cache_policy = cachePolicies/` + custom:   web,
		`origin = origins/web AND cache_policy = ` + cachingOptimized:       nil,
		`alias = plain.example.com AND config.enabled = false`:              nil,
		`alias = plain.example.com AND labels.env = prod AND staging=false`: {"plain"},
	} {
		for _, size := range []int32{0, 1, 2} {
			if got := r.listed(t, filter, size); !slices.Equal(got, want) {
				t.Errorf("C6.17: %s by %d: %q, want %q", filter, size, got, want)
			}
		}
	}
	for filter, want := range map[string]string{ // C3.27
		`cache_policy = "cachePolicies/00000000-0000-4000-8000-000000000000"`:                      "NO_SUCH_CACHE_POLICY",
		`origin_request_policy = "originRequestPolicies/00000000-0000-4000-8000-000000000000"`:     "NO_SUCH_ORIGIN_REQUEST_POLICY",
		`response_headers_policy = "responseHeadersPolicies/00000000-0000-4000-8000-00000000000a"`: "NO_SUCH_RESPONSE_HEADERS_POLICY",
		`key_group = "keyGroups/00000000-0000-4000-8000-000000000000"`:                             "NO_SUCH_RESOURCE",
		`function = "functions/f"`:                                          "NO_SUCH_FUNCTION_EXISTS",
		`origin = "origins/gone"`:                                           "ENTITY_NOT_FOUND",
		`origin_access_control = "originAccessControls/E1"`:                 "NO_SUCH_ORIGIN_ACCESS_CONTROL",
		`realtime_log_config = "realtimeLogConfigs/l"`:                      "NO_SUCH_REALTIME_LOG_CONFIG",
		`certificate = "certificates/00000000-0000-4000-8000-000000000000"`: "ENTITY_NOT_FOUND",
	} {
		_, err := r.ListDistributions(t.Context(), &configv1.ListDistributionsRequest{Filter: filter})
		wantError(t, "C3.27: "+filter, err, codes.NotFound, want)
	}
	first, err := r.ListDistributions(t.Context(), &configv1.ListDistributionsRequest{Filter: "config.enabled=true", PageSize: 1})
	if err != nil {
		t.Fatal(body(err))
	}
	next := &configv1.ListDistributionsRequest{Filter: `config.enabled = "true"`, PageSize: 1, PageToken: first.GetNextPageToken()}
	if _, err := r.ListDistributions(t.Context(), next); err != nil {
		t.Errorf("C3.25: another spelling of the same filter: %v", body(err))
	}
	for _, filter := range []string{"config.enabled = false", "", "origin = origins/web"} {
		next.Filter = filter
		_, err := r.ListDistributions(t.Context(), next)
		wantError(t, "C3.25: a token with another filter", err, codes.InvalidArgument, "INVALID_ARGUMENT")
	}
}

// TestExport: C6.21: a distribution comes with all that it refers to.
func TestExport(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	const custom = "11111111-2222-4333-8444-555555555555"
	put(t, kv, keys.CachePolicies, custom, &configv1.CachePolicy{DisplayName: "custom"})
	putOrigin(t, kv, "web", httpEndpoint())
	d := simple("export")
	d.Config.Origins[0].Source = &configv1.Origin_OriginRef{OriginRef: "origins/web"}
	d.Config.DefaultCacheBehavior.Caching = &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/" + custom}
	made := r.mustCreate(t, d)
	res, err := r.ExportDistribution(t.Context(), &configv1.ExportDistributionRequest{Name: made.GetName()})
	if err != nil {
		t.Fatal(body(err))
	}
	if got := res.GetDistribution(); got.GetEtag() != made.GetEtag() || got.GetDeployment() != nil || !proto.Equal(got.GetConfig(), made.GetConfig()) {
		t.Errorf("distribution %v", got)
	}
	if p := res.GetCachePolicies(); len(p) != 1 || p[0].GetName() != "cachePolicies/"+custom || p[0].GetDisplayName() != "custom" {
		t.Errorf("policies %v", p)
	}
	if o := res.GetOrigins(); len(o) != 1 || o[0].GetName() != "origins/web" {
		t.Errorf("origins %v", o)
	}
	_, err = r.ExportDistribution(t.Context(), &configv1.ExportDistributionRequest{Name: "distributions/E0"})
	wantError(t, "C2.188", err, codes.NotFound, "NO_SUCH_DISTRIBUTION")
}
