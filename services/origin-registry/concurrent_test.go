// SPDX-License-Identifier: Apache-2.0

package originregistry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// interrupted is a store in which something happens right before each writing
// transaction, or in which the answer to it is lost.
type interrupted struct {
	clientv3.KV
	before func(n int64) // n counts from 1
	lost   bool
	n      *atomic.Int64
}

type interruptedTxn struct {
	clientv3.Txn
	store              interrupted
	conditions, writes bool
}

func (i interrupted) Txn(ctx context.Context) clientv3.Txn {
	return interruptedTxn{Txn: i.KV.Txn(ctx), store: i}
}

func (i interruptedTxn) If(c ...clientv3.Cmp) clientv3.Txn {
	i.Txn, i.conditions = i.Txn.If(c...), true
	return i
}

func (i interruptedTxn) Then(o ...clientv3.Op) clientv3.Txn {
	i.Txn, i.writes = i.Txn.Then(o...), true
	return i
}

func (i interruptedTxn) Else(o ...clientv3.Op) clientv3.Txn { i.Txn = i.Txn.Else(o...); return i }

func (i interruptedTxn) Commit() (*clientv3.TxnResponse, error) {
	if !i.conditions || !i.writes { // reads of several records, or a probe
		return i.Txn.Commit()
	}
	if n := i.store.n.Add(1); i.store.before != nil {
		i.store.before(n)
	}
	res, err := i.Txn.Commit()
	if i.store.lost && err == nil {
		return nil, rpctypes.ErrTimeout
	}
	return res, err
}

// TestInterrupted lets a second replica, or config, come between reading and writing.
func TestInterrupted(t *testing.T) {
	type world struct {
		kv     clientv3.KV
		r      replica // undisturbed
		etag   string
		seen   int64
		t      *testing.T
		ctx    context.Context
		policy string
	}
	refer := func(w *world, distribution string) {
		if err := attach(w.ctx, w.kv, distribution, "web", w.policy, w.r.revision(w.t, "web")); err != nil {
			w.t.Error(err)
		}
	}
	write := func(w *world) {
		if _, err := w.r.rename(w.ctx, "web", "", "theirs"); err != nil {
			w.t.Error(err)
		}
	}
	toS3 := func(w *world, r replica, etag string) error {
		_, err := r.UpdateOrigin(w.ctx, &originv1.UpdateOriginRequest{
			Origin:     &originv1.Origin{Name: "origins/web", Etag: etag, Endpoint: s3Endpoint("assets")},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"endpoint"}},
		})
		return err
	}
	first := func(f func(*world)) func(*world, int64) {
		return func(w *world, n int64) {
			if n == 1 {
				f(w)
			}
		}
	}
	each := func(f func(*world)) func(*world, int64) { return func(w *world, _ int64) { f(w) } }
	for _, tt := range []struct {
		name   string
		policy string
		before func(*world, int64)
		call   func(*world, replica) error
		code   codes.Code
		reason string
		tries  int64
	}{
		{
			"C3.12: update with an etag, and the record moved on", "", first(write),
			func(w *world, r replica) error { _, err := r.rename(w.ctx, "web", w.etag, "ours"); return err },
			codes.Aborted, "PRECONDITION_FAILED", 1,
		},
		{
			"C3.12: update without one, and the record moved on", "", first(write),
			func(w *world, r replica) error { return toS3(w, r, "") },
			codes.OK, "", 2,
		},
		{
			"C3.12: update without one, and the record moves on each time", "", each(write),
			func(w *world, r replica) error { return toS3(w, r, "") },
			codes.Aborted, "PRECONDITION_FAILED", 4,
		},
		{
			"C3.6: update, and the record went", "", first(func(w *world) {
				if err := w.r.delete(w.ctx, "web", ""); err != nil {
					w.t.Error(err)
				}
			}),
			func(w *world, r replica) error { return toS3(w, r, w.etag) },
			codes.NotFound, "ENTITY_NOT_FOUND", 1,
		},
		{
			"C8.53: update, and one came that it breaks", hostInKey, first(func(w *world) { refer(w, "E1") }),
			func(w *world, r replica) error { return toS3(w, r, w.etag) },
			codes.FailedPrecondition, "ORIGIN_IN_USE", 1,
		},
		{
			"C8.53: update, and one came that it does not break", cachingOptimized, first(func(w *world) { refer(w, "E1") }),
			func(w *world, r replica) error { return toS3(w, r, w.etag) },
			codes.OK, "", 2,
		},
		{
			"C8.64: update, and one comes each time", cachingOptimized, each(func(w *world) { refer(w, "E1") }),
			func(w *world, r replica) error { return toS3(w, r, w.etag) },
			codes.Aborted, "PRECONDITION_FAILED", 4,
		},
		{
			"C8.51: delete, and one came", cachingOptimized, first(func(w *world) { refer(w, "E1") }),
			func(w *world, r replica) error { return r.delete(w.ctx, "web", w.etag) },
			codes.FailedPrecondition, "ORIGIN_IN_USE", 1,
		},
		{
			"C3.12: delete with an etag, and the record moved on", "", first(write),
			func(w *world, r replica) error { return r.delete(w.ctx, "web", w.etag) },
			codes.Aborted, "PRECONDITION_FAILED", 1,
		},
		{
			"C3.12: delete without one, and the record moved on", "", first(write),
			func(w *world, r replica) error { return r.delete(w.ctx, "web", "") },
			codes.OK, "", 2,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			space := etcdtest.New(t)
			calm, disturbed := space.Client(t), space.Client(t)
			w := &world{kv: calm.KV, r: serve(t, calm), t: t, ctx: t.Context(), policy: tt.policy}
			w.etag = w.r.create(t, "web").GetEtag()
			w.seen = w.r.revision(t, "web")
			var tries atomic.Int64
			disturbed.KV = interrupted{KV: disturbed.KV, n: &tries, before: func(n int64) { tt.before(w, n) }}
			err := tt.call(w, serve(t, disturbed))
			if c, why := reason(err); c != tt.code || why != tt.reason || tries.Load() != tt.tries {
				t.Errorf("%v %s after %d tries (%v), want %v %s after %d", c, why, tries.Load(), err, tt.code, tt.reason, tt.tries)
			}
			if tt.code == codes.Aborted && !strings.Contains(body(err), "etagCurrent: "+w.r.get(t, "web").GetEtag()) && tt.policy == "" {
				t.Errorf("C2.174: the current etag is not named: %s", body(err))
			}
			if tt.reason == "ORIGIN_IN_USE" && !strings.Contains(body(err), "referrers: distributions/E1\n") {
				t.Errorf("C8.51: referrers are not named: %s", body(err))
			}
		})
	}
}

// TestMergeAfterRetry shows that a repeated update merges into what is there then.
func TestMergeAfterRetry(t *testing.T) {
	space := etcdtest.New(t)
	calm, disturbed := space.Client(t), space.Client(t)
	theirs := serve(t, calm)
	theirs.create(t, "web")
	disturbed.KV = interrupted{KV: disturbed.KV, n: new(atomic.Int64), before: func(n int64) {
		if n == 1 {
			if _, err := theirs.rename(t.Context(), "web", "", "theirs"); err != nil {
				t.Error(err)
			}
		}
	}}
	_, err := serve(t, disturbed).UpdateOrigin(t.Context(), &originv1.UpdateOriginRequest{
		Origin: &originv1.Origin{Name: "origins/web", Labels: map[string]string{"by": "us"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if o := theirs.get(t, "web"); o.GetDisplayName() != "theirs" || o.GetLabels()["by"] != "us" {
		t.Errorf("C3.12: a change was lost: %v", o)
	}
}

func TestLostAnswers(t *testing.T) {
	client := etcdtest.Client(t)
	var n atomic.Int64
	client.KV = interrupted{KV: client.KV, lost: true, n: &n}
	r := serve(t, client)
	created := r.create(t, "web")
	updated, err := r.rename(t.Context(), "web", created.GetEtag(), "two")
	if err != nil {
		t.Fatalf("C8.65: update: %v", err)
	}
	if got := r.get(t, "web"); got.GetEtag() != updated.GetEtag() || got.GetDisplayName() != "two" {
		t.Errorf("C8.65: answered %v, stored %v", updated, got)
	}
	if err := r.delete(t.Context(), "web", updated.GetEtag()); err != nil {
		t.Errorf("C8.65: delete: %v", err)
	}
	if n.Load() != 3 {
		t.Errorf("C8.65: %d transactions for three writes", n.Load())
	}
}

// TestReferrers changes an origin that distributions refer to.
func TestReferrers(t *testing.T) {
	client := etcdtest.Client(t)
	r := serve(t, client)
	const custom = "11111111-2222-3333-4444-555555555555"
	policy := &configv1.CachePolicy{Headers: &configv1.HeaderSelection{Mode: configv1.HeaderSelection_MODE_LISTED, Names: []string{"host"}}}
	tx, rec := etcd.NewTx(client.KV), records.Next(t.Context(), records.Version{})
	if err := records.Put(tx, keys.Resource(keys.CachePolicies, custom), rec, policy); err != nil {
		t.Fatal(err)
	}
	// References of kinds that this release does not know are no obstacle to updates.
	tx.Put(keys.Ref(keys.Origins, "plain", "tenants", "t1"), nil)
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, origin, policy string
		reason               string
	}{
		{"C5.36: nothing in the way", "plain", cachingOptimized, ""},
		{"C2.101: a managed policy with Host", "managed", hostInKey, "ORIGIN_IN_USE"},
		{"C2.101: a custom policy with Host", "custom", custom, "ORIGIN_IN_USE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.create(t, tt.origin)
			// More than one transaction of reads.
			for i := range 130 {
				p := cachingOptimized
				if i == 129 {
					p = tt.policy
				}
				if err := attach(t.Context(), client.KV, fmt.Sprintf("E%s%03d", strings.ToUpper(tt.origin), i), tt.origin, p, r.revision(t, tt.origin)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := r.UpdateOrigin(t.Context(), &originv1.UpdateOriginRequest{Origin: &originv1.Origin{Name: keys.Origins.Name(tt.origin), Endpoint: s3Endpoint("assets")}})
			if _, got := reason(err); got != tt.reason {
				t.Errorf("%v, want %q", err, tt.reason)
			}
			if tt.reason != "" && !strings.Contains(body(err), "referrers: distributions/E"+strings.ToUpper(tt.origin)+"129\n") {
				t.Errorf("C5.36: %s", body(err))
			}
			if _, err := r.rename(t.Context(), tt.origin, "", "harmless"); err != nil {
				t.Errorf("a harmless change: %v", err)
			}
		})
	}
	err := r.delete(t.Context(), "plain", "")
	if _, got := reason(err); got != "ORIGIN_IN_USE" {
		t.Errorf("C1.68: delete: %v", err)
	}
}

const rounds = 100

// both runs two calls at once.
func both(a, b func() error) (aErr, bErr error) {
	done := make(chan error)
	go func() { done <- a() }()
	bErr = b()
	return <-done, bErr
}

func TestRaceOfUpdates(t *testing.T) {
	space := etcdtest.New(t)
	one, two := serve(t, space.Client(t)), serve(t, space.Client(t))
	etag := one.create(t, "web").GetEtag()
	for round := range rounds {
		text := fmt.Sprint("round ", round)
		a, b := both(
			func() error { _, err := one.rename(t.Context(), "web", etag, text+" by one"); return err },
			func() error { _, err := two.rename(t.Context(), "web", etag, text+" by two"); return err },
		)
		if (a == nil) == (b == nil) {
			t.Fatalf("C2.366, round %d: %v and %v, want exactly one", round, a, b)
		}
		wantError(t, "C2.366", errors.Join(a, b), codes.Aborted, "PRECONDITION_FAILED")
		winner := " by one"
		if a != nil {
			winner = " by two"
		}
		now := two.get(t, "web")
		if now.GetDisplayName() != text+winner {
			t.Fatalf("C2.366, round %d: stored %q, want that of the winner%s", round, now.GetDisplayName(), winner)
		}
		etag = now.GetEtag()
	}
}

func TestRaceOfCreates(t *testing.T) {
	space := etcdtest.New(t)
	one, two := serve(t, space.Client(t)), serve(t, space.Client(t))
	for round := range rounds {
		id := fmt.Sprint("o", round)
		a, b := both(
			func() error {
				return create(one, id, &originv1.Origin{Endpoint: httpEndpoint("one.example.com")})(t.Context())
			},
			func() error {
				return create(two, id, &originv1.Origin{Endpoint: httpEndpoint("two.example.com")})(t.Context())
			},
		)
		if (a == nil) == (b == nil) {
			t.Fatalf("C2.366, round %d: %v and %v, want exactly one", round, a, b)
		}
		wantError(t, "C2.366", errors.Join(a, b), codes.AlreadyExists, "ENTITY_ALREADY_EXISTS")
	}
}

func TestRaceOfDeleteAndAttach(t *testing.T) {
	space := etcdtest.New(t)
	r, config := serve(t, space.Client(t)), space.Client(t)
	for round := range rounds {
		id, distribution := fmt.Sprint("o", round), fmt.Sprint("E", round)
		r.create(t, id)
		seen := r.revision(t, id)
		deleted, attached := both(
			func() error { return r.delete(t.Context(), id, "") },
			func() error { return attach(t.Context(), config.KV, distribution, id, cachingOptimized, seen) },
		)
		if (deleted == nil) == (attached == nil) {
			t.Fatalf("C2.366, round %d: delete %v, attach %v, want exactly one", round, deleted, attached)
		}
		refs, _, err := records.Names(t.Context(), config.KV, keys.RefsTo(keys.Origins, id), 0)
		if err != nil {
			t.Fatal(err)
		}
		_, gone := r.GetOrigin(t.Context(), &originv1.GetOriginRequest{Name: keys.Origins.Name(id)})
		if (len(refs) == 1) != (gone == nil) {
			t.Fatalf("C8.66, round %d: references %v, origin %v", round, refs, gone)
		}
	}
}

func TestRaceOfUpdateAndAttach(t *testing.T) {
	space := etcdtest.New(t)
	r, config := serve(t, space.Client(t)), space.Client(t)
	for round := range rounds {
		id, distribution := fmt.Sprint("o", round), fmt.Sprint("E", round)
		r.create(t, id)
		seen := r.revision(t, id)
		updated, attached := both(
			func() error {
				_, err := r.UpdateOrigin(t.Context(), &originv1.UpdateOriginRequest{Origin: &originv1.Origin{Name: keys.Origins.Name(id), Endpoint: s3Endpoint("assets")}})
				return err
			},
			// Good for the HTTP server that the origin was, not for a bucket.
			func() error { return attach(t.Context(), config.KV, distribution, id, hostInKey, seen) },
		)
		if (updated == nil) == (attached == nil) {
			t.Fatalf("C8.53, round %d: update %v, attach %v, want exactly one", round, updated, attached)
		}
	}
}
