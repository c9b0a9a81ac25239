// SPDX-License-Identifier: Apache-2.0

package collection_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// meddler is a store in which somebody else does something right before the next
// transaction.
type meddler struct {
	clientv3.KV
	meddle func()
}

func (m *meddler) Txn(ctx context.Context) clientv3.Txn {
	if f := m.meddle; f != nil {
		m.meddle = nil
		f()
	}
	return m.KV.Txn(ctx)
}

// TestDeletedMeanwhile: what somebody else deletes at the same moment is missing, which
// allow_missing allows.
func TestDeletedMeanwhile(t *testing.T) {
	kv := etcdtest.Client(t)
	other := open(kv)
	for _, allow := range []bool{true, false} {
		made, err := create(t, other, named("a"), collection.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m := &meddler{KV: kv, meddle: func() {
			if err := other.Delete(t.Context(), made.GetName(), "", false, collection.Options{}); err != nil {
				t.Error(err)
			}
		}}
		c := collection.New(m, records.NewRequests(kv), kind())
		err = c.Delete(t.Context(), made.GetName(), "", allow, collection.Options{})
		if (err == nil) != allow || !allow && reason(err) != "NO_SUCH" {
			t.Errorf("C2.173: allow_missing %v: %v", allow, err)
		}
	}
}

// TestTakenID: the error for an id that is taken names it as an id.
func TestTakenID(t *testing.T) {
	kv := etcdtest.Client(t)
	c := open(kv, func(k *collection.Kind[*configv1.CachePolicy]) { k.NewID, k.Name = nil, nil })
	id := uuid.NewString()
	for i := range 2 {
		_, _, err := c.Create(t.Context(), named("a"), id, collection.Options{})
		e, _ := errors.AsType[*apierr.Error](err)
		if i == 1 && (e == nil || !strings.Contains(e.Message, `with the id "`+id) || e.Metadata["field"] != "cache_policy_id") {
			t.Errorf("C2.173: %v", err)
		}
	}
}

// TestChangedMeanwhile: what apply of a Change refuses because of a state that is past
// is looked at again.
func TestChangedMeanwhile(t *testing.T) {
	kv := etcdtest.Client(t)
	c := open(kv)
	made, err := create(t, c, named("a"), collection.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	got, err := c.Change(t.Context(), made.GetName(), "", collection.Options{}, func(ctx context.Context, tx *collection.Write, m *configv1.CachePolicy) error {
		if tries++; tries == 1 {
			put(t, kv, keys.Resource(keys.CachePolicies, tx.ID)) // somebody else writes
		}
		if tries == 1 {
			return tx.Still(ctx, errors.New("not like this"))
		}
		m.MinTtl = durationpb.New(1e9)
		return nil
	})
	if err != nil || tries != 2 || got.GetMinTtl() == nil {
		t.Errorf("C8.64: %v, %v after %d tries", got, err, tries)
	}
	_, err = c.Change(t.Context(), made.GetName(), "", collection.Options{}, func(ctx context.Context, tx *collection.Write, _ *configv1.CachePolicy) error {
		return tx.Still(ctx, errors.New("not like this"))
	})
	if err == nil || err.Error() != "not like this" {
		t.Errorf("C8.64: refused as it is: %v", err)
	}
}

// TestRewrappedMeanwhile: a record that has got another cluster key is the version that
// the caller has named.
func TestRewrappedMeanwhile(t *testing.T) {
	kv := etcdtest.Client(t)
	made, err := create(t, open(kv), named("a"), collection.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key := keys.Resource(keys.CachePolicies, keys.ID(made.GetName()))
	m := &meddler{KV: kv}
	c := collection.New(m, records.NewRequests(kv), kind())
	again := func() {
		res, err := kv.Get(t.Context(), key)
		if err == nil {
			_, err = kv.Put(t.Context(), key, string(res.Kvs[0].Value))
		}
		if err != nil {
			t.Error(err)
		}
	}
	m.meddle = again
	made.Comment = ""
	changed, _, err := c.Update(t.Context(), made, nil, collection.Options{})
	if err != nil {
		t.Fatalf("C8.102: update: %v", err)
	}
	m.meddle = again
	if err := c.Delete(t.Context(), made.GetName(), changed.GetEtag(), false, collection.Options{}); err != nil {
		t.Errorf("C8.102: delete: %v", err)
	}
}

// TestDeletionOfNothingIsRemembered: a repeated deletion does not delete what has been
// created under the name since the first one found nothing.
func TestDeletionOfNothingIsRemembered(t *testing.T) {
	kv := etcdtest.Client(t)
	c := open(kv, func(k *collection.Kind[*configv1.CachePolicy]) { k.NewID = nil })
	id := uuid.NewString()
	name := "cachePolicies/" + id
	once := collection.Options{RequestID: uuid.NewString(), Method: "Delete", Request: named(id)}
	if err := c.Delete(t.Context(), name, "", true, once); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Create(t.Context(), named("a"), id, collection.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), name, "", true, once); err != nil {
		t.Errorf("C3.17: again: %v", err)
	}
	if _, err := c.Get(t.Context(), name); err != nil {
		t.Errorf("C3.17: a repeated deletion of nothing: %v", err)
	}
}

// TestLostLease: idempotency keys are remembered under a new lease when the store does
// not know the present one, as after the restore of a backup.
func TestLostLease(t *testing.T) {
	kv := etcdtest.Client(t)
	c := open(kv)
	once := func() collection.Options { return collection.Options{RequestID: uuid.NewString()} }
	revoke := func(of *configv1.CachePolicy) {
		t.Helper()
		leases, err := kv.Get(t.Context(), keys.Root+"c/reqid/", clientv3.WithPrefix())
		if err != nil || len(leases.Kvs) == 0 {
			t.Fatal("no memory of ", of.GetName(), err)
		}
		for _, pair := range leases.Kvs {
			_, _ = kv.Revoke(t.Context(), clientv3.LeaseID(pair.Lease)) // the first revokes for all
		}
	}
	made, err := create(t, c, named("a"), once())
	if err != nil {
		t.Fatal(err)
	}
	revoke(made)
	if made, err = create(t, c, named("b"), once()); err != nil {
		t.Fatalf("C8.35: create: %v", err)
	}
	revoke(made)
	change := once()
	change.Method, change.Request = "Update", made
	if _, _, err := c.Update(t.Context(), made, nil, change); err != nil {
		t.Errorf("C8.35: update: %v", err)
	}
	revoke(made)
	if err := c.Delete(t.Context(), made.GetName(), "", false, collection.Options{RequestID: uuid.NewString(), Method: "Delete", Request: made}); err != nil {
		t.Errorf("C8.35: delete: %v", err)
	}
}
