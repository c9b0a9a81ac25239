// SPDX-License-Identifier: Apache-2.0

package originregistry_test

import (
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	originregistry "github.com/seafront-cdn/seafront/services/origin-registry"
)

// TestWithItsRightsOnly: the registry does its work as the etcd user that etcd-roles
// makes for it (C8.101).
func TestWithItsRightsOnly(t *testing.T) {
	rights, err := keys.Rights(keys.RegistryProgram, "")
	if err != nil {
		t.Fatal(err)
	}
	limited, root := etcdtest.Limited(t, etcdtest.Start(t), rights)
	r := start(t, originregistry.Config{Etcd: limited})
	o := r.create(t, "o")
	changed, err := r.rename(t.Context(), "o", o.GetEtag(), "other")
	if err != nil {
		t.Fatal(body(err))
	}
	if err := r.delete(t.Context(), "o", changed.GetEtag()); err != nil {
		t.Error(body(err))
	}
	for _, key := range []string{keys.Resource(keys.Distributions, "1"), keys.Epoch, keys.Edge("a")} {
		if _, err := limited.Put(t.Context(), key, ""); err == nil {
			t.Errorf("C8.101: it may write %s", key)
		}
	}
	if _, err := root.Get(t.Context(), "x"); err != nil {
		t.Error(err)
	}
}
