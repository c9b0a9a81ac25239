// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// putSealed writes an origin with a secret, its copy under a version's key, and one
// without secrets.
func putSealed(t *testing.T, kv clientv3.KV, k *secret.Keyring, id string) {
	t.Helper()
	key, rec := keys.Resource(keys.Origins, id), records.Next(t.Context(), records.Version{})
	o := withHeaders(&originv1.OriginHeader{Name: "X-Key", Value: "hush " + id})
	if err := records.Seal(k, rec, key, o, nil); err != nil {
		t.Fatal(err)
	}
	tx := etcd.NewTx(kv)
	if err := records.Put(tx, key, rec, o); err != nil {
		t.Fatal(err)
	}
	tx.Copy(key, keys.Version(id, 1))
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRewrap is a change of the cluster key as docs/operations.md tells it.
func TestRewrap(t *testing.T) {
	kv := etcdtest.Client(t)
	lineA, err := secret.NewKey("a")
	if err != nil {
		t.Fatal(err)
	}
	lineB, err := secret.NewKey("b")
	if err != nil {
		t.Fatal(err)
	}
	ring := func(lines ...string) *secret.Keyring {
		k, err := secret.Parse(strings.Join(lines, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	const n = 100 // more than are read at a time
	for i := range n {
		putSealed(t, kv, ring(lineA), fmt.Sprint("o", i))
	}
	put(t, kv, "plain", "x", records.Version{})
	for key, value := range map[string]string{keys.Epoch: "epoch", keys.Beat: "beat", keys.Resource(keys.Origins, "torn"): "\x7f"} {
		if _, err := kv.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	putSealed(t, kv, ring(strings.Replace(lineB, "b ", "lost ", 1)), "lost")
	before := map[string]records.Version{}
	for i := range n {
		var o originv1.Origin
		key := keys.Resource(keys.Origins, fmt.Sprint("o", i))
		if before[key], _, err = records.Get(t.Context(), kv, key, &o); err != nil {
			t.Fatal(err)
		}
	}
	// The first attempt is interrupted after two records; the first of them is written
	// anew, with the old key, between its read and its write.
	first := keys.Resource(keys.Origins, "o0")
	stopped := &interfering{KV: kv, left: 3, before: func() { putSealed(t, kv, ring(lineA), "o0") }}
	if r, err := records.Rewrap(t.Context(), stopped, ring(lineB, lineA)); err == nil || r.Changed != 2 {
		t.Fatalf("was not interrupted: %+v, %v", r, err)
	}
	r, err := records.Rewrap(t.Context(), kv, ring(lineB, lineA))
	if err != nil || r.Records != 2*n+1+1+2 || r.Sealed != 2*n || r.Changed != 2*n-2 || r.Left["lost"] != 2 || len(r.Failed) != 3 {
		t.Errorf("C8.102: %+v, %v", r, err)
	}
	if text := strings.Join(r.Failed, "\n"); strings.Contains(text, "hush") || !strings.Contains(text, "origins/torn") || !strings.Contains(text, `cluster key "lost"`) {
		t.Errorf("failures: %s", text)
	}
	for key, was := range before {
		var o originv1.Origin
		v, sealed, _, err := records.GetWithSecrets(t.Context(), kv, key, &o)
		if err != nil || v.ETag() != was.ETag() && key != first || v.ModRevision == was.ModRevision {
			t.Errorf("%s: %+v, %v; was %+v", key, v, err, was)
		}
		if got, err := records.Open(ring(lineB), key, sealed); err != nil || !strings.HasPrefix(got[place], "hush") {
			t.Errorf("C8.102: %s by the new key alone: %q, %v", key, got, err)
		}
	}
	r, err = records.Rewrap(t.Context(), kv, ring(lineB))
	if err != nil || r.Changed != 0 || r.Left["a"] != 0 {
		t.Errorf("C8.102: once more, without the old key: %+v, %v", r, err)
	}
}

// interfering does something before the first transaction, and fails after some.
type interfering struct {
	clientv3.KV
	before func()
	left   int
}

func (i *interfering) Txn(ctx context.Context) clientv3.Txn {
	if i.before != nil {
		i.before()
		i.before = nil
	}
	if i.left == 0 {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return i.KV.Txn(ctx)
	}
	i.left--
	return i.KV.Txn(ctx)
}
