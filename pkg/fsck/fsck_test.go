// SPDX-License-Identifier: Apache-2.0

package fsck_test

import (
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/fsck"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

const policy = "11111111-1111-4111-8111-111111111111"

func record(t *testing.T, kv *clientv3.Client, key string, m proto.Message) {
	t.Helper()
	rec := records.Next(t.Context(), records.Version{})
	tx := etcd.NewTx(kv)
	if err := records.Put(tx, key, rec, m); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, kv *clientv3.Client, key string, m proto.Message) {
	t.Helper()
	value := []byte{}
	if m != nil {
		var err error
		if value, err = keys.Encode(m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kv.Put(t.Context(), key, string(value)); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, kv *clientv3.Client, key string) {
	t.Helper()
	if _, err := kv.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

// sound fills a store as the services would.
func sound(t *testing.T, kv *clientv3.Client) {
	t.Helper()
	record(t, kv, keys.Resource(keys.CachePolicies, policy), &configv1.CachePolicy{DisplayName: "mine"})
	put(t, kv, keys.UniqueName(keys.CachePolicies, "mine"), &storev1.NameClaim{Id: policy})
	record(t, kv, keys.Resource(keys.Origins, "web"), &originv1.Origin{})
	record(t, kv, keys.Resource(keys.Distributions, "E1"), &configv1.Distribution{
		DomainName: "d1.cdn.test", CallerReference: "ref",
		Config: &configv1.DistributionConfig{
			Aliases: []string{"www.x.test"},
			Origins: []*configv1.Origin{{Id: "o", Source: &configv1.Origin_OriginRef{OriginRef: "origins/web"}}},
			DefaultCacheBehavior: &configv1.CacheBehavior{
				TargetOriginId: "o", Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/" + policy},
			},
		},
	})
	mine := &storev1.Claim{Distribution: "E1"}
	put(t, kv, keys.Label("d1"), mine)
	put(t, kv, keys.Host("www.x.test"), mine)
	put(t, kv, keys.CallerReference(keys.Distributions, "ref"), mine)
	put(t, kv, keys.Ref(keys.CachePolicies, policy, keys.Distributions, "E1"), nil)
	put(t, kv, keys.Ref(keys.Origins, "web", keys.Distributions, "E1"), nil)
	put(t, kv, keys.Version("E1", 1), nil)
	record(t, kv, keys.Invalidation("E1", "I1"), &configv1.Invalidation{CallerReference: "once"})
	put(t, kv, keys.InvalidationReference("E1", "once"), &storev1.InvalidationReference{Id: "I1"})
	put(t, kv, keys.Completion("E1", "I1"), nil)
	record(t, kv, keys.Resource(keys.KeyValueStores, "s"), &configv1.KeyValueStore{EntryCount: 2, TotalBytes: 8})
	record(t, kv, keys.Entry("s", "a/b"), &configv1.KeyValueEntry{Key: "a/b", Value: "123"})
	record(t, kv, keys.Entry("s", "c"), &configv1.KeyValueEntry{Key: "c", Value: "1"})
	f := &configv1.Function{KeyValueStores: []string{"keyValueStores/s"}}
	record(t, kv, keys.Draft("f"), f)
	record(t, kv, keys.Resource(keys.Functions, "f"), f)
	put(t, kv, keys.Ref(keys.KeyValueStores, "s", keys.Functions, "f"), nil)
	put(t, kv, keys.Ref(keys.KeyValueStores, "s", keys.Functions, keys.LiveStage("f")), nil)
	// What deleted distributions leave behind.
	put(t, kv, keys.Label("d0"), &storev1.Claim{Distribution: "E0", Tombstone: true})
	put(t, kv, keys.CallerReference(keys.Distributions, "old"), &storev1.Claim{Distribution: "E0"})
}

func check(t *testing.T, kv *clientv3.Client) fsck.Report {
	t.Helper()
	r, err := fsck.Check(t.Context(), kv, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func told(r fsck.Report) string {
	var out []string
	for _, p := range r.Problems {
		out = append(out, p.String())
	}
	return strings.Join(out, "\n")
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		hurt func(t *testing.T, kv *clientv3.Client)
		want string // the beginning of the only problem; empty for none
		left bool   // after a repair
	}{
		{"nothing", func(*testing.T, *clientv3.Client) {}, "", false},
		{"C8.30: alias without claim", func(t *testing.T, kv *clientv3.Client) { remove(t, kv, keys.Host("www.x.test")) },
			"missing c/hosts/test.x.www distributions/E1", false},
		{"C8.30: claim without alias", func(t *testing.T, kv *clientv3.Client) {
			put(t, kv, keys.Host("old.x.test"), &storev1.Claim{Distribution: "E1"})
		}, "orphan c/hosts/test.x.old", false},
		{"C8.30: claim of another", func(t *testing.T, kv *clientv3.Client) {
			put(t, kv, keys.Host("www.x.test"), &storev1.Claim{Distribution: "E2"})
		}, `wrong c/hosts/test.x.www distributions/E1 names "E2", want "E1"`, false},
		{"C8.31: label without distribution", func(t *testing.T, kv *clientv3.Client) {
			put(t, kv, keys.Label("d7"), &storev1.Claim{Distribution: "E7"})
		}, "orphan c/labels/d7", false},
		{"C8.33: reference lost", func(t *testing.T, kv *clientv3.Client) {
			remove(t, kv, keys.Ref(keys.Origins, "web", keys.Distributions, "E1"))
		}, "missing c/refs/origins/web/distributions/E1 distributions/E1", false},
		{"C9.57: reference that stayed", func(t *testing.T, kv *clientv3.Client) {
			put(t, kv, keys.Ref(keys.Origins, "web", keys.Distributions, "E9"), nil)
		}, "orphan c/refs/origins/web/distributions/E9", false},
		{"C8.32: name without resource", func(t *testing.T, kv *clientv3.Client) {
			put(t, kv, keys.UniqueName(keys.KeyGroups, "x"), &storev1.NameClaim{Id: "x"})
		}, "orphan c/names/keyGroups/x", false},
		{"C8.51: target is gone", func(t *testing.T, kv *clientv3.Client) { remove(t, kv, keys.Resource(keys.Origins, "web")) },
			"dangling r/distributions/E1 distributions/E1 refers to origins/web", true},
		{"C1.72: version of what is gone", func(t *testing.T, kv *clientv3.Client) { put(t, kv, keys.Version("E5", 1), nil) },
			"orphan c/versions/E5/", false},
		{"C1.72: invalidation of what is gone", func(t *testing.T, kv *clientv3.Client) { put(t, kv, keys.Invalidation("E5", "I1"), nil) },
			"orphan r/invalidations/E5/I1", false},
		{"design §5: no newest version", func(t *testing.T, kv *clientv3.Client) { remove(t, kv, keys.Version("E1", 1)) },
			"missing c/versions/E1/0000000000000000001 distributions/E1", false},
		{"C8.34: caller reference of an invalidation lost", func(t *testing.T, kv *clientv3.Client) {
			remove(t, kv, keys.InvalidationReference("E1", "once"))
		}, "missing c/idem/invalidations/E1/", true},
		{"C8.34: caller reference of an invalidation that is gone", func(t *testing.T, kv *clientv3.Client) {
			put(t, kv, keys.InvalidationReference("E1", "other"), &storev1.InvalidationReference{Id: "I2"})
		}, "orphan c/idem/invalidations/E1/", false},
		{"C8.34: caller reference of a distribution that is gone", func(t *testing.T, kv *clientv3.Client) {
			put(t, kv, keys.InvalidationReference("E5", "once"), &storev1.InvalidationReference{Id: "I1"})
		}, "orphan c/idem/invalidations/E5/", false},
		{"completion of what is gone", func(t *testing.T, kv *clientv3.Client) { put(t, kv, keys.Completion("E1", "I2"), nil) },
			"orphan s/invalidations/E1/I2", false},
		{"C2.152: entry of what is gone", func(t *testing.T, kv *clientv3.Client) { put(t, kv, keys.Entry("x", "a"), nil) },
			"orphan r/keyValueEntries/x/a", false},
		{"C2.152: entries are not those of the store", func(t *testing.T, kv *clientv3.Client) { remove(t, kv, keys.Entry("s", "c")) },
			"wrong r/keyValueStores/s keyValueStores/s says 2 entries of 8 bytes, and there are 1 of 6", false},
		{"C8.33: reference of LIVE lost", func(t *testing.T, kv *clientv3.Client) {
			remove(t, kv, keys.Ref(keys.KeyValueStores, "s", keys.Functions, keys.LiveStage("f")))
		}, "missing c/refs/keyValueStores/s/functions/f%2Fstages%2Flive functions/f/stages/live", false},
		{"C8.33: reference of LIVE that stayed", func(t *testing.T, kv *clientv3.Client) {
			put(t, kv, keys.Ref(keys.KeyValueStores, "s", keys.Functions, keys.LiveStage("g")), nil)
		}, "orphan c/refs/keyValueStores/s/functions/g%2Fstages%2Flive", false},
		{"C8.36: LIVE without DEVELOPMENT", func(t *testing.T, kv *clientv3.Client) {
			record(t, kv, keys.Resource(keys.Functions, "g"), &configv1.Function{})
		}, "dangling r/functions/g functions/g/stages/live refers to functions/g, which does not exist", true},
		{"C8.56: policy that nobody can attach", func(t *testing.T, kv *clientv3.Client) {
			record(t, kv, keys.Resource(keys.ContinuousDeploymentPolicies, policy), &configv1.ContinuousDeploymentPolicy{StagingDistribution: "distributions/E1"})
			put(t, kv, keys.Ref(keys.Distributions, "E1", keys.ContinuousDeploymentPolicies, policy), nil)
		}, "missing c/names/continuousDeploymentPolicies/distributions%2FE1", false},
		{"C8.30: two with one alias", func(t *testing.T, kv *clientv3.Client) {
			record(t, kv, keys.Resource(keys.Distributions, "E2"), &configv1.Distribution{
				DomainName: "d2.cdn.test", CallerReference: "ref2", Config: &configv1.DistributionConfig{Aliases: []string{"www.x.test"}},
			})
			put(t, kv, keys.Label("d2"), &storev1.Claim{Distribution: "E2"})
			put(t, kv, keys.CallerReference(keys.Distributions, "ref2"), &storev1.Claim{Distribution: "E2"})
			put(t, kv, keys.Version("E2", 1), nil)
		}, "clash c/hosts/test.x.www distributions/E2 is claimed by distributions/E1 as well", true},
		{"a record that cannot be read", func(t *testing.T, kv *clientv3.Client) {
			if _, err := kv.Put(t.Context(), keys.Resource(keys.KeyGroups, "11111111-1111-4111-8111-111111111112"), "\x07"); err != nil {
				t.Fatal(err)
			}
		}, "unreadable r/keyGroups/", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kv := etcdtest.Client(t)
			sound(t, kv)
			tt.hurt(t, kv)
			r := check(t, kv)
			if got := told(r); !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") || tt.want == "" && got != "" {
				t.Fatalf("found:\n%s\nwant: %s", got, tt.want)
			}
			if _, left, err := fsck.Repair(t.Context(), kv, r); err != nil || len(left) > 0 != tt.left {
				t.Errorf("repair left %v, %v", left, err)
			}
			if got := told(check(t, kv)); (got != "") != tt.left {
				t.Errorf("after the repair:\n%s", got)
			}
		})
	}
}

// TestUnreadableKeepsWhatIsItsOwn: what nothing readable asks for may belong to what
// cannot be read.
func TestUnreadableKeepsWhatIsItsOwn(t *testing.T) {
	kv := etcdtest.Client(t)
	sound(t, kv)
	if _, err := kv.Put(t.Context(), keys.Resource(keys.Distributions, "E1"), "\x07"); err != nil {
		t.Fatal(err)
	}
	r := check(t, kv)
	if repaired, left, err := fsck.Repair(t.Context(), kv, r); err != nil || repaired != 0 || len(left) < 4 {
		t.Errorf("repaired %d, left %v, %v", repaired, left, err)
	}
}

// TestLaterRelease: collections that this release does not know have derived keys that
// it does not understand.
func TestLaterRelease(t *testing.T) {
	kv := etcdtest.Client(t)
	sound(t, kv)
	put(t, kv, keys.UniqueName("trustStores", "x"), &storev1.NameClaim{Id: "x"})
	put(t, kv, keys.Ref(keys.Origins, "web", "trustStores", "x"), nil)
	put(t, kv, keys.Ref("trustStores", "x", keys.Distributions, "E1"), nil)
	// A distribution that refers to a known collection by a field that is not known.
	d := &configv1.Distribution{DomainName: "d3.cdn.test", CallerReference: "ref3", Config: &configv1.DistributionConfig{}}
	d.Config.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 5000, protowire.VarintType), 1))
	record(t, kv, keys.Resource(keys.Distributions, "E3"), d)
	put(t, kv, keys.Label("d3"), &storev1.Claim{Distribution: "E3"})
	put(t, kv, keys.CallerReference(keys.Distributions, "ref3"), &storev1.Claim{Distribution: "E3"})
	put(t, kv, keys.Version("E3", 1), nil)
	put(t, kv, keys.Ref(keys.KeyValueStores, "s", keys.Distributions, "E3"), nil)
	put(t, kv, keys.Host("y.x.test"), &storev1.Claim{Distribution: "E3"})
	if r := check(t, kv); len(r.Problems) > 0 {
		t.Errorf("found %s", told(r))
	}
}

func TestRepairHurtsNobody(t *testing.T) {
	kv := etcdtest.Client(t)
	sound(t, kv)
	remove(t, kv, keys.Host("www.x.test"))
	r := check(t, kv)
	put(t, kv, keys.Host("www.x.test"), &storev1.Claim{Distribution: "E3"}) // somebody took it meanwhile
	if repaired, left, err := fsck.Repair(t.Context(), kv, r); err != nil || repaired != 0 || len(left) != 1 {
		t.Errorf("C8.66: repaired %d, left %v, %v", repaired, left, err)
	}
}

// TestRepairLeavesWhatIsAskedForSince: a claim that nothing asked for when it was looked
// at, and that its distribution has asked for since without writing it.
func TestRepairLeavesWhatIsAskedForSince(t *testing.T) {
	kv := etcdtest.Client(t)
	sound(t, kv)
	put(t, kv, keys.Host("old.x.test"), &storev1.Claim{Distribution: "E1"})
	r := check(t, kv)
	var d configv1.Distribution
	if _, _, err := records.Get(t.Context(), kv, keys.Resource(keys.Distributions, "E1"), &d); err != nil {
		t.Fatal(err)
	}
	d.Config.Aliases = append(d.Config.Aliases, "old.x.test")
	record(t, kv, keys.Resource(keys.Distributions, "E1"), &d)
	if repaired, left, err := fsck.Repair(t.Context(), kv, r); err != nil || repaired != 0 || len(left) != 1 {
		t.Errorf("C8.66: repaired %d, left %v, %v", repaired, left, err)
	}
	if got := told(check(t, kv)); got != "" {
		t.Errorf("C8.66: afterwards:\n%s", got)
	}
}

// TestUnreadableMayHoldWhatOthersAskFor: what names a resource that cannot be read is not
// given to another.
func TestUnreadableMayHoldWhatOthersAskFor(t *testing.T) {
	kv := etcdtest.Client(t)
	sound(t, kv)
	if _, err := kv.Put(t.Context(), keys.Resource(keys.Distributions, "E2"), "\x07"); err != nil {
		t.Fatal(err)
	}
	put(t, kv, keys.Host("www.x.test"), &storev1.Claim{Distribution: "E2"})
	if repaired, left, err := fsck.Repair(t.Context(), kv, check(t, kv)); err != nil || repaired != 0 || len(left) != 2 {
		t.Errorf("C8.66: repaired %d, left %v, %v", repaired, left, err)
	}
}

func TestPinned(t *testing.T) {
	kv := etcdtest.Client(t)
	sound(t, kv)
	was := check(t, kv)
	remove(t, kv, keys.Host("www.x.test"))
	again, err := fsck.Check(t.Context(), kv, was.Revision)
	if err != nil || len(again.Problems) > 0 || again.Resources[keys.Distributions] != 1 || again.Derived != was.Derived {
		t.Errorf("C8.66: at revision %d: %+v, %v", was.Revision, again, err)
	}
}
