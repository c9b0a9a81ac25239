// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"iter"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/etcd"
)

// patience ends a test that waits for what does not come.
const patience = time.Minute

// replica is the copy that a test keeps. It holds Run to its promises.
type replica struct {
	t      testing.TB
	config Config
	limits limits
	before func(Batch) // called with each batch, before it is applied; may block
	check  func(revision int64, data map[string]string)

	mu      sync.Mutex // guards the rest
	changed chan struct{}
	at      Point
	data    map[string]string
	batches []Batch
	told    []bool // by Connected
	failed  []error
}

func newReplica(t testing.TB) *replica {
	r := &replica{t: t, limits: usual(), changed: make(chan struct{}), data: map[string]string{}}
	r.config = Config{From: "r/", To: "r0", EpochKey: "r/settings/epoch", Keys: r.keys}
	r.config.Connected = func(now bool) { r.update(func() { r.told = append(r.told, now) }) }
	r.config.Failed = func(err error) { r.update(func() { r.failed = append(r.failed, err) }) }
	return r
}

// update changes the replica and wakes who waits.
func (r *replica) update(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *replica) keys() iter.Seq[string] { return maps.Keys(r.data) }

// start copies until stop is called or the test ends.
func (r *replica) start(client *clientv3.Client) (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	config := r.config
	config.Start = r.at
	c := &copier{client: client, config: config, limits: r.limits, apply: r.apply, at: config.Start}
	var run sync.WaitGroup
	run.Go(func() {
		if err := c.run(ctx); err != nil {
			r.t.Error(err)
		}
	})
	stop = func() {
		cancel()
		run.Wait()
	}
	r.t.Cleanup(stop)
	return stop
}

func (r *replica) apply(b Batch) {
	if r.before != nil {
		r.before(b)
	}
	r.update(func() {
		r.promises(b)
		if b.Reset {
			r.data = map[string]string{}
		}
		for _, e := range b.Events {
			if e.Deleted {
				delete(r.data, e.Key)
			} else {
				r.data[e.Key] = string(e.Value)
			}
		}
		r.at = Point{b.Revision, b.Epoch}
		r.batches = append(r.batches, b)
		if r.check != nil {
			r.check(b.Revision, r.data)
		}
	})
}

// promises checks what the package says of every batch.
func (r *replica) promises(b Batch) {
	if !b.Reset && b.Revision < r.at.Revision || b.Live && b.Revision == r.at.Revision {
		r.t.Errorf("revision %d came after %d", b.Revision, r.at.Revision)
	}
	if b.Reset && b.Live {
		r.t.Error("a reset came from a watch")
	}
	seen, last := map[string]bool{}, int64(0)
	for _, e := range b.Events {
		if e.Key < r.config.From || e.Key >= r.config.To {
			r.t.Errorf("%q is out of range", e.Key)
		}
		if seen[e.Key] || e.ModRevision < last || e.ModRevision > b.Revision {
			r.t.Errorf("%q at revision %d is twice in the batch of revision %d, or out of order", e.Key, e.ModRevision, b.Revision)
		}
		if !b.Reset && e.ModRevision <= r.at.Revision && r.at.Revision > 0 {
			r.t.Errorf("%q at revision %d was there at revision %d already", e.Key, e.ModRevision, r.at.Revision)
		}
		seen[e.Key], last = true, e.ModRevision
	}
}

// await waits until ok.
func (r *replica) await(what string, ok func() bool) {
	r.t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		done, changed := ok(), r.changed
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-late:
			r.t.Fatalf("never: %s", what)
		}
	}
}

// reach waits until the copy is complete up to a revision.
func (r *replica) reach(revision int64) {
	r.t.Helper()
	r.await("revision", func() bool { return r.at.Revision >= revision })
}

// equal compares the copy with etcd. It writes a key in the range, so that there is
// a revision which the copy has to reach.
func (r *replica) equal(client *clientv3.Client) {
	r.t.Helper()
	r.reach(write(r.t, client, "r/equal", "x"))
	data, _ := stored(r.t, client, r.config.From, r.config.To)
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff(data, r.data); diff != "" {
		r.t.Errorf("copy at %d (-etcd +copy):\n%s", r.at.Revision, diff)
	}
}

func (r *replica) count(is func(Batch) bool) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.batches {
		if is(b) {
			n++
		}
	}
	return n
}

func isReset(b Batch) bool { return b.Reset }
func isList(b Batch) bool  { return !b.Live }

// retry repeats f while etcd is away.
func retry(t testing.TB, f func() error) {
	t.Helper()
	for err := f(); err != nil; err = f() {
		if !etcd.Unavailable(err) {
			t.Fatal(err)
		}
	}
}

func write(t testing.TB, client *clientv3.Client, key, value string) (revision int64) {
	t.Helper()
	retry(t, func() error {
		res, err := client.Put(t.Context(), key, value)
		if err == nil {
			revision = res.Header.Revision
		}
		return err
	})
	return revision
}

func remove(t testing.TB, client *clientv3.Client, key string) (revision int64) {
	t.Helper()
	retry(t, func() error {
		res, err := client.Delete(t.Context(), key)
		if err == nil {
			revision = res.Header.Revision
		}
		return err
	})
	return revision
}

func stored(t testing.TB, client *clientv3.Client, from, to string) (data map[string]string, revision int64) {
	t.Helper()
	retry(t, func() error {
		res, err := client.Get(t.Context(), from, clientv3.WithRange(to))
		if err != nil {
			return err
		}
		data, revision = map[string]string{}, res.Header.Revision
		for _, kv := range res.Kvs {
			data[string(kv.Key)] = string(kv.Value)
		}
		return nil
	})
	return data, revision
}
