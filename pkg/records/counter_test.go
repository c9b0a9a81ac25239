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
		kv := &counted{n: 50}
		c := records.NewCounter(kv, "p/")
		expect := func(what string, n, asked int64) {
			t.Helper()
			if got, err := c.Before(t.Context(), 100); err != nil || got != n || kv.asked != asked {
				t.Errorf("C8.63: %s: %d, %v, asked %d times; want %d, asked %d times", what, got, err, kv.asked, n, asked)
			}
		}
		expect("first", 50, 1)
		expect("one more was created", 51, 1)
		time.Sleep(11 * time.Second)
		kv.n = 88 // others create as well
		expect("after a while", 88, 2)
		expect("far from the limit", 89, 2)
		kv.n = 95
		expect("near the limit", 95, 3)
		kv.n = 100
		expect("at the limit", 100, 4)
	})
}
