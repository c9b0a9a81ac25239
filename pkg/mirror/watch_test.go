// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/embedded"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
)

// connected starts a replica and waits for its watch.
func connected(t *testing.T, r *replica, client *clientv3.Client) {
	t.Helper()
	r.start(client)
	r.await("connected", func() bool { return len(r.told) > 0 && r.told[len(r.told)-1] })
}

func TestLive(t *testing.T) {
	client := etcdtest.Client(t)
	r := newReplica(t)
	write(t, client, "r/settings/epoch", "one")
	connected(t, r, client)
	first := write(t, client, "r/a", "1")
	r.reach(first)
	if b := r.batches[len(r.batches)-1]; !b.Live || b.Epoch != "one" || b.Revision != first || len(b.Events) != 1 || b.Events[0].ModRevision != first {
		t.Errorf("batch %+v", b)
	}
	gone := remove(t, client, "r/a")
	r.reach(gone)
	if b := r.batches[len(r.batches)-1]; len(b.Events) != 1 || !b.Events[0].Deleted || b.Events[0].ModRevision != gone || b.Events[0].Value != nil {
		t.Errorf("batch %+v", b)
	}
	r.equal(client)
}

func TestRevisionsAreWhole(t *testing.T) {
	client := etcdtest.Client(t)
	r := newReplica(t)
	r.check = func(revision int64, data map[string]string) {
		if data["r/a"] != data["r/b"] {
			t.Errorf("C9.47: at revision %d a = %q, b = %q", revision, data["r/a"], data["r/b"])
		}
	}
	connected(t, r, client)
	large := make([]byte, 300<<10) // so that etcd sends fragments
	for i := range 20 {
		tx := etcd.NewTx(client)
		tx.Put("r/a", []byte(fmt.Sprint(i)))
		for k := range 4 {
			tx.Put(fmt.Sprintf("r/large/%d", k), large)
		}
		tx.Put("r/b", []byte(fmt.Sprint(i)))
		if _, err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.equal(client)
}

func TestEpochChangesLive(t *testing.T) {
	client := etcdtest.Client(t)
	fill(t, client, 10, "v")
	write(t, client, "r/settings/epoch", "one")
	r := newReplica(t)
	connected(t, r, client)
	tx := etcd.NewTx(client)
	tx.Put("r/settings/epoch", []byte("two"))
	tx.Delete("r/00001")
	tx.Put("r/new", []byte("v"))
	revision, err := tx.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.reach(revision)
	if n := r.count(isReset); n != 1 || r.at.Epoch != "two" {
		t.Errorf("C8.88: %d resets, epoch %q", n, r.at.Epoch)
	}
	r.equal(client)
	if slices.Contains(r.told, false) {
		t.Errorf("told %v", r.told)
	}
}

func TestMemberGoesAway(t *testing.T) {
	m := etcdtest.Start(t)
	client := m.Client(t)
	fill(t, client, 10, "v")
	r := newReplica(t)
	connected(t, r, client)
	for round := range 3 {
		m.Stop()
		r.await("C9.48: the loss is noticed", func() bool { return !r.told[len(r.told)-1] })
		lists := r.count(isList)
		m.Restart(t)
		r.await("connected again", func() bool { return r.told[len(r.told)-1] })
		if r.count(isList) == lists {
			t.Error("C8.83: connected without a list")
		}
		write(t, client, "r/00001", fmt.Sprint(round))
		r.equal(client)
	}
	m.Cut()
	r.await("C8.83: a cut is noticed", func() bool { return len(r.told) == 9 })
	r.equal(client)
	if n := r.count(isReset); n > 0 {
		t.Errorf("%d resets", n)
	}
	if len(r.failed) == 0 || !errors.Is(r.failed[0], errConnection) {
		t.Errorf("failures %v", r.failed)
	}
}

func TestStoreIsSetBack(t *testing.T) {
	m := etcdtest.Start(t)
	client := m.Client(t)
	fill(t, client, 100, "v")
	for i := range 20 {
		write(t, client, "r/a", fmt.Sprint(i))
	}
	r := newReplica(t)
	connected(t, r, client)
	m.Replace(t)
	write(t, client, "r/b", "other")
	r.await("C8.88: a reset", func() bool { return len(r.data) == 1 && r.data["r/b"] == "other" })
	r.equal(client)
	if n := r.count(isReset); n != 1 {
		t.Errorf("%d resets", n)
	}
}

func TestEtcdComesLate(t *testing.T) {
	m := etcdtest.Start(t)
	client := m.Client(t)
	write(t, client, "r/a", "1")
	m.Stop()
	r := newReplica(t)
	r.start(client)
	r.await("a failure", func() bool { return len(r.failed) > 0 })
	m.Restart(t)
	r.equal(client)
	r.await("connected", func() bool { return len(r.told) > 0 })
	if !etcd.Unavailable(r.failed[0]) || r.told[0] != true {
		t.Errorf("failed %v, told %v", r.failed, r.told)
	}
}

func TestNobodyAnswers(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0") // connects, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	client, err := etcd.Dial([]string{mute.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	r := newReplica(t)
	r.limits.request = time.Millisecond
	stop := r.start(client)
	r.await("two failures", func() bool { return len(r.failed) >= 2 })
	stop()
}

func TestSilence(t *testing.T) {
	client := etcdtest.Client(t)
	write(t, client, "r/a", "1")
	r := newReplica(t)
	r.limits.silence = time.Millisecond
	connected(t, r, client)
	r.await("C8.83: lists", func() bool { return len(r.batches) > 3 })
	write(t, client, "r/a", "2")
	r.equal(client)
	if slices.Contains(r.told, false) || len(r.failed) > 0 {
		t.Errorf("told %v, failed %v", r.told, r.failed)
	}
}

func TestProgress(t *testing.T) {
	client := etcdtest.Client(t)
	r := newReplica(t)
	connected(t, r, client)
	outside := write(t, client, "c/outside", "1")
	asked := clientv3.WithRequireLeader(t.Context())         // of the stream that the watch is on
	for tick := time.Tick(10 * time.Millisecond); ; <-tick { // etcd may not answer while it catches up
		if err := client.RequestProgress(asked); err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		done := r.at.Revision >= outside
		r.mu.Unlock()
		if done {
			break
		}
	}
	if n := r.count(func(b Batch) bool { return len(b.Events) > 0 || !b.Live }); n != 1 { // the first
		t.Errorf("batches %+v", r.batches)
	}
}

func TestSlowApply(t *testing.T) {
	for _, tt := range []struct {
		name    string
		pending int
		live    bool
	}{
		{"C8.17: what waits becomes one batch", usual().pending, true},
		{"C8.17: too much waits, so a list takes its place", 2000, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := etcdtest.Client(t)
			r := newReplica(t)
			r.limits.pending, r.limits.patience = tt.pending, time.Millisecond
			entered, leave := make(chan struct{}, 1), make(chan struct{})
			r.before = func(b Batch) {
				if len(b.Events) > 0 && b.Events[0].Key == "r/stuck" {
					entered <- struct{}{}
					<-leave
				}
			}
			connected(t, r, client)
			write(t, client, "r/stuck", "x")
			<-entered
			var last int64
			for i := range 300 {
				last = write(t, client, fmt.Sprintf("r/%d", i%10), fmt.Sprint(i))
			}
			remove(t, client, "r/3")
			// A second watch of the same stream has got all of it, so the first has, too.
			seen := client.Watch(clientv3.WithRequireLeader(t.Context()), "r/3", clientv3.WithRev(last))
			<-seen
			close(leave)
			r.equal(client)
			if lists := r.count(isList); (lists == 1) != tt.live {
				t.Errorf("%d lists", lists)
			}
			if n := len(r.batches); n > 10 {
				t.Errorf("%d batches", n)
			}
			if slices.Contains(r.told, false) {
				t.Errorf("told %v", r.told)
			}
		})
	}
}

func TestEnds(t *testing.T) {
	client := etcdtest.Client(t)
	for _, tt := range []struct{ from, to string }{{"", "r/"}, {"r/", "r/"}, {"r/", ""}, {"s/", "r/"}} {
		if err := Run(t.Context(), client, Config{From: tt.from, To: tt.to}, nil); err == nil {
			t.Errorf("no error for keys from %q to %q", tt.from, tt.to)
		}
	}
	ended := make(chan error)
	go func() {
		ended <- Run(t.Context(), client, Config{From: "r/", To: "r0"}, func(Batch) { _ = client.Close() })
	}()
	if err := <-ended; err == nil {
		t.Error("no error after the client was closed")
	}
}

func TestInProcess(t *testing.T) {
	server, err := embedded.Start(t.Context(), embedded.Config{
		Dir: filepath.Join(t.TempDir(), "etcd"), ClientAddr: "127.0.0.1:0", PeerAddr: "127.0.0.1:0", Volatile: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client := server.Client()
	defer func() { _ = client.Close() }()
	fill(t, client, 300, "v")
	r := newReplica(t)
	stop := r.start(client)
	defer stop()
	r.await("connected", func() bool { return len(r.told) > 0 })
	remove(t, client, "r/00001")
	r.equal(client)
}
