// SPDX-License-Identifier: Apache-2.0

package otlp_test

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/seafront-cdn/seafront/test/otlp"
)

const traceID = "0102030405060708090a0b0c0d0e0f10"

// TestTree sends a trace in two parts, children first.
func TestTree(t *testing.T) {
	sink := otlp.Start(t)
	endpoint, ok := strings.CutPrefix(sink.Env()[0], "OTEL_EXPORTER_OTLP_ENDPOINT=http://")
	if !ok {
		t.Fatalf("first variable is %q", sink.Env()[0])
	}
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := collectorpb.NewTraceServiceClient(conn)
	send := func(service string, spans ...*tracepb.Span) {
		_, err := client.Export(context.Background(), &collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
			Resource:   &resourcepb.Resource{Attributes: []*commonpb.KeyValue{attribute("service.name", service)}},
			ScopeSpans: []*tracepb.ScopeSpans{{Spans: spans}},
		}}})
		if err != nil {
			t.Error(err)
		}
	}
	send("edge", span("3", "1", "deliver", 30), span("2", "1", "receive", 20), span("4", "9", "stray", 40))
	if got := sink.Trace(traceID).Outline(); got != "receive\ndeliver\nstray\n" {
		t.Errorf("without its root the trace is\n%s", got)
	}
	var late sync.WaitGroup
	defer late.Wait()
	late.Go(func() { send("viewer", span("1", "", "request", 10)) })
	tree := sink.Await(t, traceID, time.Minute, func(tree *otlp.Tree) bool { return len(tree.All("request")) == 1 })
	if diff := cmp.Diff("request\n  receive\n  deliver\nstray\n", tree.Outline()); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"receive", "deliver"}, tree.Roots[0].Names()); diff != "" {
		t.Errorf("children (-want +got):\n%s", diff)
	}
	for _, want := range []string{"[viewer ]", "[edge ]", "k=v", "FAILED"} {
		if !strings.Contains(tree.String(), want) {
			t.Errorf("the rendered tree has no %q:\n%s", want, tree)
		}
	}
	if got := tree.All("request")[0].Links; len(got) != 1 || got[0] != traceID {
		t.Errorf("links %q", got)
	}
	if got := sink.Trace("00").String(); got != "(no span)\n" {
		t.Errorf("an unknown trace is %q", got)
	}
}

func span(id, parent, name string, at uint64) *tracepb.Span {
	trace, _ := hex.DecodeString(traceID)
	s := &tracepb.Span{
		TraceId: trace, SpanId: []byte(strings.Repeat(id, 8)), Name: name,
		StartTimeUnixNano: at, EndTimeUnixNano: at + 5,
		Attributes: []*commonpb.KeyValue{attribute("k", "v")},
		Links:      []*tracepb.Span_Link{{TraceId: trace}},
		Status:     &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR},
	}
	if parent != "" {
		s.ParentSpanId = []byte(strings.Repeat(parent, 8))
	}
	return s
}

func attribute(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}
