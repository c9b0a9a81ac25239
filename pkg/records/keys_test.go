// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// pages reads all pages of a listing of comments.
func comments(t *testing.T, read func(token string) ([]*configv1.DistributionConfig, string, error)) (out []string) {
	t.Helper()
	token := ""
	for n := 0; n == 0 || token != ""; n++ {
		page, next, err := read(token)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page {
			out = append(out, c.GetComment())
		}
		token = next
	}
	return out
}

func TestListPairs(t *testing.T) {
	kv := etcdtest.Client(t)
	prefix := keys.Root + "c/pairs/"
	var all []string
	for i := range 150 { // more than one read brings
		key := fmt.Sprintf("%s%03d", prefix, i)
		all = append(all, key)
		if _, err := kv.Put(t.Context(), key, "value"); err != nil {
			t.Fatal(err)
		}
	}
	build := func(p records.Pair) (*configv1.DistributionConfig, error) {
		if strings.HasSuffix(p.Key, "7") {
			return nil, records.ErrSkip
		}
		return &configv1.DistributionConfig{Comment: p.Key}, nil
	}
	want := slices.DeleteFunc(slices.Clone(all), func(k string) bool { return strings.HasSuffix(k, "7") })
	named := []string{prefix, all[3], all[7], all[8], all[140], prefix + "999"}
	for _, size := range []int{1, 7, 1000} {
		req := records.ListRequest{Method: "test", Prefix: prefix, PageSize: size}
		read := func(names []string) []string {
			return comments(t, func(token string) ([]*configv1.DistributionConfig, string, error) {
				req.Token = token
				return records.ListPairs(t.Context(), kv, req, names, build)
			})
		}
		if got := read(nil); !slices.Equal(got, want) {
			t.Errorf("C3.25: by %d: %d of %d pairs", size, len(got), len(want))
		}
		if got := read(named); !slices.Equal(got, []string{all[3], all[8], all[140]}) {
			t.Errorf("C3.25: by %d: named %q", size, got)
		}
	}
	if p, revision, err := records.Lookup(t.Context(), kv, all[0]); err != nil || revision == 0 || string(p.Value) != "value" {
		t.Errorf("Lookup = %v, %d, %v", p, revision, err)
	}
	if _, revision, err := records.Lookup(t.Context(), kv, prefix); err != nil || revision != 0 {
		t.Errorf("Lookup of nothing = %d, %v", revision, err)
	}
}

// A listing by reference leaves out what leads nowhere, and goes on behind it.
func TestListNamed(t *testing.T) {
	kv := etcdtest.Client(t)
	var want []string
	for i := range 130 {
		id := fmt.Sprintf("E%03d", i)
		if _, err := kv.Put(t.Context(), keys.Ref(keys.Origins, "o", keys.Distributions, id), ""); err != nil {
			t.Fatal(err)
		}
		if i < 64 || i%3 == 0 { // a whole read of keys leads nowhere, or hardly anywhere
			continue
		}
		put(t, kv, id, id, records.Version{})
		want = append(want, id)
	}
	for _, size := range []int{1, 10, 1000} {
		got := comments(t, func(token string) ([]*configv1.DistributionConfig, string, error) {
			return records.ListNamed(t.Context(), kv, records.ListRequest{Method: "test", Prefix: keys.RefsTo(keys.Origins, "o"), PageSize: size, Token: token},
				func(key string) string {
					_, id, err := keys.ParseRef(key)
					if err != nil {
						t.Fatal(err)
					}
					return keys.Resource(keys.Origins, id)
				},
				func(i records.Item) (*configv1.DistributionConfig, error) {
					return &configv1.DistributionConfig{Comment: strings.TrimPrefix(i.Key, keys.Origins.Prefix())}, nil
				})
		})
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %d records, want %d", size, len(got), len(want))
		}
	}
}
