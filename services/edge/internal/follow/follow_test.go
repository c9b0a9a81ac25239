// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/mirror"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/lastgood"
	"github.com/seafront-cdn/seafront/services/edge/internal/report"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// origin is a stored origin that connects to host.
func origin(t testing.TB, host string) []byte {
	return value(t, &originv1.Origin{Endpoint: &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{
		Http: &originv1.HttpEndpoint{Host: host, ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY},
	}}})
}

// broken is an origin of a later release: its enum number is unknown here.
func broken(t testing.TB) []byte {
	return value(t, &originv1.Origin{Endpoint: &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{
		Http: &originv1.HttpEndpoint{Host: "new.test", ProtocolPolicy: 77},
	}}})
}

func value(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	v, err := keys.Encode(&storev1.Record{WriteId: 1, Traceparent: traceparent, Resource: b})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func put(t testing.TB, c *clientv3.Client, key string, value []byte) int64 {
	t.Helper()
	res, err := c.Put(t.Context(), key, string(value))
	if err != nil {
		t.Fatal(err)
	}
	return res.Header.Revision
}

// peer is who is told by a Follower. It checks the order and hands everything on.
type peer struct {
	t        *testing.T
	current  func() *snapshot.Snapshot
	progress chan report.Progress
	steps    chan lastgood.Step
	told     int64 // the last revision acknowledged
}

func (p *peer) Applied(x report.Progress) {
	if p.current != nil && p.current() != x.Snapshot {
		p.t.Error("acknowledged before it is served")
	}
	p.told = x.Snapshot.Revision
	p.progress <- x
}

func (p *peer) Keep(s lastgood.Step) {
	if p.told != s.Point.Revision {
		p.t.Error("persisted before it is acknowledged")
	}
	p.steps <- s
}

// until waits for progress up to a revision.
func (p *peer) until(revision int64) report.Progress {
	p.t.Helper()
	for {
		select {
		case x := <-p.progress:
			if x.Snapshot.Revision >= revision {
				return x
			}
		case <-time.After(time.Minute):
			p.t.Fatalf("revision %d is not reached", revision)
		}
	}
}

// kept is the content that all steps so far have left on a disk.
func (p *peer) kept() lastgood.Content {
	dir := p.t.TempDir()
	s, _, _, err := lastgood.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		p.t.Fatal(err)
	}
	for len(p.steps) > 0 {
		s.Keep(<-p.steps)
	}
	ended, cancel := context.WithCancel(p.t.Context())
	cancel()
	if err := s.Run(ended); err != nil {
		p.t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		p.t.Fatal(err)
	}
	s, c, refused, err := lastgood.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil || refused != "" {
		p.t.Fatal(err, refused)
	}
	if err := s.Close(); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// start makes a Follower and its peer; run runs it until the test or stop ends it.
func start(t *testing.T, c *clientv3.Client, kept lastgood.Content, change ...func(*Config)) (*Follower, *peer) {
	t.Helper()
	ended := invalidation.New(kept.Era, kept.Floor)
	p := &peer{t: t, progress: make(chan report.Progress, 1000), steps: make(chan lastgood.Step, 1000)}
	cfg := Config{
		Etcd: c, Edge: "e1", Pop: "AMS1", Report: p, Keep: p, Invalidations: ended, Log: slog.New(slog.DiscardHandler),
		Tracer: sdktrace.NewTracerProvider(), Meter: metricnoop.NewMeterProvider(),
	}
	for _, f := range change {
		f(&cfg)
	}
	f, err := New(cfg, kept)
	if err != nil {
		t.Fatal(err)
	}
	p.current = f.Current
	return f, p
}

func run(t *testing.T, f *Follower) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stopped := false
	stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// counts is how many origins are in service.
func counts(s *snapshot.Snapshot) int { return s.Counts()[keys.Origins] }

var (
	keyA = keys.Resource(keys.Origins, "a")
	keyB = keys.Resource(keys.Origins, "b")
)

func TestWriteComesIntoService(t *testing.T) {
	c := etcdtest.Client(t)
	put(t, c, keyA, origin(t, "a.test"))
	f, p := start(t, c, lastgood.Content{})
	if f.Status().Loaded {
		t.Error("something is loaded before etcd was asked")
	}
	run(t, f)
	first := p.until(1)
	if counts(first.Snapshot) != 1 || first.Source != edgev1.EdgeStatus_SOURCE_ETCD || first.Edges != 0 {
		t.Errorf("after the list: %d origins from %v, %d edges", counts(first.Snapshot), first.Source, first.Edges)
	}
	put(t, c, keys.Edge("e1"), []byte("x"))
	put(t, c, keys.Edge("e2"), []byte("x"))
	rev := put(t, c, keyB, origin(t, "b.test"))
	next := p.until(rev)
	if counts(f.Current()) != 2 || next.Edges != 2 || next.Changes <= first.Changes {
		t.Errorf("C8.84: after a write: %d origins, %d edges, changes %d then %d", counts(f.Current()), next.Edges, first.Changes, next.Changes)
	}
	rev = put(t, c, keys.Beat, []byte("tick"))
	if beat := p.until(rev); beat.Changes != next.Changes {
		t.Error("a beat counts as a change")
	}
	res, err := c.Delete(t.Context(), keyA)
	if err != nil {
		t.Fatal(err)
	}
	p.until(res.Header.Revision)
	if counts(f.Current()) != 1 {
		t.Error("a deleted record is in service")
	}
	s := f.Status()
	if !strings.Contains(s.Contact.String(), " m=") {
		t.Error("the time of contact has no monotonic reading: its age follows every jump of the clock")
	}
	if !s.Loaded || !s.Connected || s.Contact.IsZero() || s.Since.IsZero() || s.Edges != 2 {
		t.Errorf("status %+v", s)
	}
	var kept []string
	for _, k := range p.kept().Served {
		kept = append(kept, k.Key)
	}
	if diff := cmp.Diff([]string{keys.Edge("e1"), keys.Edge("e2"), keyB}, kept); diff != "" {
		t.Errorf("on disk (-want +got):\n%s", diff)
	}
}

func TestAcknowledgedAfterTheSwap(t *testing.T) {
	c := etcdtest.Client(t)
	held, release, open := make(chan int64), make(chan struct{}), make(chan struct{})
	f, p := start(t, c, lastgood.Content{}, func(cfg *Config) {
		cfg.BeforeSwap = func(revision int64) {
			select {
			case held <- revision:
				<-release
			case <-open:
			}
		}
	})
	run(t, f)
	<-held
	release <- struct{}{}
	p.until(1)
	rev := put(t, c, keyA, origin(t, "a.test"))
	for <-held < rev {
		release <- struct{}{}
	}
	for len(p.progress) > 0 {
		if x := <-p.progress; x.Snapshot.Revision >= rev {
			t.Error("C8.67: acknowledged while the swap is held")
		}
	}
	if f.Current().Revision >= rev {
		t.Error("in service while the swap is held")
	}
	close(open)
	release <- struct{}{}
	p.until(rev)
}

func TestRejectedRecord(t *testing.T) {
	c := etcdtest.Client(t)
	f, p := start(t, c, lastgood.Content{})
	stop := run(t, f)
	p.until(put(t, c, keyA, origin(t, "a.test"))) // or the mirror might leave it out
	bad := put(t, c, keyA, broken(t))
	rev := put(t, c, keyB, origin(t, "b.test"))
	p.until(rev)
	check := func(f *Follower) {
		t.Helper()
		r := f.Current().Rejections()
		if len(r) != 1 || r[0].Resource != "origins/a" || r[0].Revision != bad || r[0].Reason != snapshot.ReasonUnknownEnum {
			t.Errorf("C8.76: rejections %+v, want origins/a at %d", r, bad)
		}
		if counts(f.Current()) != 2 {
			t.Errorf("C8.76: %d origins in service, want the old version and the other", counts(f.Current()))
		}
	}
	check(f)
	stop()

	kept := p.kept()
	away, err := etcd.Dial([]string{"127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	again, _ := start(t, away, kept)
	check(again)
	if s := again.Status(); !s.Loaded || s.Source != edgev1.EdgeStatus_SOURCE_DISK || again.Current().Revision != rev {
		t.Errorf("design 3.3: without etcd: %+v at %d", s, again.Current().Revision)
	}

	back, p := start(t, c, kept)
	run(t, back)
	rev = put(t, c, keyB, origin(t, "b2.test"))
	p.until(rev)
	check(back) // the list after the restart did not send the rejected version again
	rev = put(t, c, keyA, origin(t, "a3.test"))
	p.until(rev)
	if r := back.Current().Rejections(); len(r) != 0 {
		t.Errorf("a mended record is rejected: %+v", r)
	}
}

func TestAbsence(t *testing.T) {
	c := etcdtest.Client(t)
	f, p := start(t, c, lastgood.Content{})
	stop := run(t, f)
	put(t, c, keys.Epoch, []byte("one"))
	put(t, c, keys.Edge("e1"), []byte("x"))
	p.until(put(t, c, keyA, origin(t, "a.test")))
	stop()
	kept := p.kept()
	if kept.Point.Epoch != "one" {
		t.Errorf("epoch on disk is %q", kept.Point.Epoch)
	}
	for _, key := range []string{keyA, keys.Edge("e1")} {
		if _, err := c.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	rev := put(t, c, keyB, origin(t, "b.test"))
	f, p = start(t, c, kept)
	run(t, f)
	got := p.until(rev)
	if counts(f.Current()) != 1 || got.Edges != 0 {
		t.Errorf("C8.82: after an absence: %d origins, %d edges; want what was written and not what was deleted", counts(f.Current()), got.Edges)
	}
	if got := p.kept().Served; len(got) != 1 || got[0].Key != keyB {
		t.Errorf("C8.82: steps after the absence leave %v", got)
	}
}

func TestAnotherDataSet(t *testing.T) {
	c := etcdtest.Client(t)
	put(t, c, keys.Epoch, []byte("two"))
	rev := put(t, c, keyB, origin(t, "b.test"))
	kept := lastgood.Content{
		Point:    mirror.Point{Revision: rev + 1000, Epoch: "one"},
		Served:   []snapshot.Change{{Key: keys.Epoch, Value: []byte("one"), ModRevision: 1}, {Key: keyA, Value: origin(t, "a.test"), ModRevision: 2}},
		Rejected: []snapshot.Change{{Key: keys.Resource(keys.Origins, "c"), Value: broken(t), ModRevision: 3}},
	}
	f, p := start(t, c, kept)
	if counts(f.Current()) != 1 || len(f.Current().Rejections()) != 1 {
		t.Fatal("what was kept is not served")
	}
	<-p.progress
	run(t, f)
	got := <-p.progress
	if s := got.Snapshot; s.Epoch != "two" || s.Revision > rev+900 || counts(s) != 1 || len(s.Rejections()) != 0 {
		t.Errorf("C8.88: epoch %q revision %d, %d origins, %d rejections", s.Epoch, s.Revision, counts(s), len(s.Rejections()))
	}
	if c := p.kept(); c.Point.Epoch != "two" || len(c.Served) != 2 || len(c.Rejected) != 0 {
		t.Errorf("C8.88: on disk: %+v", c)
	}
}

func TestApplySpans(t *testing.T) {
	c := etcdtest.Client(t)
	put(t, c, keyA, origin(t, "a.test")) // comes by a list: no span
	spans := tracetest.NewInMemoryExporter()
	f, p := start(t, c, lastgood.Content{}, func(cfg *Config) {
		cfg.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	})
	run(t, f)
	p.until(1)
	put(t, c, keys.Beat, nil)
	good := put(t, c, keyB, origin(t, "b.test"))
	p.until(good)
	bad := put(t, c, keyB, broken(t))
	p.until(bad)
	p.until(put(t, c, keys.Beat, nil)) // spans end after the acknowledgement
	var got []string
	for _, s := range spans.GetSpans() {
		if s.Parent.SpanID().String() != "b7ad6b7169203331" || !s.Parent.IsRemote() || s.SpanContext.TraceID() != s.Parent.TraceID() {
			t.Errorf("span %s is not in the trace of the write", s.Name)
		}
		line := s.Name
		for _, a := range s.Attributes {
			line += fmt.Sprintf(" %s=%s", a.Key, a.Value.String())
		}
		got = append(got, line)
		if s.EndTime.Before(s.StartTime) {
			t.Error("a span ends before it begins")
		}
	}
	slices.Sort(got)
	want := []string{
		fmt.Sprintf("apply resource=origins/b revision=%d edge=e1 pop=AMS1 deleted=false", good),
		fmt.Sprintf("apply resource=origins/b revision=%d edge=e1 pop=AMS1 deleted=false rejected=UNKNOWN_ENUM_VALUE", bad),
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("design 3.10 (-want +got):\n%s", diff)
	}
}
