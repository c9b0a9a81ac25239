// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

const (
	inProgress = configv1.Invalidation_STATE_IN_PROGRESS
	completed  = configv1.Invalidation_STATE_COMPLETED
)

// invalidate creates an invalidation.
func (r replica) invalidate(ctx context.Context, parent, reference string, paths ...string) (*configv1.Invalidation, error) {
	res, err := r.CreateInvalidation(ctx, &configv1.CreateInvalidationRequest{
		Parent: parent, Invalidation: &configv1.Invalidation{CallerReference: reference, Paths: paths},
	})
	return res.GetInvalidation(), err
}

func (r replica) mustInvalidate(t *testing.T, parent, reference string, paths ...string) *configv1.Invalidation {
	t.Helper()
	inv, err := r.invalidate(t.Context(), parent, reference, paths...)
	if err != nil {
		t.Fatalf("invalidate: %v", body(err))
	}
	return inv
}

func (r replica) getInvalidation(t *testing.T, name string) *configv1.Invalidation {
	t.Helper()
	res, err := r.GetInvalidation(t.Context(), &configv1.GetInvalidationRequest{Name: name})
	if err != nil {
		t.Fatalf("get: %v", body(err))
	}
	return res.GetInvalidation()
}

// wait returns the invalidation when it is completed, or as it is after timeout.
func (r replica) wait(t *testing.T, name string, timeout time.Duration) *configv1.Invalidation {
	t.Helper()
	res, err := r.WaitInvalidation(t.Context(), &configv1.WaitInvalidationRequest{Name: name, Timeout: durationpb.New(timeout)})
	if err != nil {
		t.Fatalf("wait: %v", body(err))
	}
	return res.GetInvalidation()
}

// join makes an edge live: registered, and obeying everything so far.
func join(t *testing.T, kv clientv3.KV, id string) {
	t.Helper()
	register(t, kv, id)
	obey(t, kv, id, now(t, kv))
}

// obey lets an edge report that it obeys invalidations up to revision.
func obey(t *testing.T, kv clientv3.KV, id string, revision int64, change ...func(*edgev1.EdgeStatus)) {
	t.Helper()
	report(t, kv, id, max(revision, now(t, kv)), append(change, func(s *edgev1.EdgeStatus) { s.AppliedInvalidationRevision = revision })...)
}

// leave ends the lease of an edge.
func leave(t *testing.T, kv clientv3.KV, id string) {
	t.Helper()
	if _, err := kv.Delete(t.Context(), keys.EdgeStatus(id)); err != nil {
		t.Fatal(err)
	}
}

// settle waits until the replica has taken in everything that is in the store.
func (r replica) settle(t *testing.T) {
	t.Helper()
	putOrigin(t, r.kv, "settle", httpEndpoint())
	probe := r.mustCreate(t, referring("settle-"+uuid.NewString(), "settle"))
	if got := r.get(t, probe.GetName()); got.GetDeployment().GetTargetRevision() == 0 {
		t.Fatalf("no deployment: %v", got)
	}
}

func names(acks []*configv1.InvalidationAck) string {
	var out []string
	for _, a := range acks {
		out = append(out, strings.TrimPrefix(a.GetEdge(), "edges/"))
	}
	return strings.Join(out, " ")
}

func list(edges []string) string { return strings.ReplaceAll(strings.Join(edges, " "), "edges/", "") }

// wantInvalidation compares state and edges: acknowledged, pending, unreached.
func wantInvalidation(t *testing.T, what string, inv *configv1.Invalidation, state configv1.Invalidation_State, acks, pending, unreached string) {
	t.Helper()
	got := []string{inv.GetState().String(), names(inv.GetAcks()), list(inv.GetPendingEdges()), list(inv.GetUnreachedEdges())}
	if diff := cmp.Diff([]string{state.String(), acks, pending, unreached}, got); diff != "" {
		t.Errorf("%s: state, acks, pending, unreached (-want +got):\n%s", what, diff)
	}
	if (inv.GetCompleteTime() != nil) != (inv.GetState() == completed) {
		t.Errorf("%s: complete_time %v", what, inv.GetCompleteTime())
	}
	for _, a := range inv.GetAcks() {
		if a.GetPop() != "AMS1" || a.GetTime() == nil || a.GetDelay() == nil {
			t.Errorf("%s: ack %v", what, a)
		}
	}
}

func TestInvalidationFields(t *testing.T) {
	t.Parallel()
	client := etcdtest.Client(t)
	r := serve(t, client)
	d := r.mustCreate(t, simple("one"))
	tagged := simple("two")
	tagged.Config.CacheTagHeader = "Cache-Tag"
	put(t, client, keys.Distributions, "ETAGGED", tagged)
	many := func(n int, form string) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf(form, i))
		}
		return out
	}
	for _, tt := range []struct {
		name        string
		parent      string
		paths, tags []string
		code        codes.Code
		reason      string
		field       string
		warnings    int
	}{
		{"C2.362: paths of all kinds", d.GetName(), []string{"/", "/*", "/images/image*", "/index.html?v=1", "/a%20b"}, nil, codes.OK, "", "", 0},
		{"C2.168: a literal star", d.GetName(), []string{"/images/*/x"}, nil, codes.OK, "", "", 1},
		{"C2.362: no slash", d.GetName(), []string{"/ok", "images/a.jpg"}, nil, codes.InvalidArgument, "INVALID_ARGUMENT", "invalidation.paths[1]", 0},
		{"C2.362: 3,001 paths", d.GetName(), many(3001, "/%d"), nil, codes.InvalidArgument, "BATCH_TOO_LARGE", "invalidation.paths", 0},
		{"C2.362: 16 wildcards", d.GetName(), many(16, "/%d*"), nil, codes.InvalidArgument, "TOO_MANY_INVALIDATIONS_IN_PROGRESS", "invalidation.paths", 0},
		{"C2.362: a tag without a header for it", d.GetName(), nil, []string{"prod-42"}, codes.InvalidArgument, "INVALID_ARGUMENT", "invalidation.tags", 0},
		{"C2.362: a tag", "distributions/ETAGGED", nil, []string{"prod-42"}, codes.OK, "", "", 0},
		{"C2.362: a comma", "distributions/ETAGGED", nil, []string{"a,b"}, codes.InvalidArgument, "INVALID_ARGUMENT", "invalidation.tags[0]", 0},
		{"C2.188: no such distribution", "distributions/ENONE", []string{"/"}, nil, codes.NotFound, "NO_SUCH_DISTRIBUTION", "", 0},
		{"C6.11: no distribution", "origins/x", []string{"/"}, nil, codes.InvalidArgument, "INVALID_ARGUMENT", "parent", 0},
	} {
		for _, dry := range []bool{true, false} { // C6.18: the same answer
			res, err := r.CreateInvalidation(t.Context(), &configv1.CreateInvalidationRequest{
				Parent: tt.parent, ValidateOnly: dry, Invalidation: &configv1.Invalidation{CallerReference: tt.name, Paths: tt.paths, Tags: tt.tags},
			})
			wantError(t, tt.name, err, tt.code, tt.reason)
			if tt.field != "" && !strings.Contains(body(err), "field "+tt.field+": "+tt.reason) {
				t.Errorf("%s: no violation at %s:\n%s", tt.name, tt.field, body(err))
			}
			if len(res.GetWarnings()) != tt.warnings || err == nil && (res.GetInvalidation().GetName() == "") != dry {
				t.Errorf("%s, validate_only %v: %v", tt.name, dry, res)
			}
		}
	}
	_, err := r.CreateInvalidation(t.Context(), &configv1.CreateInvalidationRequest{Parent: "x", RequestId: "y"})
	for _, field := range []string{"parent", "request_id", "invalidation"} {
		if !strings.Contains(body(err), "field "+field+": ") {
			t.Errorf("C2.2: no violation at %s:\n%s", field, body(err))
		}
	}
}

// TestInvalidationQuota: an edge that does not acknowledge lets the quota fill up.
func TestInvalidationQuota(t *testing.T) {
	t.Parallel()
	client := etcdtest.Client(t)
	r := start(t, config.Config{Etcd: client, Limits: config.Limits{InvalidationPaths: 10, InvalidationWildcards: 2}})
	r.await(t, healthpb.HealthCheckResponse_SERVING)
	d, other := r.mustCreate(t, simple("one")), r.mustCreate(t, simple("two"))
	join(t, client, "a")
	r.settle(t)
	r.mustInvalidate(t, d.GetName(), "1", "/1", "/2", "/3", "/4", "/5", "/6*")
	last := r.mustInvalidate(t, d.GetName(), "2", "/a*")
	_, err := r.invalidate(t.Context(), d.GetName(), "3", "/b*")
	wantError(t, "C4.55", err, codes.ResourceExhausted, "TOO_MANY_INVALIDATIONS_IN_PROGRESS")
	_, err = r.invalidate(t.Context(), d.GetName(), "3", "/1", "/2", "/3", "/4", "/5", "/6")
	wantError(t, "C4.54", err, codes.ResourceExhausted, "TOO_MANY_INVALIDATIONS_IN_PROGRESS")
	var retry, quota bool
	for _, detail := range status.Convert(err).Details() {
		switch d := detail.(type) {
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration() > 0
		case *errdetails.QuotaFailure:
			quota = len(d.GetViolations()) == 1
		}
	}
	if !retry || !quota {
		t.Errorf("C2.322: no RetryInfo or QuotaFailure in\n%s", body(err))
	}
	_, err = r.invalidate(t.Context(), d.GetName(), "4", "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9", "/10", "/11")
	wantError(t, "C2.295", err, codes.InvalidArgument, "BATCH_TOO_LARGE")
	r.mustInvalidate(t, d.GetName(), "3", "/1", "/2", "/3", "/4", "/5") // D25.17: separate, and not too many
	r.mustInvalidate(t, other.GetName(), "1", "/*")
	// C3.14: a repeated call is no new one.
	if again := r.mustInvalidate(t, d.GetName(), "2", "/a*"); again.GetName() != last.GetName() {
		t.Errorf("repeated: %s, want %s", again.GetName(), last.GetName())
	}
	obey(t, client, "a", now(t, client))
	r.wait(t, last.GetName(), time.Minute)
	r.settle(t)
	r.mustInvalidate(t, d.GetName(), "5", "/b*")
}

func TestInvalidationReplay(t *testing.T) {
	t.Parallel()
	client := etcdtest.Client(t)
	r := serve(t, client)
	d, other := r.mustCreate(t, simple("one")), r.mustCreate(t, simple("two"))
	first := r.mustInvalidate(t, d.GetName(), "ref", "/a", "/b*", "/~c")
	if again := r.mustInvalidate(t, d.GetName(), "ref", "/%7Ec", "/b*", "/a", "/a"); again.GetName() != first.GetName() || again.GetUid() != first.GetUid() {
		t.Errorf("C2.365: another order: %v, want %v", again, first)
	}
	_, err := r.invalidate(t.Context(), d.GetName(), "ref", "/a", "/b*")
	wantError(t, "C2.325: other paths", err, codes.AlreadyExists, "INVALIDATION_BATCH_ALREADY_EXISTS")
	if elsewhere := r.mustInvalidate(t, other.GetName(), "ref", "/a"); elsewhere.GetName() == first.GetName() {
		t.Error("C3.14: the scope of a reference is not its distribution")
	}
	// validate_only answers what the call would, and leaves nothing behind.
	before := now(t, client)
	res, err := r.CreateInvalidation(t.Context(), &configv1.CreateInvalidationRequest{
		Parent: d.GetName(), ValidateOnly: true, RequestId: uuid.NewString(),
		Invalidation: &configv1.Invalidation{CallerReference: "dry", Paths: []string{"/%41", "/A"}},
	})
	if err != nil || res.GetInvalidation().GetState() != inProgress || len(res.GetInvalidation().GetPaths()) != 1 || res.GetInvalidation().GetUid() != "" {
		t.Errorf("C6.18: %v, %v", res, err)
	}
	written, err := client.Get(t.Context(), keys.Root, clientv3.WithPrefix(), clientv3.WithMinModRev(before+1))
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range written.Kvs {
		if k := string(pair.Key); k != keys.Beat && !strings.HasPrefix(k, keys.CompletionsOf("")[:len(keys.CompletionsOf(""))-1]) {
			t.Errorf("C6.18: validate_only wrote %s", k)
		}
	}
	dry := &configv1.CreateInvalidationRequest{
		Parent: d.GetName(), ValidateOnly: true, Invalidation: &configv1.Invalidation{CallerReference: "ref", Paths: []string{"/x"}},
	}
	_, err = r.CreateInvalidation(t.Context(), dry)
	wantError(t, "C6.18: a reference that is taken", err, codes.AlreadyExists, "INVALIDATION_BATCH_ALREADY_EXISTS")
	// C3.17: an idempotency key.
	req := &configv1.CreateInvalidationRequest{
		Parent: d.GetName(), RequestId: uuid.NewString(), Invalidation: &configv1.Invalidation{CallerReference: "once", Paths: []string{"/q"}},
	}
	one, err1 := r.CreateInvalidation(t.Context(), req)
	two, err2 := r.CreateInvalidation(t.Context(), req)
	if err1 != nil || err2 != nil || one.GetInvalidation().GetName() != two.GetInvalidation().GetName() {
		t.Errorf("C3.17: %v, %v, %v, %v", one, err1, two, err2)
	}
	req.Invalidation.Paths = []string{"/r"}
	_, err = r.CreateInvalidation(t.Context(), req)
	wantError(t, "C3.17: another request", err, codes.InvalidArgument, "REQUEST_ID_REUSED")
}

// TestInvalidationLifecycle: C1.76, C8.71, and what an operator sees of edges.
func TestInvalidationLifecycle(t *testing.T) {
	t.Parallel()
	client := etcdtest.Client(t)
	r := serve(t, client)
	d := r.mustCreate(t, simple("one"))
	alone := r.wait(t, r.mustInvalidate(t, d.GetName(), "alone", "/*").GetName(), time.Minute)
	wantInvalidation(t, "C8.70: no edge is registered", alone, completed, "", "", "")

	join(t, client, "a")
	join(t, client, "b")
	register(t, client, "cut-off") // and never heard of
	r.settle(t)
	inv := r.mustInvalidate(t, d.GetName(), "first", "/a")
	if inv.GetRevision() == 0 || inv.GetUid() == "" || inv.GetCreateTime() == nil || inv.GetCallerReference() != "first" {
		t.Errorf("made: %v", inv)
	}
	wantInvalidation(t, "made", inv, inProgress, "", "a b", "cut-off")
	if n := r.get(t, d.GetName()).GetInvalidationsInProgress(); n != 1 {
		t.Errorf("C6.38: %d invalidations in progress, want 1", n)
	}
	obey(t, client, "a", inv.GetRevision())
	wantInvalidation(t, "one edge", r.until(t, inv.GetName(), "a"), inProgress, "a", "b", "cut-off")
	obey(t, client, "b", inv.GetRevision()-1) // serves newer configuration, and does not obey yet
	r.settle(t)
	wantInvalidation(t, "not yet", r.getInvalidation(t, inv.GetName()), inProgress, "a", "b", "cut-off")
	obey(t, client, "b", inv.GetRevision())
	inv = r.wait(t, inv.GetName(), time.Minute)
	wantInvalidation(t, "both", inv, completed, "a b", "", "cut-off")
	r.settle(t)
	if n := r.get(t, d.GetName()).GetInvalidationsInProgress(); n != 0 {
		t.Errorf("C6.38: %d invalidations in progress, want none", n)
	}

	// It stays completed, whatever edges do.
	join(t, client, "late")
	obey(t, client, "late", 1)
	obey(t, client, "a", 1)
	leave(t, client, "b")
	r.settle(t)
	wantInvalidation(t, "an edge joins, one loses its table, one leaves", r.getInvalidation(t, inv.GetName()), completed, "a b", "", "cut-off")
	obey(t, client, "cut-off", inv.GetRevision())
	wantInvalidation(t, "the edge that was cut off", r.until(t, inv.GetName(), "cut-off"), completed, "a b cut-off", "", "")

	// C8.70: with edges, none of them live, nothing is known.
	for _, id := range []string{"a", "late", "cut-off"} {
		leave(t, client, id)
	}
	r.settle(t)
	stuck := r.mustInvalidate(t, d.GetName(), "nobody", "/a")
	wantInvalidation(t, "no live edge", stuck, inProgress, "", "", "a b cut-off late")
	if got := r.wait(t, stuck.GetName(), 50*time.Millisecond); got.GetState() != inProgress {
		t.Errorf("C3.34: at the deadline: %v", got.GetState())
	}
	obey(t, client, "a", stuck.GetRevision())
	wantInvalidation(t, "the first that comes back", r.wait(t, stuck.GetName(), time.Minute), completed, "a", "", "b cut-off late")
}

// until follows an invalidation until an edge has acknowledged it.
func (r replica) until(t *testing.T, name, edge string) *configv1.Invalidation {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := r.WatchInvalidation(ctx, &configv1.WatchInvalidationRequest{Name: name, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	for {
		msg, err := stream.Recv()
		if err != nil {
			t.Fatalf("watch: %v", body(err))
		}
		for _, e := range msg.GetEdges() {
			if e.GetEdge() == "edges/"+edge && e.GetAcknowledged() {
				return r.getInvalidation(t, name)
			}
		}
	}
}

func TestWatchInvalidation(t *testing.T) {
	t.Parallel()
	client := etcdtest.Client(t)
	r := serve(t, client)
	d := r.mustCreate(t, simple("one"))
	join(t, client, "a")
	join(t, client, "b")
	r.settle(t)
	inv := r.mustInvalidate(t, d.GetName(), "first", "/a")
	stream, err := r.WatchInvalidation(t.Context(), &configv1.WatchInvalidationRequest{Name: inv.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	next := func() *configv1.WatchInvalidationResponse {
		t.Helper()
		msg, err := stream.Recv()
		if err != nil {
			t.Fatalf("watch: %v", body(err))
		}
		return msg
	}
	msg := next()
	if len(msg.GetEdges()) != 2 || msg.GetEdges()[0].GetEdgeState() != commonv1.EdgeState_EDGE_STATE_SERVING || len(msg.GetInvalidation().GetPaths()) != 1 {
		t.Errorf("first message: %v", msg)
	}
	obey(t, client, "b", inv.GetRevision())
	msg = next()
	if e := msg.GetEdges(); len(e) != 1 || e[0].GetEdge() != "edges/b" || !e[0].GetAcknowledged() || e[0].GetTime() == nil || e[0].GetDelay() == nil || len(msg.GetInvalidation().GetPaths()) != 0 {
		t.Errorf("second message: %v", msg)
	}
	obey(t, client, "a", inv.GetRevision())
	msg = next()
	if e := msg.GetEdges(); len(e) != 1 || e[0].GetEdge() != "edges/a" || !e[0].GetAcknowledged() {
		t.Errorf("third message: %v", msg)
	}
	for msg.GetInvalidation().GetState() != completed {
		msg = next()
	}
	wantInvalidation(t, "last message", msg.GetInvalidation(), completed, "a b", "", "")
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last message: %v", err)
	}

	// Followed, it goes on: objects are found dead, in this run of an edge and the next.
	follow, err := r.WatchInvalidation(t.Context(), &configv1.WatchInvalidationRequest{Name: inv.GetName(), Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	dead := func(boot string, n int64) func(*edgev1.EdgeStatus) {
		return func(s *edgev1.EdgeStatus) {
			s.BootId, s.Dead = boot, []*edgev1.DeadCount{{Invalidation: inv.GetName(), Objects: n}}
		}
	}
	obey(t, client, "a", inv.GetRevision(), dead("1", 3))
	obey(t, client, "b", inv.GetRevision(), dead("1", 1))
	obey(t, client, "a", inv.GetRevision(), dead("1", 5))
	obey(t, client, "a", inv.GetRevision(), dead("2", 2))
	for got := int64(0); got < 8; {
		msg, err := follow.Recv()
		if err != nil {
			t.Fatalf("follow: %v", body(err))
		}
		if n := msg.GetInvalidation().GetObjectsFoundDead(); n < got || n > 8 {
			t.Fatalf("%d objects found dead after %d, want 8 in the end", n, got)
		} else {
			got = n
		}
	}
	_, err = r.GetInvalidation(t.Context(), &configv1.GetInvalidationRequest{Name: d.GetName() + "/invalidations/INONE"})
	wantError(t, "C2.189", err, codes.NotFound, "NO_SUCH_INVALIDATION")
}

// TestInvalidationsInProgress: C6.38: a distribution says how many there are.
func TestInvalidationsInProgress(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	register(t, kv, "a") // an edge that acknowledges nothing
	d := r.mustCreate(t, simple("ref"))
	other := r.mustCreate(t, simple("ref-2"))
	for i := range 2 {
		r.mustInvalidate(t, d.GetName(), fmt.Sprint("inv-", i), "/*")
	}
	for name, want := range map[string]int32{d.GetName(): 2, other.GetName(): 0} {
		if got := r.get(t, name).GetInvalidationsInProgress(); got != want {
			t.Errorf("C6.38: %s has %d in progress, want %d", name, got, want)
		}
	}
}
