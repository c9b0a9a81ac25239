// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// put writes an origin as a service would and returns the version that it made.
func put(t *testing.T, kv clientv3.KV, id, text string, prev records.Version) records.Version {
	t.Helper()
	key, rec := keys.Resource(keys.Origins, id), records.Next(t.Context(), prev)
	tx := etcd.NewTx(kv)
	tx.AtRevision("record", key, prev.ModRevision)
	if err := records.Put(tx, key, rec, &originv1.Origin{DisplayName: text}); err != nil {
		t.Fatal(err)
	}
	v, err := records.Commit(t.Context(), kv, tx, key, rec)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRoundTrip(t *testing.T) {
	kv := etcdtest.Client(t)
	key := keys.Resource(keys.Origins, "a")
	var o originv1.Origin
	if _, found, err := records.Get(t.Context(), kv, key, &o); found || err != nil {
		t.Fatalf("before: found %v, %v", found, err)
	}
	first := put(t, kv, "a", "one", records.Version{})
	second := put(t, kv, "a", "two", first)
	if first.Generation != 1 || second.Generation != 2 || first.WriteID == second.WriteID || second.ModRevision <= first.ModRevision {
		t.Errorf("C3.11: %+v, then %+v", first, second)
	}
	got, found, err := records.Get(t.Context(), kv, key, &o)
	if err != nil || !found || got != second || o.GetDisplayName() != "two" {
		t.Errorf("newest: %+v %v %v %v, want %+v", got, found, err, &o, second)
	}
	got, found, err = records.GetAt(t.Context(), kv, key, first.ModRevision, &o)
	if err != nil || !found || got != first || o.GetDisplayName() != "one" {
		t.Errorf("C8.6: at the first revision: %+v %v %v %v, want %+v", got, found, err, &o, first)
	}
	if id, ok := keys.ParseETag(second.ETag()); !ok || id != second.WriteID {
		t.Errorf("etag %s is not of write %d", second.ETag(), second.WriteID)
	}
}

func TestConflictPassesThrough(t *testing.T) {
	kv := etcdtest.Client(t)
	put(t, kv, "a", "one", records.Version{})
	key, rec := keys.Resource(keys.Origins, "a"), records.Next(t.Context(), records.Version{})
	tx := etcd.NewTx(kv)
	tx.Absent("id", key)
	if err := records.Put(tx, key, rec, &originv1.Origin{}); err != nil {
		t.Fatal(err)
	}
	_, err := records.Commit(t.Context(), kv, tx, key, rec)
	conflict, ok := errors.AsType[*etcd.Conflict](err)
	if !ok || !slices.Equal(conflict.Failed, []string{"id"}) {
		t.Errorf("err = %v, want a conflict of id", err)
	}
}

func TestEnvelopeCarriesTrace(t *testing.T) {
	state, err := trace.ParseTraceState("vendor=1")
	if err != nil {
		t.Fatal(err)
	}
	long, err := trace.ParseTraceState("a=" + strings.Repeat("x", 256) + ",b=" + strings.Repeat("y", 256))
	if err != nil {
		t.Fatal(err)
	}
	with := func(s trace.TraceState) context.Context {
		return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: s,
		}))
	}
	const parent = "00-01000000000000000000000000000000-0200000000000000-01"
	for _, tt := range []struct {
		name          string
		ctx           context.Context
		parent, state string
	}{
		{"design 3.10: the span of the request", with(state), parent, "vendor=1"},
		{"a tracestate above 512 bytes is dropped", with(long), parent, ""},
		{"not traced", context.Background(), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := records.Next(tt.ctx, records.Version{Generation: 4})
			if rec.GetTraceparent() != tt.parent || rec.GetTracestate() != tt.state {
				t.Errorf("got %q %q, want %q %q", rec.GetTraceparent(), rec.GetTracestate(), tt.parent, tt.state)
			}
			if rec.GetGeneration() != 5 || rec.GetPrincipal() != "anonymous" || rec.GetWriteId() == 0 {
				t.Errorf("envelope %v", rec)
			}
		})
	}
}

func TestDamagedRecordIsNamedInLogOnly(t *testing.T) {
	kv := etcdtest.Client(t)
	key := keys.Resource(keys.Origins, "bad")
	if _, err := kv.Put(t.Context(), key, "\x7f"); err != nil {
		t.Fatal(err)
	}
	_, _, err := records.Get(t.Context(), kv, key, &originv1.Origin{})
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok || e.Kind != apierr.Internal || strings.Contains(e.Message, key) || !strings.Contains(e.Error(), key) {
		t.Errorf("err = %v, want an internal one with the key in its cause only", err)
	}
}

// lossy is a store whose answers to transactions get lost, before or after they were
// carried out.
type lossy struct {
	clientv3.KV
	carryOut bool
	answer   error
}

type lossyTxn struct {
	clientv3.Txn
	carryOut bool
	answer   error
}

func (l lossy) Txn(ctx context.Context) clientv3.Txn {
	return lossyTxn{l.KV.Txn(ctx), l.carryOut, l.answer}
}

func (l lossyTxn) If(c ...clientv3.Cmp) clientv3.Txn  { l.Txn = l.Txn.If(c...); return l }
func (l lossyTxn) Then(o ...clientv3.Op) clientv3.Txn { l.Txn = l.Txn.Then(o...); return l }
func (l lossyTxn) Else(o ...clientv3.Op) clientv3.Txn { l.Txn = l.Txn.Else(o...); return l }

func (l lossyTxn) Commit() (*clientv3.TxnResponse, error) {
	if l.carryOut {
		if _, err := l.Txn.Commit(); err != nil {
			return nil, err
		}
	}
	return nil, l.answer
}

func TestLostAnswer(t *testing.T) {
	for _, tt := range []struct {
		name     string
		carryOut bool
		answer   error
	}{
		{"C8.65: carried out", true, rpctypes.ErrTimeout},
		{"C8.65: not carried out", false, rpctypes.ErrTimeout},
		{"C8.9: carried out, and reported as without space", true, rpctypes.ErrNoSpace},
		{"C8.103: no space", false, rpctypes.ErrNoSpace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kv := lossy{etcdtest.Client(t), tt.carryOut, tt.answer}
			before := put(t, kv.KV, "a", "one", records.Version{})
			key, rec := keys.Resource(keys.Origins, "a"), records.Next(t.Context(), before)
			tx := etcd.NewTx(kv)
			tx.AtRevision("record", key, before.ModRevision)
			if err := records.Put(tx, key, rec, &originv1.Origin{DisplayName: "two"}); err != nil {
				t.Fatal(err)
			}
			v, err := records.Commit(t.Context(), kv, tx, key, rec)
			checkLost(t, "update", tt.carryOut, err)
			var o originv1.Origin
			stored, _, getErr := records.Get(t.Context(), kv, key, &o)
			if getErr != nil || tt.carryOut && v != stored {
				t.Errorf("version %+v, stored %+v %v", v, stored, getErr)
			}
			tx = etcd.NewTx(kv)
			tx.AtRevision("record", key, stored.ModRevision)
			tx.Delete(key)
			checkLost(t, "delete", tt.carryOut, records.CommitDelete(t.Context(), kv, tx, key))
		})
	}
}

func checkLost(t *testing.T, what string, carriedOut bool, err error) {
	t.Helper()
	e, ok := errors.AsType[*apierr.Error](err)
	unavailable := ok && e.Reason == apierr.ReasonStoreUnavailable
	if carriedOut && err != nil || !carriedOut && !unavailable {
		t.Errorf("%s: err = %v", what, err)
	}
}
