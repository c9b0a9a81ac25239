// SPDX-License-Identifier: Apache-2.0

package completion

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/deployment"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// server is a config server that hears of changes only when the test wants it.
type server struct {
	t       *testing.T
	kv      *clientv3.Client
	edges   *deployment.Index
	index   *Index
	latcher *Latcher
}

func newServer(t *testing.T) *server {
	s := &server{t: t, kv: etcdtest.Client(t), edges: deployment.New()}
	s.index = NewIndex(s.edges.Registered)
	s.latcher = &Latcher{KV: s.kv, Index: s.index, Log: slog.New(slog.DiscardHandler)}
	return s
}

// hear takes in everything that is in the store.
func (s *server) hear() {
	s.t.Helper()
	res, err := s.kv.Get(s.t.Context(), keys.EdgeFrom, clientv3.WithRange(keys.ConfigTo))
	if err != nil {
		s.t.Fatal(err)
	}
	slices.SortFunc(res.Kvs, func(a, b *mvccpb.KeyValue) int { return cmp.Compare(a.ModRevision, b.ModRevision) })
	b := mirror.Batch{Revision: res.Header.Revision, Reset: true}
	for _, pair := range res.Kvs {
		b.Events = append(b.Events, mirror.Event{Key: string(pair.Key), Value: pair.Value, ModRevision: pair.ModRevision})
	}
	s.edges.Apply(b, time.Now())
	s.index.Apply(b)
}

func (s *server) put(key string, m proto.Message) int64 {
	s.t.Helper()
	value, err := keys.Encode(m)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := s.kv.Put(s.t.Context(), key, string(value))
	if err != nil {
		s.t.Fatal(err)
	}
	return res.Header.Revision
}

func (s *server) register(id string) { s.put(keys.Edge(id), &edgev1.Edge{Pop: "AMS1"}) }

// report writes that an edge obeys invalidations up to obeyed. With applied below join
// it is joining.
func (s *server) report(id string, obeyed, join int64) {
	s.put(keys.EdgeStatus(id), &edgev1.EdgeStatus{
		AppliedRevision: max(obeyed, 1), AppliedInvalidationRevision: obeyed, JoinRevision: join, ReportTime: timestamppb.Now(),
	})
}

// invalidate writes an invalidation and returns its revision.
func (s *server) invalidate(id ID) int64 {
	s.t.Helper()
	tx := etcd.NewTx(s.kv)
	inv := &configv1.Invalidation{Paths: []string{"/a", "/b*"}, Tags: []string{"t"}}
	if err := records.Put(tx, keys.Invalidation(id.Distribution, id.Invalidation), records.Next(s.t.Context(), records.Version{}), inv); err != nil {
		s.t.Fatal(err)
	}
	revision, err := tx.Commit(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return revision
}

// latch tries to complete what is due, and returns the completion in the store.
func (s *server) latch(id ID) *storev1.Completion {
	s.t.Helper()
	due, _ := s.index.due()
	if err := s.latcher.all(s.t.Context(), due); err != nil {
		s.t.Fatal(err)
	}
	var done storev1.Completion
	_, found, err := records.Get(s.t.Context(), s.kv, keys.Completion(id.Distribution, id.Invalidation), &done)
	if err != nil {
		s.t.Fatal(err)
	}
	if !found {
		return nil
	}
	return &done
}

// TestLatchSeesEveryEdge: a server that is behind cannot complete an invalidation that
// an edge, live at that moment, has not acknowledged.
func TestLatchSeesEveryEdge(t *testing.T) {
	const far = 1 << 40 // a revision that is never reached: joining
	id := ID{"E1", "I1"}
	for _, tt := range []struct {
		name    string
		before  func(s *server)
		unseen  func(s *server, revision int64) // what the server has not heard of
		refused bool
	}{
		{"nothing new", nil, func(*server, int64) {}, false},
		{"a live edge reports again", nil, func(s *server, revision int64) { s.report("a", revision, 0) }, false},
		{"a live edge leaves", nil, func(s *server, _ int64) {
			if _, err := s.kv.Delete(s.t.Context(), keys.EdgeStatus("a")); err != nil {
				s.t.Fatal(err)
			}
		}, false},
		{"an edge comes", nil, func(s *server, _ int64) {
			s.register("new")
			s.report("new", 1, 0)
		}, true},
		{"an edge that reports already is registered", func(s *server) { s.report("new", 1, 0) }, func(s *server, _ int64) { s.register("new") }, true},
		{"an edge comes back", func(s *server) { s.register("gone") }, func(s *server, _ int64) { s.report("gone", 1, 0) }, true},
		{"an edge that was joining serves", func(s *server) {
			s.register("joining")
			s.report("joining", 1, far)
		}, func(s *server, _ int64) { s.report("joining", 1, 0) }, true},
		{"one of many edges that were joining serves", func(s *server) {
			for i := range outsiders + 1 {
				s.register(fmt.Sprintf("j%04d", i))
				s.report(fmt.Sprintf("j%04d", i), 1, far)
			}
		}, func(s *server, _ int64) { s.report(fmt.Sprintf("j%04d", outsiders), 1, 0) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.register("a")
			if tt.before != nil {
				tt.before(s)
			}
			revision := s.invalidate(id)
			s.report("a", revision, 0)
			s.hear()
			tt.unseen(s, revision)
			done := s.latch(id)
			if (done == nil) != tt.refused {
				t.Fatalf("completion %v, want refused %v", done, tt.refused)
			}
			if done != nil {
				if a := done.GetAcknowledgements(); len(a) != 1 || a[0].GetEdge() != "a" || a[0].GetPop() != "AMS1" || a[0].GetTime() == nil {
					t.Errorf("acknowledgements %v", a)
				}
				return
			}
			// It does not try again with what it knows, and waits once it knows better.
			if due, _ := s.index.due(); len(due) > 0 {
				t.Error("due without news")
			}
			s.hear()
			if due, _ := s.index.due(); len(due) > 0 {
				t.Error("due although an edge has not acknowledged")
			}
		})
	}
}

func TestLatchOfWhatIsGone(t *testing.T) {
	t.Parallel()
	s, id := newServer(t), ID{"E1", "I1"}
	s.invalidate(id)
	s.hear()
	if got := s.index.InProgress("E1"); got != (Load{1, 2, 1}) {
		t.Errorf("C2.171: in progress: %+v", got)
	}
	if _, err := s.kv.Delete(t.Context(), keys.Invalidation("E1", "I1")); err != nil {
		t.Fatal(err)
	}
	if done := s.latch(id); done != nil {
		t.Errorf("completed after its end: %v", done)
	}
	s.hear()
	if got := s.index.InProgress("E1"); got != (Load{}) || s.index.Look(id, 1).InProgress {
		t.Errorf("in progress after its end: %+v", got)
	}
}

// TestLatchOnce: of many servers one writes.
func TestLatchOnce(t *testing.T) {
	t.Parallel()
	s, id := newServer(t), ID{"E1", "I1"}
	s.register("a")
	revision := s.invalidate(id)
	s.report("a", revision, 0)
	s.hear()
	other := newServer(t)
	other.kv, other.latcher.KV = s.kv, s.kv
	other.hear()
	first := s.latch(id)
	if second := other.latch(id); first == nil || !proto.Equal(first, second) {
		t.Errorf("completions %v and %v", first, second)
	}
	s.hear()
	if v := s.index.Look(id, revision); v.InProgress || !v.Edges[0].Acknowledged {
		t.Errorf("after the completion: %+v", v)
	}
}
