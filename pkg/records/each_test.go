// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

func TestEach(t *testing.T) {
	kv := etcdtest.Client(t)
	var ask, want []string
	var last records.Version
	for i := range 230 { // three transactions
		id := fmt.Sprintf("o%03d", 229-i) // in the order asked for, not that of keys
		ask = append(ask, keys.Resource(keys.Origins, id))
		if i%10 == 3 {
			continue // does not exist
		}
		last, want = put(t, kv, id, id, records.Version{}), append(want, id)
	}
	collect := func(revision int64, visit func()) (got []string, err error) {
		err = records.Each(t.Context(), kv, ask, revision, func(i records.Item) error {
			visit()
			var o originv1.Origin
			err := i.Into(&o)
			got = append(got, o.GetDisplayName())
			return err
		})
		return got, err
	}
	disturbed := false
	disturb := func() {
		if !disturbed {
			disturbed = true
			put(t, kv, "o000", "changed", last)
		}
	}
	if got, err := collect(0, disturb); err != nil || !slices.Equal(got, want) {
		t.Errorf("C8.6: not all of one revision: %v %v", got, err)
	}
	changed := append(slices.Clone(want[:len(want)-1]), "changed")
	if got, err := collect(0, func() {}); err != nil || !slices.Equal(got, changed) {
		t.Errorf("newest: %v %v", got, err)
	}
	if got, err := collect(last.ModRevision, func() {}); err != nil || !slices.Equal(got, want) {
		t.Errorf("at a revision: %v %v", got, err)
	}
	stop := errors.New("stop")
	n := 0
	err := records.Each(t.Context(), kv, ask, 0, func(records.Item) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("visit's error: %v after %d", err, n)
	}
	if _, err := kv.Compact(t.Context(), last.ModRevision+1); err != nil {
		t.Fatal(err)
	}
	if _, err := collect(last.ModRevision, func() {}); !errors.Is(err, rpctypes.ErrCompacted) {
		t.Errorf("C8.6: compacted: %v", err)
	}
}

func TestNamesAndCount(t *testing.T) {
	kv := etcdtest.Client(t)
	var last records.Version
	for _, id := range []string{"b", "a", "c"} {
		last = put(t, kv, id, id, records.Version{})
	}
	names, revision, err := records.Names(t.Context(), kv, keys.Origins.Prefix(), 0)
	want := []string{keys.Resource(keys.Origins, "a"), keys.Resource(keys.Origins, "b"), keys.Resource(keys.Origins, "c")}
	if err != nil || !slices.Equal(names, want) || revision < last.ModRevision {
		t.Errorf("names %v at %d, %v", names, revision, err)
	}
	if names, _, err := records.Names(t.Context(), kv, keys.Origins.Prefix(), 2); err != nil || !slices.Equal(names, want[:2]) {
		t.Errorf("two names: %v, %v", names, err)
	}
	if n, err := records.Count(t.Context(), kv, keys.Origins.Prefix()); n != 3 || err != nil {
		t.Errorf("C8.63: count %d, %v", n, err)
	}
	if n, err := records.Count(t.Context(), kv, keys.Distributions.Prefix()); n != 0 || err != nil {
		t.Errorf("C8.63: count %d of nothing, %v", n, err)
	}
}
