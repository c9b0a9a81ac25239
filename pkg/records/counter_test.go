// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/records"
)

// counted is a store that has so many keys and says how often it was asked.
type counted struct {
	clientv3.KV
	n, asked int64
}

// Get answers a request for a count.
func (c *counted) Get(context.Context, string, ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	c.asked++
	return &clientv3.GetResponse{Count: c.n}, nil
}

func TestCounter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := &counted{n: 5000}
		c := records.NewCounter(kv, "p/")
		expect := func(what string, n, asked int64) {
			t.Helper()
			if got, err := c.Before(t.Context(), 10_000); err != nil || got != n || kv.asked != asked {
				t.Errorf("C8.63: %s: %d, %v, asked %d times; want %d, asked %d times", what, got, err, kv.asked, n, asked)
			}
		}
		expect("first", 5000, 1)
		expect("one more was created", 5001, 1)
		time.Sleep(11 * time.Second)
		kv.n = 8998 // others create as well
		expect("after a while", 8998, 2)
		expect("far from the limit", 8999, 2)
		kv.n = 9500
		expect("near the limit", 9500, 3)
		kv.n = 10_000
		expect("at the limit", 10_000, 4)
	})
}

// TestFewAreCounted: callers who create one after another at several servers do not pass
// a small limit.
func TestFewAreCounted(t *testing.T) {
	kv := &counted{}
	servers := []*records.Counter{records.NewCounter(kv, "p/"), records.NewCounter(kv, "p/"), records.NewCounter(kv, "p/")}
	for i := range 100 {
		n, err := servers[i%len(servers)].Before(t.Context(), 20)
		if err != nil {
			t.Fatal(err)
		}
		if n < 20 {
			kv.n++
		}
	}
	if kv.n != 20 {
		t.Errorf("C8.63: made %d of 20", kv.n)
	}
}
