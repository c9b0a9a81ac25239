// SPDX-License-Identifier: Apache-2.0

package etcdtest_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

func put(t *testing.T, c *clientv3.Client, key, value string, opts ...clientv3.OpOption) {
	t.Helper()
	if _, err := c.Put(t.Context(), key, value, opts...); err != nil {
		t.Fatal(err)
	}
}

// get reads a key; etcd may be on its way back.
func get(t *testing.T, c *clientv3.Client, key string) string {
	t.Helper()
	for {
		res, err := c.Get(t.Context(), key)
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
		if err == nil && len(res.Kvs) == 0 {
			return ""
		}
		if err == nil {
			return string(res.Kvs[0].Value)
		}
	}
}

func TestSpacesAreApart(t *testing.T) {
	one, other := etcdtest.New(t), etcdtest.New(t)
	a, b := one.Client(t), other.Client(t)
	put(t, a, "k", "a")
	put(t, b, "k", "b")
	if got := get(t, one.Client(t), "k"); got != "a" {
		t.Errorf("k = %q in the first space", got)
	}
	all, err := b.Get(t.Context(), "\x00", clientv3.WithFromKey())
	if err != nil || len(all.Kvs) != 1 || string(all.Kvs[0].Key) != "k" {
		t.Errorf("the second space holds %v, %v", all, err)
	}
}

func TestSpaceWatchesARange(t *testing.T) {
	c := etcdtest.Client(t)
	watch := c.Watch(t.Context(), "e/", clientv3.WithRange("s/"), clientv3.WithRev(1))
	for _, key := range []string{"c/x", "e/1", "h/1", "r/1", "s/1", "r/last"} {
		put(t, c, key, "v")
	}
	var got []string
	for len(got) == 0 || got[len(got)-1] != "r/last" {
		for _, e := range (<-watch).Events {
			got = append(got, string(e.Kv.Key))
		}
	}
	if len(got) != 4 || got[0] != "e/1" || got[1] != "h/1" || got[2] != "r/1" {
		t.Errorf("watched %q", got)
	}
}

func TestSpaceHasLeases(t *testing.T) {
	c := etcdtest.Client(t)
	lease, err := c.Grant(t.Context(), 30)
	if err != nil {
		t.Fatal(err)
	}
	put(t, c, "s/1", "v", clientv3.WithLease(lease.ID))
	if _, err := c.KeepAliveOnce(t.Context(), lease.ID); err != nil {
		t.Error(err)
	}
	if _, err := c.Revoke(t.Context(), lease.ID); err != nil {
		t.Fatal(err)
	}
	if got := get(t, c, "s/1"); got != "" {
		t.Errorf("s/1 = %q after its lease was revoked", got)
	}
}

func TestMember(t *testing.T) {
	m := etcdtest.Start(t)
	c, address := m.Client(t), m.Endpoint()
	put(t, c, "k", "v")
	m.Stop()
	m.Stop()
	if _, err := c.Put(t.Context(), "k", "w"); err == nil {
		t.Error("a stopped member took a write")
	}
	m.Restart(t)
	if got := get(t, c, "k"); got != "v" || m.Endpoint() != address {
		t.Errorf("k = %q at %s after a restart, was at %s", got, m.Endpoint(), address)
	}
	m.Cut()
	if got := get(t, c, "k"); got != "v" {
		t.Errorf("k = %q after a cut", got)
	}
	m.Replace(t)
	if got := get(t, c, "k"); got != "" || m.Endpoint() != address {
		t.Errorf("k = %q in an empty store", got)
	}
}
