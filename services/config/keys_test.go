// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// checkKeys recomputes every claim and reference from the records and compares it
// with what is there (C8.66).
func checkKeys(t *testing.T, kv clientv3.KV) {
	t.Helper()
	res, err := kv.Get(t.Context(), keys.Root, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]string{}, map[string]string{}
	live, exists := map[string]bool{}, map[string]bool{}
	for _, pair := range res.Kvs {
		exists[string(pair.Key)] = true
		kind, id := keys.Parse(string(pair.Key))
		if kind != keys.KindDistribution {
			continue
		}
		live[id] = true
		var d configv1.Distribution
		if _, err := records.Decode(pair, &d); err != nil {
			t.Fatal(err)
		}
		label, _, _ := strings.Cut(d.GetDomainName(), ".")
		want[keys.Label(label)] = id
		want[keys.CallerReference(keys.Distributions, d.GetCallerReference())] = id
		for _, a := range d.GetConfig().GetAliases() {
			want[keys.Host(a)] = id
		}
		refs := rules.DistributionRefs(&d)
		for _, o := range refs.Origins {
			want[keys.Ref(keys.Origins, o, keys.Distributions, id)] = ""
			want[keys.Resource(keys.Origins, o)] = "" // what is referred to exists
		}
		for _, p := range refs.CachePolicies {
			if _, ok := managed.CachePolicy(p); !ok {
				want[keys.Ref(keys.CachePolicies, p, keys.Distributions, id)] = ""
				want[keys.Resource(keys.CachePolicies, p)] = ""
			}
		}
	}
	for key := range want {
		if strings.HasPrefix(key, keys.Root+"r/") && exists[key] {
			got[key] = ""
		}
	}
	versions := map[string]bool{}
	for _, pair := range res.Kvs {
		key := string(pair.Key)
		if !strings.HasPrefix(key, keys.Root+"c/") || strings.HasPrefix(key, keys.Root+"c/reqid/") {
			continue
		}
		if rest, ok := strings.CutPrefix(key, keys.Root+"c/versions/"); ok {
			id, _, _ := strings.Cut(rest, "/")
			if !live[id] {
				t.Fatalf("%s is a version of a distribution that does not exist", key)
			}
			versions[key+" "+string(pair.Value)] = true
			continue
		}
		var c storev1.Claim // empty for a reference
		if err := keys.Decode(pair.Value, &c); err != nil && len(pair.Value) > 0 {
			t.Fatal(err)
		}
		// What a deleted distribution leaves behind on purpose (C2.11, C3.39).
		used := strings.HasPrefix(key, keys.Root+"c/idem/") && !live[c.GetDistribution()]
		if !used && !c.GetTombstone() {
			got[key] = c.GetDistribution()
		}
	}
	checkVersions(t, res.Kvs, versions)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("claims and references (-from the records +as they are):\n%s", diff)
	}
}

// checkVersions demands that the newest version of each distribution is the record.
func checkVersions(t *testing.T, pairs []*mvccpb.KeyValue, versions map[string]bool) {
	t.Helper()
	for _, pair := range pairs {
		kind, id := keys.Parse(string(pair.Key))
		if kind != keys.KindDistribution {
			continue
		}
		var d configv1.Distribution
		v, err := records.Decode(pair, &d)
		if err != nil {
			t.Fatal(err)
		}
		if !versions[keys.Version(id, v.Generation)+" "+string(pair.Value)] {
			t.Fatalf("distributions/%s at generation %d is not its version of that number", id, v.Generation)
		}
	}
}
