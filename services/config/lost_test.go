// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// lossy is an etcd that takes writes and loses the answers of some.
type lossy struct {
	clientv3.KV
	lose *atomic.Bool // the next answer
}

// Txn begins a transaction.
func (l lossy) Txn(ctx context.Context) clientv3.Txn { return lossyTxn{l.KV.Txn(ctx), l.lose} }

type lossyTxn struct {
	clientv3.Txn
	lose *atomic.Bool
}

// If adds conditions.
func (x lossyTxn) If(cs ...clientv3.Cmp) clientv3.Txn { return lossyTxn{x.Txn.If(cs...), x.lose} }

// Then adds writes.
func (x lossyTxn) Then(ops ...clientv3.Op) clientv3.Txn { return lossyTxn{x.Txn.Then(ops...), x.lose} }

// Else adds reads.
func (x lossyTxn) Else(ops ...clientv3.Op) clientv3.Txn { return lossyTxn{x.Txn.Else(ops...), x.lose} }

// Commit sends the transaction.
func (x lossyTxn) Commit() (*clientv3.TxnResponse, error) {
	res, err := x.Txn.Commit()
	if err == nil && res.Succeeded && len(res.Responses) > 1 && x.lose.Swap(false) {
		return nil, rpctypes.ErrTimeout
	}
	return res, err
}

// A write whose answer is lost is found, not repeated and not denied (C3.18, C8.65).
func TestLostAnswers(t *testing.T) {
	client := etcdtest.Client(t)
	var lose atomic.Bool
	client.KV = lossy{client.KV, &lose}
	r := serve(t, client)
	lose.Store(true)
	d := r.mustCreate(t, simple("ref", "www.example.com"))
	if lose.Swap(true) {
		t.Fatal("no answer was lost")
	}
	d = r.mustUpdate(t, &configv1.Distribution{
		Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{Aliases: []string{"new.example.com"}},
	}, "config.aliases", "config.enabled")
	if lose.Swap(true) {
		t.Fatal("no answer was lost")
	}
	if got := r.get(t, d.GetName()); got.GetEtag() != d.GetEtag() || got.GetDeployment().GetTargetRevision() != d.GetDeployment().GetTargetRevision() {
		t.Errorf("answered %v, stored %v", d, got)
	}
	checkKeys(t, client)
	if err := r.delete(t.Context(), d.GetName(), d.GetEtag()); err != nil || lose.Load() {
		t.Errorf("delete: %v", err)
	}
	checkKeys(t, client)
}
