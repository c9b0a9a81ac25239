// SPDX-License-Identifier: Apache-2.0

package deployment

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	joining  = commonv1.EdgeState_EDGE_STATE_JOINING
	serving  = commonv1.EdgeState_EDGE_STATE_SERVING
	lagging  = commonv1.EdgeState_EDGE_STATE_LAGGING
	gone     = commonv1.EdgeState_EDGE_STATE_GONE
	custom   = "11111111-2222-4333-8444-555555555555"
	caching  = "658327ea-f89d-4fab-a63d-7e88639e58f6" // managed
	epochOne = "epoch-1"
)

// world drives an index as etcd would, one revision after the other.
type world struct {
	t        *testing.T
	index    *Index
	revision int64
	epoch    string
	now      time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, index: New(), revision: 100, epoch: epochOne, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	w.list()
	return w
}

// list is the first step of a mirror.
func (w *world) list(events ...mirror.Event) {
	w.index.Apply(mirror.Batch{Revision: w.revision, Epoch: w.epoch, Reset: true, Events: events}, w.now)
}

// put writes one key and returns the revision.
func (w *world) put(key string, value []byte) int64 {
	w.revision++
	w.index.Apply(mirror.Batch{Revision: w.revision, Epoch: w.epoch, Live: true, Events: []mirror.Event{{Key: key, Value: value, ModRevision: w.revision}}}, w.now)
	return w.revision
}

func (w *world) remove(key string) {
	w.revision++
	w.index.Apply(mirror.Batch{Revision: w.revision, Epoch: w.epoch, Live: true, Events: []mirror.Event{{Key: key, ModRevision: w.revision, Deleted: true}}}, w.now)
}

// pass lets time go by while etcd is heard.
func (w *world) pass(d time.Duration) {
	for ; d > 0; d -= 5 * time.Second {
		w.silence(min(d, 5*time.Second))
		w.index.Apply(mirror.Batch{Revision: w.revision, Epoch: w.epoch, Live: true}, w.now)
	}
}

// silence lets time go by without a word from etcd.
func (w *world) silence(d time.Duration) {
	for ; d > 0; d -= time.Second {
		w.now = w.now.Add(min(d, time.Second))
		w.index.Tick(w.now)
	}
}

func record(t *testing.T, m proto.Message) []byte {
	t.Helper()
	resource, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return encode(t, &storev1.Record{WriteId: 1, Generation: 1, Resource: resource})
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := keys.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (w *world) distribution(id string, policy string, origins ...string) int64 {
	d := &configv1.Distribution{
		Name: keys.Distributions.Name(id), UpdateTime: timestamppb.New(w.now),
		Config: &configv1.DistributionConfig{DefaultCacheBehavior: &configv1.CacheBehavior{
			Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: keys.CachePolicies.Name(policy)},
		}},
	}
	for _, o := range origins {
		d.Config.Origins = append(d.Config.Origins, &configv1.Origin{Id: o, Source: &configv1.Origin_OriginRef{OriginRef: keys.Origins.Name(o)}})
	}
	return w.put(keys.Resource(keys.Distributions, id), record(w.t, d))
}

func (w *world) origin(id string) int64 {
	return w.put(keys.Resource(keys.Origins, id), record(w.t, &originv1.Origin{Name: keys.Origins.Name(id), UpdateTime: timestamppb.New(w.now)}))
}

func (w *world) policy(id string) int64 {
	return w.put(keys.Resource(keys.CachePolicies, id), record(w.t, &configv1.CachePolicy{Uid: id, UpdateTime: timestamppb.New(w.now)}))
}

func (w *world) register(id string) {
	w.put(keys.Edge(id), encode(w.t, &edgev1.Edge{Name: keys.Edges.Name(id), Pop: "AMS1"}))
}

// report writes an edge's status; change edits it first.
func (w *world) report(id string, applied int64, change ...func(*edgev1.EdgeStatus)) {
	s := &edgev1.EdgeStatus{
		Edge: keys.Edges.Name(id), Epoch: w.epoch, BootId: "boot-1", AppliedRevision: applied, AppliedTime: timestamppb.New(w.now),
		JoinRevision: 100, Source: edgev1.EdgeStatus_SOURCE_ETCD,
	}
	for _, c := range change {
		c(s)
	}
	w.put(keys.EdgeStatus(id), encode(w.t, s))
}

func (w *world) states() map[string]commonv1.EdgeState {
	out := map[string]commonv1.EdgeState{}
	for _, p := range w.index.look(Question{ID: "E1"}).edges {
		out[p.GetEdge()] = p.GetEdgeState()
	}
	return out
}

func (w *world) wantStates(want map[string]commonv1.EdgeState) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.states()); diff != "" {
		w.t.Errorf("edge states (-want +got):\n%s", diff)
	}
}

func (w *world) wantDeployment(id string, want *commonv1.Deployment) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.index.Of(Question{ID: id}).Deployment, protocmp.Transform()); diff != "" {
		w.t.Errorf("deployment of %s (-want +got):\n%s", id, diff)
	}
}

func (w *world) wantCondition(id string, status commonv1.Condition_Status, reason string) {
	w.t.Helper()
	if c := w.index.Of(Question{ID: id}).Converged; c.GetStatus() != status || c.GetReason() != reason || c.GetType() != "EdgesConverged" || c.GetMessage() == "" {
		w.t.Errorf("condition of %s: %v, want %v %s", id, c, status, reason)
	}
}

const (
	isTrue    = commonv1.Condition_STATUS_TRUE
	isFalse   = commonv1.Condition_STATUS_FALSE
	isUnknown = commonv1.Condition_STATUS_UNKNOWN
	inWork    = commonv1.Deployment_STATE_IN_PROGRESS
	deployed  = commonv1.Deployment_STATE_DEPLOYED
)
