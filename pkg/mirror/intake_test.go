// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func response(revision int64) clientv3.WatchResponse {
	return clientv3.WatchResponse{Events: []*clientv3.Event{{
		Type: clientv3.EventTypePut, Kv: &mvccpb.KeyValue{Key: []byte("k"), Value: []byte("v"), ModRevision: revision},
	}}}
}

// TestWhatComesDuringAnApply: what the watch says while an apply takes long is applied
// after it, whether or not the watch says more.
func TestWhatComesDuringAnApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := usual()
		responses := make(chan clientv3.WatchResponse)
		in := newIntake(responses, l)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = in.guard(ctx) }()
		take := func(want int64) {
			t.Helper()
			if err := in.next(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, revision := in.queue.take(); revision != want {
				t.Errorf("C8.17: took revision %d, want %d", revision, want)
			}
		}
		for i := int64(1); i < 20; i += 2 {
			go func() { responses <- response(i) }()
			take(i)
			in.relieve()
			go func() { responses <- response(i + 1) }()
			if i%4 == 1 { // every other apply takes long
				time.Sleep(3 * l.patience)
			}
			in.resume()
			take(i + 1)
		}
		in.relieve()
		time.Sleep(3 * l.patience)
		close(responses)
		synctest.Wait()
		in.resume()
		if err := in.next(t.Context()); !errors.Is(err, errClosed) {
			t.Errorf("after the watch has ended during an apply: %v", err)
		}
	})
}

// TestManySlowApplies: although none takes as long as the guard is patient, what comes
// faster than they end does not pile up.
func TestManySlowApplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := usual()
		responses := make(chan clientv3.WatchResponse)
		in := newIntake(responses, l)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = in.guard(ctx) }()
		const changes = 100
		go func() {
			for i := range int64(changes) {
				responses <- response(i + 1)
			}
		}()
		batches := 0
		for revision := int64(0); revision < changes; batches++ {
			if err := in.next(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, revision = in.queue.take()
			in.relieve()
			time.Sleep(l.patience / 3)
			in.resume()
		}
		if batches > 10 {
			t.Errorf("C8.17: %d batches, want most changes in one", batches)
		}
	})
}
