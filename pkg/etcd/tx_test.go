// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
)

// put writes a key and returns its revision.
func put(t *testing.T, c *clientv3.Client, key string) int64 {
	t.Helper()
	res, err := c.Put(t.Context(), key, key)
	if err != nil {
		t.Fatal(err)
	}
	return res.Header.Revision
}

// content reads the whole store.
func content(t *testing.T, c *clientv3.Client) map[string]string {
	t.Helper()
	res, err := c.Get(t.Context(), "\x00", clientv3.WithFromKey())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, kv := range res.Kvs {
		got[string(kv.Key)] = string(kv.Value)
	}
	return got
}

func TestConditions(t *testing.T) {
	const absent, there, again = "r/x/absent", "r/x/there", "r/x/again"
	for _, tt := range []struct {
		name string
		tx   func(tx *etcd.Tx, old, last int64)
		want map[string][]string // by failed name; nil: committed
	}{
		{"C8.4: absent holds", func(tx *etcd.Tx, _, _ int64) { tx.Absent("n", absent) }, nil},
		{"C8.4: absent fails", func(tx *etcd.Tx, _, _ int64) { tx.Absent("n", there) }, map[string][]string{"n": {there}}},
		{"C8.4: exists holds", func(tx *etcd.Tx, _, _ int64) { tx.Exists("n", there) }, nil},
		{"C8.4: exists fails", func(tx *etcd.Tx, _, _ int64) { tx.Exists("n", absent) }, map[string][]string{"n": nil}},
		{"C8.46: at revision holds", func(tx *etcd.Tx, _, last int64) { tx.AtRevision("n", there, last) }, nil},
		{"C8.46: older revision fails", func(tx *etcd.Tx, old, _ int64) { tx.AtRevision("n", there, old) }, map[string][]string{"n": {there}}},
		{"C8.46: newer revision fails", func(tx *etcd.Tx, _, last int64) { tx.AtRevision("n", there, last+1) }, map[string][]string{"n": {there}}},
		{"C8.46: revision of a deleted key fails", func(tx *etcd.Tx, old, _ int64) { tx.AtRevision("n", absent, old) }, map[string][]string{"n": nil}},
		{"C8.46: revision 0 is absence and holds", func(tx *etcd.Tx, _, _ int64) { tx.AtRevision("n", absent, 0) }, nil},
		{"C8.46: revision 0 is absence and fails", func(tx *etcd.Tx, _, _ int64) { tx.AtRevision("n", there, 0) }, map[string][]string{"n": {there}}},
		{"C8.4: none under an empty range holds", func(tx *etcd.Tx, _, _ int64) { tx.NoneUnder("n", "c/refs/nobody/") }, nil},
		{"C8.4: none under fails with the keys", func(tx *etcd.Tx, _, _ int64) { tx.NoneUnder("n", "c/refs/a/") }, map[string][]string{"n": {"c/refs/a/1", "c/refs/a/2"}}},
		{"C8.4: a neighbour's prefix is another", func(tx *etcd.Tx, _, _ int64) { tx.NoneUnder("n", "c/refs/a/1/") }, nil},
		{"C8.53: none newer under an empty range holds", func(tx *etcd.Tx, _, _ int64) { tx.NoneNewerUnder("n", "c/refs/nobody/", 0) }, nil},
		{"C8.53: none newer than the last holds", func(tx *etcd.Tx, _, last int64) { tx.NoneNewerUnder("n", "c/refs/a/", last) }, nil},
		{"C8.53: one newer fails with its key", func(tx *etcd.Tx, old, _ int64) { tx.NoneNewerUnder("n", "c/refs/a/", old) }, map[string][]string{"n": {"c/refs/a/2"}}},
		{"none created under an empty range holds", func(tx *etcd.Tx, _, _ int64) { tx.NoneCreatedUnder("n", "c/refs/nobody/", 0) }, nil},
		{"a key that was only written again is not created", func(tx *etcd.Tx, old, _ int64) { tx.NoneCreatedUnder("n", again, old) }, nil},
		{"one created since fails with its key", func(tx *etcd.Tx, old, _ int64) { tx.NoneCreatedUnder("n", "c/refs/a/", old) }, map[string][]string{"n": {"c/refs/a/2"}}},
		{"several fail at once, others hold", func(tx *etcd.Tx, old, _ int64) {
			tx.Exists("first", absent)
			tx.Exists("holds", there)
			tx.AtRevision("second", there, old)
			tx.NoneUnder("third", "c/refs/a/")
		}, map[string][]string{"first": nil, "second": {there}, "third": {"c/refs/a/1", "c/refs/a/2"}}},
		{"one name for several conditions", func(tx *etcd.Tx, _, _ int64) {
			tx.Absent("n", there)
			tx.Absent("n", absent)
			tx.Absent("n", "c/refs/a/1")
		}, map[string][]string{"n": {there, "c/refs/a/1"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := etcdtest.Client(t)
			put(t, c, absent)
			if _, err := c.Delete(t.Context(), absent); err != nil {
				t.Fatal(err)
			}
			put(t, c, "c/refs/a/1")
			put(t, c, again)
			old := put(t, c, "c/refs/b/1")
			put(t, c, "c/refs/a/2")
			put(t, c, again)
			last := put(t, c, there)
			before := content(t, c)

			tx := etcd.NewTx(c)
			tt.tx(tx, old, last)
			tx.Put("r/new", []byte("v"))
			revision, err := tx.Commit(t.Context())
			after := content(t, c)
			if tt.want == nil {
				if err != nil || revision <= last || after["r/new"] != "v" {
					t.Fatalf("revision %d, %v, store %v", revision, err, after)
				}
				return
			}
			refused, ok := errors.AsType[*etcd.Conflict](err)
			if !ok {
				t.Fatalf("error %v, want a conflict", err)
			}
			for name := range tt.want {
				if !slices.Contains(refused.Failed, name) {
					t.Errorf("%q is not among the failed", name)
				}
			}
			if len(refused.Failed) != len(tt.want) {
				t.Errorf("failed %q, want %q", refused.Failed, slices.Collect(maps.Keys(tt.want)))
			}
			for name, keys := range tt.want {
				if diff := cmp.Diff(keys, refused.Keys[name]); diff != "" {
					t.Errorf("keys of %q (-want +got):\n%s", name, diff)
				}
			}
			if refused.Revision < last {
				t.Errorf("looked at revision %d, want %d or later", refused.Revision, last)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("a refused transaction wrote (-before +after):\n%s", diff)
			}
		})
	}
}

func TestConflictNamesAFewKeys(t *testing.T) {
	c := etcdtest.Client(t)
	tx := etcd.NewTx(c)
	for i := range 100 {
		tx.Put(fmt.Sprintf("c/refs/a/%03d", i), nil)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx = etcd.NewTx(c)
	tx.NoneUnder("in use", "c/refs/a/")
	_, err := tx.Commit(t.Context())
	refused, ok := errors.AsType[*etcd.Conflict](err)
	if !ok {
		t.Fatalf("error %v, want a conflict", err)
	}
	got := refused.Keys["in use"]
	if len(got) != 20 || got[0] != "c/refs/a/000" || got[19] != "c/refs/a/019" {
		t.Errorf("keys %q, want the first 20", got)
	}
}

func TestWrites(t *testing.T) {
	for _, tt := range []struct {
		name string
		tx   func(tx *etcd.Tx)
		ops  int
		want map[string]string
	}{
		{"C8.3: of two puts the last counts", func(tx *etcd.Tx) { tx.Put("a", []byte("1")); tx.Put("a", []byte("2")) }, 1, map[string]string{"a": "2", "old/1": "old/1", "old/2": "old/2"}},
		{"C8.3: a delete after a put", func(tx *etcd.Tx) { tx.Put("old/1", []byte("1")); tx.Delete("old/1") }, 1, map[string]string{"old/2": "old/2"}},
		{"C8.3: a put after a delete", func(tx *etcd.Tx) { tx.Delete("old/1"); tx.Put("old/1", []byte("new")) }, 1, map[string]string{"old/1": "new", "old/2": "old/2"}},
		{"a prefix is deleted", func(tx *etcd.Tx) { tx.DeletePrefix("old/"); tx.Put("older", nil) }, 2, map[string]string{"older": ""}},
		{"deletes may overlap", func(tx *etcd.Tx) { tx.DeletePrefix("old/"); tx.Delete("old/1") }, 2, map[string]string{}},
		{"nothing to write", func(*etcd.Tx) {}, 0, map[string]string{"old/1": "old/1", "old/2": "old/2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := etcdtest.Client(t)
			put(t, c, "old/1")
			put(t, c, "old/2")
			tx := etcd.NewTx(c)
			tt.tx(tx)
			if tx.Ops() != tt.ops {
				t.Errorf("%d operations, want %d", tx.Ops(), tt.ops)
			}
			if _, err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, content(t, c)); diff != "" {
				t.Errorf("store (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWritesShareARevision(t *testing.T) {
	c := etcdtest.Client(t)
	tx := etcd.NewTx(c)
	tx.Put("a", nil)
	tx.Put("b", nil)
	revision, err := tx.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Get(t.Context(), "a", clientv3.WithPrefix(), clientv3.WithRange("c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range res.Kvs {
		if kv.ModRevision != revision {
			t.Errorf("%s has revision %d, the transaction %d", kv.Key, kv.ModRevision, revision)
		}
	}
}

func TestSize(t *testing.T) {
	for _, tt := range []struct {
		name               string
		conditions, writes int
		want               error
	}{
		{"C8.2: as many writes as allowed", 0, etcd.MaxOps, nil},
		{"C8.2: as many conditions and writes as allowed", etcd.MaxOps, etcd.MaxOps, nil},
		{"C8.2: one condition too many", etcd.MaxOps + 1, 1, rpctypes.ErrTooManyOps},
		{"C8.2: one write too many", 1, etcd.MaxOps + 1, rpctypes.ErrTooManyOps},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := etcdtest.Client(t)
			tx := etcd.NewTx(c)
			for i := range tt.conditions {
				tx.Absent("new", fmt.Sprintf("k/%d", i))
			}
			for i := range tt.writes {
				tx.Put(fmt.Sprintf("k/%d", i), nil)
			}
			if tx.Ops() != max(tt.conditions, tt.writes) {
				t.Errorf("%d operations", tx.Ops())
			}
			_, err := tx.Commit(t.Context())
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	t.Run("C8.1: a request too large", func(t *testing.T) {
		tx := etcd.NewTx(etcdtest.Client(t))
		tx.Put("k", make([]byte, 1600<<10))
		if _, err := tx.Commit(t.Context()); !errors.Is(err, rpctypes.ErrRequestTooLarge) || etcd.Unavailable(err) {
			t.Errorf("error %v", err)
		}
	})
}

func TestCommitSpan(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tx     func(*etcd.Tx)
		status codes.Code
		want   attribute.Key
	}{
		{"committed", func(tx *etcd.Tx) { tx.Absent("n", "b") }, codes.Unset, "revision"},
		{"refused is no failure", func(tx *etcd.Tx) { tx.Absent("n", "a") }, codes.Unset, "refused_by"},
		{"failed", func(tx *etcd.Tx) { tx.Put("k", make([]byte, 1600<<10)) }, codes.Error, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := etcdtest.Client(t)
			put(t, c, "a")
			spans := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
			ctx, parent := provider.Tracer("test").Start(t.Context(), "rpc")
			tx := etcd.NewTx(c)
			tt.tx(tx)
			tx.Put("c", nil)
			_, _ = tx.Commit(ctx)
			parent.End()
			ended := spans.Ended()
			if len(ended) != 2 {
				t.Fatalf("%d spans ended, want 2", len(ended))
			}
			span := ended[0]
			if span.Name() != "etcd txn" || span.Parent().SpanID() != parent.SpanContext().SpanID() {
				t.Errorf("span %q is not the child of the caller's", span.Name())
			}
			if span.Status().Code != tt.status {
				t.Errorf("status %v, want %v", span.Status(), tt.status)
			}
			has := func(a attribute.KeyValue) bool { return a.Key == tt.want }
			if tt.want != "" && !slices.ContainsFunc(span.Attributes(), has) {
				t.Errorf("no %q among %v", tt.want, span.Attributes())
			}
		})
	}
}
