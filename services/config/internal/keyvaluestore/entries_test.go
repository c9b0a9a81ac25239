// SPDX-License-Identifier: Apache-2.0

package keyvaluestore_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/keyvaluestore"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

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

// TestLimitIsNotReachedByTwoStates: an entry that another batch removes while a batch
// counts is not counted twice.
func TestLimitIsNotReachedByTwoStates(t *testing.T) {
	kv := etcdtest.Client(t)
	m := &meddler{KV: kv}
	requests := records.NewRequests(kv)
	mine, other := keyvaluestore.New(m, requests, 10, 100), keyvaluestore.New(kv, requests, 10, 100)
	res, err := mine.CreateKeyValueStore(t.Context(), &configv1.CreateKeyValueStoreRequest{KeyValueStoreId: "s", KeyValueStore: &configv1.KeyValueStore{}})
	if err != nil {
		t.Fatal(err)
	}
	name := res.GetKeyValueStore().GetName()
	write := func(s *keyvaluestore.Server, value string, deletes ...string) error {
		req := &configv1.BatchUpdateEntriesRequest{Name: name, Deletes: deletes}
		if value != "" {
			req.Puts = []*configv1.KeyValueEntry{{Key: "k", Value: value}}
		}
		_, err := s.BatchUpdateEntries(t.Context(), req)
		return err
	}
	if err := write(mine, strings.Repeat("x", 90)); err != nil {
		t.Fatal(err)
	}
	m.meddle = func() {
		if err := write(other, "", "k"); err != nil {
			t.Error(err)
		}
	}
	if err := write(mine, strings.Repeat("y", 50)); err != nil {
		t.Errorf("C4.53: 50 bytes of 100: %v", err)
	}
	if err := write(mine, strings.Repeat("z", 100)); err == nil {
		t.Error("C4.53: 101 bytes of 100 were written")
	}
}

// TestListOfWhat: a good token is no violation beside a bad name.
func TestListOfWhat(t *testing.T) {
	kv := etcdtest.Client(t)
	s := keyvaluestore.New(kv, records.NewRequests(kv), 10, 100)
	res, err := s.CreateKeyValueStore(t.Context(), &configv1.CreateKeyValueStoreRequest{KeyValueStoreId: "s", KeyValueStore: &configv1.KeyValueStore{}})
	if err != nil {
		t.Fatal(err)
	}
	req := &configv1.BatchUpdateEntriesRequest{Name: res.GetKeyValueStore().GetName(), Puts: []*configv1.KeyValueEntry{{Key: "a"}, {Key: "b"}}}
	if _, err := s.BatchUpdateEntries(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	page, err := s.ListEntries(t.Context(), &configv1.ListEntriesRequest{Name: req.GetName(), PageSize: 1})
	if err != nil || page.GetNextPageToken() == "" {
		t.Fatal(page, err)
	}
	_, err = s.ListEntries(t.Context(), &configv1.ListEntriesRequest{Name: "s", PageToken: page.GetNextPageToken()})
	if e, ok := errors.AsType[*apierr.Error](err); !ok || len(e.Violations) != 1 || e.Violations[0].Field != "name" {
		t.Errorf("C2.2: %v", err)
	}
}
