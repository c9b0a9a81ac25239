// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// at is progress at a revision.
func at(revision, changes int64, edges int) Progress {
	s, _ := snapshot.Empty().Apply(revision, nil)
	return Progress{
		Snapshot: s, Since: time.Unix(1700000000, 0), Source: edgev1.EdgeStatus_SOURCE_ETCD, Changes: changes, Edges: edges, Registered: true,
	}
}

func TestPause(t *testing.T) {
	for _, tt := range []struct {
		name         string
		written, now Progress
		join         int64
		want         time.Duration
	}{
		{"nothing is loaded", Progress{}, Progress{Edges: 3}, 1, never},
		{"design 3.4: the first status goes at once", Progress{}, at(5, 1, 4000), 9, 0},
		{"nothing new", at(5, 1, 1), at(5, 1, 1), 1, never},
		{"design 3.4: a change waits for its share", at(5, 1, 100), at(6, 2, 100), 1, 250 * time.Millisecond},
		{"C8.68: a revision alone waits for 10 s", at(5, 1, 100), at(6, 1, 100), 1, 10 * time.Second},
		{"a revision alone, very many edges", at(5, 1, 1), at(6, 1, 8000), 1, 20 * time.Second},
		{"objects found dead wait for 5 s", at(5, 1, 1), func() Progress { p := at(5, 1, 1); p.Met = 1; return p }(), 1, 5 * time.Second},
		{"C8.72: the end of joining is news", at(5, 1, 4), at(7, 1, 4), 6, 10 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := pause(tt.written, tt.now, tt.join); got != tt.want {
				t.Errorf("pause = %v, want %v", got, tt.want)
			}
		})
	}
}

func reporter(c *clientv3.Client, id string) *Reporter {
	return New(Config{
		Etcd: c, ID: id, Pop: "AMS1", Addresses: []string{"192.0.2.1:80"}, Build: "test", Log: slog.New(slog.DiscardHandler),
	})
}

// run starts a Reporter and returns what stops it.
func run(t *testing.T, r *Reporter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// await reads the status until it is right.
func await(t *testing.T, c *clientv3.Client, id string, right func(s *edgev1.EdgeStatus, lease int64) bool) (out *edgev1.EdgeStatus, lease int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changes := c.Watch(ctx, keys.EdgeStatus(id))
	for {
		got, err := c.Get(ctx, keys.EdgeStatus(id))
		if err != nil {
			t.Fatal(err)
		}
		out, lease = nil, 0
		if len(got.Kvs) == 1 {
			out, lease = &edgev1.EdgeStatus{}, got.Kvs[0].Lease
			if err := keys.Decode(got.Kvs[0].Value, out); err != nil {
				t.Fatal(err)
			}
		}
		if right(out, lease) {
			return out, lease
		}
		if r, ok := <-changes; !ok {
			t.Fatalf("status does not come right: %v, %v", out, r.Err())
		}
	}
}

func TestIdentityAndStatus(t *testing.T) {
	c := etcdtest.Client(t)
	r := reporter(c, "edge 1")
	stop := run(t, r)
	r.Applied(at(7, 1, 1))
	got, _ := await(t, c, "edge 1", func(s *edgev1.EdgeStatus, _ int64) bool { return s != nil })
	want := &edgev1.EdgeStatus{
		Edge: "edges/edge 1", BootId: r.boot, AppliedRevision: 7, AppliedTime: got.AppliedTime,
		JoinRevision: got.JoinRevision, Source: edgev1.EdgeStatus_SOURCE_ETCD, Build: "test", ReportTime: got.ReportTime,
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("C8.39: status (-want +got):\n%s", diff)
	}
	if got.JoinRevision == 0 || !got.AppliedTime.AsTime().Equal(time.Unix(1700000000, 0)) {
		t.Errorf("C8.72: join revision %d, applied %v", got.JoinRevision, got.AppliedTime)
	}
	identity := read(t, c)
	r.Applied(at(8, 2, 1))
	await(t, c, "edge 1", func(s *edgev1.EdgeStatus, _ int64) bool { return s.GetAppliedRevision() == 8 })
	stop()
	await(t, c, "edge 1", func(s *edgev1.EdgeStatus, _ int64) bool { return s == nil })

	again := reporter(c, "edge 1")
	stop = run(t, again)
	again.Applied(at(9, 1, 1))
	next, _ := await(t, c, "edge 1", func(s *edgev1.EdgeStatus, _ int64) bool { return s != nil })
	if next.BootId == got.BootId {
		t.Error("a new run has the boot id of the last one")
	}
	if read(t, c) <= identity || next.GetJoinRevision() != read(t, c) {
		t.Errorf("C8.72: join revision %d is not that of the identity's new version %d", next.GetJoinRevision(), read(t, c))
	}
	stop()
}

// read checks the identity and returns its revision.
func read(t *testing.T, c *clientv3.Client) int64 {
	t.Helper()
	got, err := c.Get(t.Context(), keys.Edge("edge 1"))
	if err != nil || len(got.Kvs) != 1 {
		t.Fatalf("identity: %v, %v", got, err)
	}
	var e edgev1.Edge
	if err := keys.Decode(got.Kvs[0].Value, &e); err != nil {
		t.Fatal(err)
	}
	want := &edgev1.Edge{Name: "edges/edge 1", Pop: "AMS1", Addresses: []string{"192.0.2.1:80"}}
	if diff := cmp.Diff(want, &e, protocmp.Transform()); diff != "" || got.Kvs[0].Lease != 0 {
		t.Errorf("identity, lease %d (-want +got):\n%s", got.Kvs[0].Lease, diff)
	}
	return got.Kvs[0].ModRevision
}

func TestInvalidationsInStatus(t *testing.T) {
	r := New(Config{ID: "e1", Ended: func() []invalidation.Ended { return []invalidation.Ended{{Distribution: "D", ID: "I", Objects: 3}} }})
	p := at(9, 1, 1)
	p.Obeyed = 7
	s := r.status(p, 1, time.Now())
	if s.GetAppliedInvalidationRevision() != 7 || s.GetAppliedRevision() != 9 {
		t.Errorf("C8.71: %d of %d is obeyed", s.GetAppliedInvalidationRevision(), s.GetAppliedRevision())
	}
	if d := s.GetDead(); len(d) != 1 || d[0].GetInvalidation() != "distributions/D/invalidations/I" || d[0].GetObjects() != 3 {
		t.Errorf("counts %v", d)
	}
}

func TestRejectionsAreBounded(t *testing.T) {
	var bad []snapshot.Change
	for i := range 150 {
		bad = append(bad, snapshot.Change{Key: keys.Resource(keys.Origins, fmt.Sprintf("o%03d", i)), Value: []byte{0}, ModRevision: int64(i + 1)})
	}
	p := at(150, 1, 1)
	p.Snapshot, _ = snapshot.Empty().Apply(150, bad)
	s := reporter(nil, "e").status(p, 1, time.Now())
	if len(s.GetRejected()) != 100 || s.GetRejectedCount() != 150 {
		t.Fatalf("%d of %d rejections are named", len(s.GetRejected()), s.GetRejectedCount())
	}
	first := s.GetRejected()[0]
	if first.GetResource() != "origins/o000" || first.GetRevision() != 1 || first.GetReason() != snapshot.ReasonUnreadable || first.GetMessage() == "" {
		t.Errorf("C8.76: %v", first)
	}
}

func TestLostLeaseIsReplaced(t *testing.T) {
	c := etcdtest.Client(t)
	r := reporter(c, "e")
	r.Applied(at(3, 1, 1))
	stop := run(t, r)
	_, lease := await(t, c, "e", func(s *edgev1.EdgeStatus, _ int64) bool { return s != nil })
	if _, err := c.Revoke(t.Context(), clientv3.LeaseID(lease)); err != nil {
		t.Fatal(err)
	}
	r.Applied(at(4, 2, 1)) // finds the lease gone
	_, next := await(t, c, "e", func(s *edgev1.EdgeStatus, _ int64) bool { return s.GetAppliedRevision() == 4 })
	if next == lease {
		t.Error("the lost lease is used again")
	}
	stop()
}

// An edge whose registration is deleted while it runs, or that finds another data set,
// registers again, and is joining from there.
func TestRegistersAgain(t *testing.T) {
	c := etcdtest.Client(t)
	r := reporter(c, "e")
	named := func(epoch string, revision, changes int64) Progress {
		p := at(revision, changes, 1)
		p.Snapshot, _ = p.Snapshot.Apply(revision, []snapshot.Change{{Key: keys.Epoch, Value: []byte(epoch), ModRevision: revision}})
		return p
	}
	r.Applied(named("one", 1000, 1))
	stop := run(t, r)
	defer stop()
	first, _ := await(t, c, "e", func(s *edgev1.EdgeStatus, _ int64) bool { return s != nil })
	if _, err := c.Delete(t.Context(), keys.Edge("e")); err != nil {
		t.Fatal(err)
	}
	lost := named("one", 1001, 2)
	lost.Registered = false
	r.Applied(lost)
	registered := func() int64 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		changes := c.Watch(ctx, keys.Edge("e"))
		for {
			got, err := c.Get(ctx, keys.Edge("e"))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Kvs) == 1 && got.Kvs[0].CreateRevision > first.GetJoinRevision() {
				return got.Kvs[0].ModRevision
			}
			<-changes
		}
	}
	join := registered()
	r.Applied(named("one", 1002, 3))
	await(t, c, "e", func(s *edgev1.EdgeStatus, _ int64) bool {
		return s.GetAppliedRevision() == 1002 && s.GetJoinRevision() >= join
	})
	r.Applied(named("two", 50, 4)) // C8.88: a backup without raised revisions
	await(t, c, "e", func(s *edgev1.EdgeStatus, _ int64) bool {
		return s.GetEpoch() == "two" && s.GetAppliedRevision() == 50 && s.GetJoinRevision() > join
	})
}

// Two edges under one name overwrite each other's status: what config believes of the
// one is said by the other.
func TestOneNameForTwoIsTold(t *testing.T) {
	c := etcdtest.Client(t)
	var log bytes.Buffer
	first, second := reporter(c, "e"), reporter(c, "e")
	first.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	first.Applied(at(1, 1, 1))
	stopFirst := run(t, first)
	await(t, c, "e", func(s *edgev1.EdgeStatus, _ int64) bool { return s.GetBootId() == first.boot })
	first.Applied(at(2, 2, 1))
	await(t, c, "e", func(s *edgev1.EdgeStatus, _ int64) bool { return s.GetAppliedRevision() == 2 })
	second.Applied(at(3, 1, 1)) // as after a restart: nobody's fault yet
	stopSecond := run(t, second)
	await(t, c, "e", func(s *edgev1.EdgeStatus, _ int64) bool { return s.GetBootId() == second.boot })
	for i := range int64(2) {
		first.Applied(at(4+i, 3+i, 1))
		await(t, c, "e", func(s *edgev1.EdgeStatus, _ int64) bool { return s.GetAppliedRevision() == 4+i })
	}
	stopFirst()
	stopSecond()
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), second.boot) {
		t.Errorf("told %d times, want once, with the boot id of the other:\n%s", n, log.String())
	}
}

func TestWithoutEtcd(t *testing.T) {
	c, err := etcd.Dial([]string{"127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := reporter(c, "e")
	stop := run(t, r)
	for i := range int64(100) {
		r.Applied(at(i, i, 1)) // does not block
	}
	stop()
}

// memory is an etcd that has one lease and keeps every write of it with its time.
type memory struct {
	clientv3.KV
	clientv3.Lease
	writes []time.Duration
	began  time.Time
}

func (m *memory) Grant(context.Context, int64) (*clientv3.LeaseGrantResponse, error) {
	return &clientv3.LeaseGrantResponse{ID: 1}, nil
}

func (m *memory) Revoke(context.Context, clientv3.LeaseID) (*clientv3.LeaseRevokeResponse, error) {
	return nil, nil
}

func (m *memory) KeepAlive(context.Context, clientv3.LeaseID) (<-chan *clientv3.LeaseKeepAliveResponse, error) {
	return make(chan *clientv3.LeaseKeepAliveResponse), nil
}

func (m *memory) Put(_ context.Context, key, _ string, _ ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	if kind, _ := keys.Parse(key); kind == keys.KindEdgeStatus {
		m.writes = append(m.writes, time.Since(m.began))
	}
	return &clientv3.PutResponse{Header: &etcdserverpb.ResponseHeader{}}, nil
}

func TestPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{began: time.Now()}
		r := reporter(&clientv3.Client{KV: m, Lease: m}, "e")
		r.yield = func(int) time.Duration { return 0 }
		stop := run(t, r)
		time.Sleep(time.Second) // nothing is loaded
		for i := range int64(10) {
			r.Applied(at(i+1, i+1, 400)) // a change each 300 ms; 400 edges may write once a second each
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(time.Second)
		for i := range int64(6) { // beats
			r.Applied(at(i+20, 10, 400))
			time.Sleep(5 * time.Second)
		}
		stop()
		want := []time.Duration{1000, 2000, 3000, 4000, 14000, 24000, 34000}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if diff := cmp.Diff(want, m.writes); diff != "" {
			t.Errorf("design 3.4, C8.68: times of status writes (-want +got):\n%s", diff)
		}
	})
}

// A change wakes all edges at once; a stream of changes must not put the
// acknowledgement off for ever.
func TestAcknowledgementsGiveWayButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{began: time.Now()}
		r := reporter(&clientv3.Client{KV: m, Lease: m}, "e")
		stop := run(t, r)
		synctest.Wait()              // it is registered, and has nothing to tell: what it finds at its start is told at once
		for i := range int64(1000) { // one each millisecond, and 100 edges
			r.Applied(at(i+1, i+1, 100))
			time.Sleep(time.Millisecond)
		}
		stop()
		if len(m.writes) < 3 || len(m.writes) > 5 {
			t.Errorf("design 3.4: %d writes in a second, want about 4: %v", len(m.writes), m.writes)
		}
		if first := m.writes[0]; first < 10*time.Millisecond || first > 21*time.Millisecond {
			t.Errorf("first acknowledgement after %v, want 10 to 20 ms", first)
		}
	})
}
