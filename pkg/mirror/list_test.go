// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
)

func TestEmptyStart(t *testing.T) {
	client := etcdtest.Client(t)
	r := newReplica(t)
	r.start(client)
	r.await("C8.81: a batch for an empty range", func() bool { return len(r.batches) == 1 })
	r.await("connected", func() bool { return len(r.told) == 1 && r.told[0] })
	if b := r.batches[0]; b.Revision == 0 || len(b.Events) > 0 || b.Reset || b.Live || b.Epoch != "" {
		t.Errorf("first batch %+v", b)
	}
	write(t, client, "r/a", "1")
	r.equal(client)
}

func TestBounds(t *testing.T) {
	client := etcdtest.Client(t)
	r := newReplica(t)
	r.config.From, r.config.To, r.config.EpochKey = "e/", "s/", "elsewhere"
	all := []string{"e", "e.", "e/", "e/1", "h/x", "q", "r/1", "s", "s.", "s/", "s/1", "c/1"}
	for i, key := range all {
		if i%2 == 0 {
			write(t, client, key, "listed")
		}
	}
	write(t, client, "elsewhere", "name")
	r.start(client)
	r.await("connected", func() bool { return len(r.told) == 1 })
	for _, key := range all {
		write(t, client, key, "watched")
	}
	r.reach(write(t, client, "r/1", "end"))
	r.equal(client) // promises looks at each event
	if r.at.Epoch != "name" {
		t.Errorf("epoch %q", r.at.Epoch)
	}
}

func TestPages(t *testing.T) {
	for _, tt := range []struct {
		name            string
		keys            int
		page, list, get int
	}{
		{"C8.81: thousands of keys", 3000, 500, 5000, 100},
		{"C8.81: the last page is full", 100, 50, 50, 50},
		{"C8.81: one key a page", 30, 1, 1, 1},
		{"C8.82: values in many requests", 100, 100, 7, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := etcdtest.Client(t)
			fill(t, client, tt.keys, "old")
			r := newReplica(t)
			r.limits.page, r.limits.keys, r.limits.gets = int64(tt.page), int64(tt.list), tt.get
			stop := r.start(client)
			r.await("list", func() bool { return len(r.batches) == 1 })
			r.equal(client)
			stop()
			if len(r.data) != tt.keys+1 { // that of equal
				t.Errorf("%d keys, want %d", len(r.data), tt.keys+1)
			}
			fill(t, client, tt.keys, "new")
			remove(t, client, "r/00007")
			r.start(client)
			r.equal(client)
			if n := r.count(isReset); n > 0 {
				t.Errorf("%d resets", n)
			}
		})
	}
}

// fill writes keys, 100 at a time.
func fill(t testing.TB, client *clientv3.Client, keys int, value string) {
	t.Helper()
	for i := 0; i < keys; i += 100 {
		var ops []clientv3.Op
		for k := i; k < min(i+100, keys); k++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("r/%05d", k), fmt.Sprint(value, k)))
		}
		if _, err := client.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		while  func(t *testing.T, client *clientv3.Client)
		resets int
	}{
		{"nothing happened", func(*testing.T, *clientv3.Client) {}, 0},
		{"C8.82: written and written again", func(t *testing.T, client *clientv3.Client) {
			write(t, client, "r/00001", "x")
			write(t, client, "r/00001", "y")
			write(t, client, "r/new", "z")
		}, 0},
		{"C9.50: deleted", func(t *testing.T, client *clientv3.Client) { remove(t, client, "r/00003") }, 0},
		{"C9.50: deleted and made anew", func(t *testing.T, client *clientv3.Client) {
			remove(t, client, "r/00003")
			write(t, client, "r/00003", "again")
		}, 0},
		{"made and deleted", func(t *testing.T, client *clientv3.Client) {
			write(t, client, "r/short", "x")
			remove(t, client, "r/short")
		}, 0},
		{"everything deleted", func(t *testing.T, client *clientv3.Client) {
			if _, err := client.Delete(t.Context(), "r/", clientv3.WithPrefix()); err != nil {
				t.Fatal(err)
			}
			write(t, client, "r/settings/epoch", "one")
		}, 0},
		{"C8.82: compacted", func(t *testing.T, client *clientv3.Client) {
			write(t, client, "r/00001", "x")
			remove(t, client, "r/00002")
			compact(t, client, write(t, client, "r/00004", "x"))
		}, 0},
		{"C8.88: another epoch", func(t *testing.T, client *clientv3.Client) {
			write(t, client, "r/settings/epoch", "two")
			remove(t, client, "r/00003")
		}, 1},
		{"C8.88: epoch gone", func(t *testing.T, client *clientv3.Client) { remove(t, client, "r/settings/epoch") }, 1},
		{"the same epoch written again", func(t *testing.T, client *clientv3.Client) { write(t, client, "r/settings/epoch", "one") }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := etcdtest.Start(t).Client(t) // compaction is everybody's
			fill(t, client, 10, "v")
			write(t, client, "r/settings/epoch", "one")
			r := newReplica(t)
			stop := r.start(client)
			r.equal(client)
			stop()
			tt.while(t, client)
			seen := len(r.batches)
			r.start(client)
			r.await("a list", func() bool { return len(r.batches) > seen })
			if r.batches[seen].Live {
				t.Error("the first batch came from a watch")
			}
			r.equal(client)
			if n := r.count(isReset); n != tt.resets {
				t.Errorf("%d resets, want %d", n, tt.resets)
			}
		})
	}
}

func compact(t testing.TB, client *clientv3.Client, revision int64) {
	t.Helper()
	if _, err := client.Compact(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
}

func TestFirstNameIsNoReset(t *testing.T) {
	client := etcdtest.Client(t)
	write(t, client, "r/a", "1")
	r := newReplica(t)
	stop := r.start(client)
	r.equal(client)
	r.reach(write(t, client, "r/settings/epoch", "one"))
	stop()
	if r.at.Epoch != "one" || r.count(isReset) > 0 {
		t.Errorf("C8.88: epoch %q after %d resets", r.at.Epoch, r.count(isReset))
	}
	r.at.Epoch = "" // as stored before the data set had a name
	r.start(client)
	r.equal(client)
	if r.at.Epoch != "one" || r.count(isReset) > 0 {
		t.Errorf("C8.88: epoch %q after %d resets", r.at.Epoch, r.count(isReset))
	}
}

// hooked calls a function before each read.
type hooked struct {
	clientv3.KV
	before func(key string, options int)
}

func (h *hooked) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	h.before(key, len(opts))
	return h.KV.Get(ctx, key, opts...)
}

func TestCompactedWhileListing(t *testing.T) {
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("C8.81, C8.82: first list %v", first), func(t *testing.T) {
			client := etcdtest.Start(t).Client(t)
			fill(t, client, 10, "old")
			r := newReplica(t)
			r.limits.page, r.limits.keys = 3, 3
			if !first {
				stop := r.start(client)
				r.equal(client)
				stop()
				fill(t, client, 10, "new")
			}
			plain, done := client.KV, false
			client.KV = &hooked{plain, func(key string, _ int) {
				if !done && strings.HasPrefix(key, "r/00002") { // the second page
					done = true
					res, err := plain.Put(t.Context(), "r/00001", "later")
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := plain.Compact(t.Context(), res.Header.Revision); err != nil {
						t.Error(err)
					}
				}
			}}
			r.start(client)
			r.await("list", func() bool { return len(r.told) > 0 && r.told[len(r.told)-1] })
			r.equal(client)
			if !done || len(r.failed) != 1 || !strings.Contains(r.failed[0].Error(), rpctypes.ErrCompacted.Error()) {
				t.Errorf("failures: %v", r.failed)
			}
			if r.data["r/00001"] != "later" {
				t.Errorf("r/00001 = %q", r.data["r/00001"])
			}
		})
	}
}
