// SPDX-License-Identifier: Apache-2.0

// Package otlp is a collector for tests: programs send it their spans by
// OpenTelemetry's protocol over gRPC, and a test asks for the tree of one trace.
//
// It promises that a trace which arrives in parts is put together by its ids, and
// that what a test waits for is awaited, not guessed. It keeps every span until the
// test ends and knows nothing of metrics and logs.
package otlp

import (
	"context"
	"encoding/hex"
	"net"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// Span is one span as it was exported.
type Span struct {
	TraceID, ID, Parent string // hexadecimal; Parent is empty for a root
	Name                string
	Service, Instance   string            // service.name and service.instance.id
	Attributes          map[string]string // values in text form
	Links               []string          // ids of the traces that it links to
	Start, End          time.Time
	Failed              bool // its status is an error
}

// Sink collects spans.
type Sink struct {
	collectorpb.UnimplementedTraceServiceServer
	address string

	mu      sync.Mutex // guards traces and changed
	traces  map[string][]*Span
	changed chan struct{} // closed and renewed when spans arrive
}

// Start runs a sink until the test ends.
func Start(t testing.TB) *Sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Sink{address: l.Addr().String(), traces: map[string][]*Span{}, changed: make(chan struct{})}
	server := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(server, s)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Errorf("OTLP sink: %v", err)
		}
	})
	return s
}

// Env are the variables that make a program send every span here soon after it ends.
func (s *Sink) Env() []string {
	return []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + s.address,
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
		"OTEL_TRACES_SAMPLER=parentbased_always_on",
		"OTEL_BSP_SCHEDULE_DELAY=50",
	}
}

// Export is called by exporters.
func (s *Sink) Export(_ context.Context, req *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rs := range req.GetResourceSpans() {
		who := texts(rs.GetResource().GetAttributes())
		for _, ss := range rs.GetScopeSpans() {
			for _, p := range ss.GetSpans() {
				span := spanOf(p, who)
				s.traces[span.TraceID] = append(s.traces[span.TraceID], span)
			}
		}
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

// Trace returns what has arrived of a trace, as a tree.
func (s *Sink) Trace(id string) *Tree {
	tree, _ := s.look(id)
	return tree
}

func (s *Sink) look(id string) (*Tree, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return grow(s.traces[id]), s.changed
}

// Await returns the trace as soon as it is complete in the eyes of the test, and
// fails the test when that takes longer than within.
func (s *Sink) Await(t testing.TB, id string, within time.Duration, complete func(*Tree) bool) *Tree {
	t.Helper()
	deadline := time.After(within)
	for {
		tree, changed := s.look(id)
		if complete(tree) {
			return tree
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("trace %s is not complete after %v:\n%s", id, within, tree)
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

func spanOf(p *tracepb.Span, who map[string]string) *Span {
	s := &Span{
		TraceID: hex.EncodeToString(p.GetTraceId()), ID: hex.EncodeToString(p.GetSpanId()),
		Parent: hex.EncodeToString(p.GetParentSpanId()), Name: p.GetName(),
		Service: who["service.name"], Instance: who["service.instance.id"],
		Attributes: texts(p.GetAttributes()),
		Start:      time.Unix(0, int64(p.GetStartTimeUnixNano())), End: time.Unix(0, int64(p.GetEndTimeUnixNano())),
		Failed: p.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
	}
	for _, l := range p.GetLinks() {
		s.Links = append(s.Links, hex.EncodeToString(l.GetTraceId()))
	}
	return s
}

func texts(attributes []*commonpb.KeyValue) map[string]string {
	out := make(map[string]string, len(attributes))
	for _, a := range attributes {
		out[a.GetKey()] = text(a.GetValue())
	}
	return out
}
