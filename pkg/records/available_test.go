// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/records"
)

// empty is a store with no keys, with a limit on conditions, that can lose its
// leader or stop to answer at all.
type empty struct {
	clientv3.KV
	maxOps       int
	down, silent atomic.Bool
}

type emptyTxn struct {
	clientv3.Txn
	store *empty
	ctx   context.Context
	ops   int
}

func (e *empty) answer(ctx context.Context) error {
	if e.silent.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if e.down.Load() {
		return rpctypes.ErrNoLeader
	}
	return nil
}

func (e *empty) Get(ctx context.Context, _ string, _ ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return &clientv3.GetResponse{}, e.answer(ctx)
}

func (e *empty) Txn(ctx context.Context) clientv3.Txn { return emptyTxn{store: e, ctx: ctx} }

func (t emptyTxn) If(c ...clientv3.Cmp) clientv3.Txn { t.ops = len(c); return t }

func (t emptyTxn) Commit() (*clientv3.TxnResponse, error) {
	if t.ops > t.store.maxOps {
		return nil, rpctypes.ErrTooManyOps
	}
	return &clientv3.TxnResponse{}, t.store.answer(t.ctx)
}

func TestAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &empty{maxOps: 1024}
		store.down.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		var told []bool
		ended := make(chan error)
		go func() {
			ended <- records.Available(ctx, store, func(ok bool) { told = append(told, ok) })
		}()
		expect := func(when string, want ...bool) {
			t.Helper()
			time.Sleep(5 * time.Second) // of the bubble's clock: several rounds
			synctest.Wait()
			if !slices.Equal(told, want) {
				t.Errorf("%s: told %v, want %v", when, told, want)
			}
		}
		expect("no quorum at start")
		store.down.Store(false)
		expect("quorum", true)
		store.down.Store(true)
		expect("quorum lost", true, false)
		store.down.Store(false)
		expect("quorum again", true, false, true)
		store.silent.Store(true)
		expect("no answer at all", true, false, true, false)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestAvailableRefusesSmallTransactions(t *testing.T) {
	err := records.Available(t.Context(), &empty{maxOps: 128}, func(bool) { t.Error("reported") })
	if err == nil || !strings.Contains(err.Error(), "--max-txn-ops") {
		t.Errorf("C8.61: err = %v, want one that names the flag", err)
	}
}
