// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

const getOrigin = "seafront.origin.v1.OriginService/GetOrigin"

func fails(err error) *origins {
	return &origins{get: func(context.Context, *originv1.GetOriginRequest) (*originv1.GetOriginResponse, error) {
		return nil, err
	}}
}

func TestDetailsArrive(t *testing.T) {
	r := serve(t, time.Minute, fails(fmt.Errorf("get: %w", apierr.BadFields([]apierr.Violation{
		{Field: "name", Reason: "INVALID_NAME", Description: "has no collection"},
		{Field: "view", Reason: "INVALID_ARGUMENT", Description: "is 7, which means nothing"},
	}))))
	_, err := originv1.NewOriginServiceClient(r.conn).GetOrigin(t.Context(), &originv1.GetOriginRequest{})
	got := status.Convert(err)
	if got.Code() != codes.InvalidArgument || got.Message() != "name has no collection (and 1 more)" {
		t.Errorf("status = %v %q", got.Code(), got.Message())
	}
	want := []any{
		&errdetails.ErrorInfo{Reason: "INVALID_NAME", Domain: apierr.Domain, Metadata: map[string]string{"field": "name"}},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "name", Description: "has no collection", Reason: "INVALID_NAME"},
			{Field: "view", Description: "is 7, which means nothing", Reason: "INVALID_ARGUMENT"},
		}},
	}
	if diff := cmp.Diff(want, got.Details(), protocmp.Transform()); diff != "" {
		t.Errorf("C2.174: details (-want +got):\n%s", diff)
	}
}

func TestTextsStayInTheLog(t *testing.T) {
	for _, tt := range []struct {
		name  string
		part  *origins
		level string
		want  codes.Code
	}{
		{"C2.331: an unknown error", fails(errors.New("secret of 10.0.0.7")), "ERROR", codes.Internal},
		{"a panic", &origins{get: func(context.Context, *originv1.GetOriginRequest) (*originv1.GetOriginResponse, error) {
			panic("secret of 10.0.0.7")
		}}, "ERROR", codes.Internal},
		{"the cause of an error for callers", fails(&apierr.Error{
			Kind: apierr.Unavailable, Reason: apierr.ReasonStoreUnavailable, Message: "try again", Cause: errors.New("secret of 10.0.0.7"),
		}), "WARN", codes.Unavailable},
		{"a deadline", fails(fmt.Errorf("ask secret of 10.0.0.7: %w", context.DeadlineExceeded)), "WARN", codes.DeadlineExceeded},
		{"a status with a text around it", fails(fmt.Errorf("secret of 10.0.0.7: %w",
			apierr.Status(apierr.New(apierr.NotFound, "NO_SUCH_ORIGIN", "gone")).Err())), "INFO", codes.NotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := serve(t, time.Minute, tt.part)
			_, err := originv1.NewOriginServiceClient(r.conn).GetOrigin(t.Context(), &originv1.GetOriginRequest{})
			if got := status.Code(err); got != tt.want {
				t.Errorf("code = %v, want %v", got, tt.want)
			}
			if got := fmt.Sprint(status.Convert(err).Proto()); strings.Contains(got, "secret") {
				t.Errorf("the caller gets %s", got)
			}
			got := r.log.of(t, getOrigin)
			if len(got) != 1 {
				t.Fatalf("%d log lines, want 1: %v", len(got), got)
			}
			line := got[0]
			if text, _ := line["error"].(string); !strings.Contains(text, "secret of 10.0.0.7") {
				t.Errorf("the log has %q, want the text", text)
			}
			if line["level"] != tt.level || line["code"] != tt.want.String() {
				t.Errorf("line = %v, want level %s and code %v", line, tt.level, tt.want)
			}
			if line["reason"] != apierr.Reason(status.Convert(err)) || line["reason"] == "" {
				t.Errorf("reason = %v, want %v", line["reason"], apierr.Reason(status.Convert(err)))
			}
		})
	}
}

func TestPanicEndsOneCallOnly(t *testing.T) {
	part := &origins{get: func(_ context.Context, req *originv1.GetOriginRequest) (*originv1.GetOriginResponse, error) {
		if req.GetName() == "origins/bad" {
			panic("bad")
		}
		return &originv1.GetOriginResponse{}, nil
	}}
	watch := &distributions{watch: func(grpc.ServerStreamingServer[configv1.WatchDeploymentResponse]) error { panic("bad") }}
	r := serve(t, time.Minute, part, watch)
	client := originv1.NewOriginServiceClient(r.conn)
	if _, err := client.GetOrigin(t.Context(), &originv1.GetOriginRequest{Name: "origins/bad"}); status.Code(err) != codes.Internal {
		t.Errorf("panic of a unary handler: %v, want INTERNAL", err)
	}
	stream, err := configv1.NewDistributionServiceClient(r.conn).WatchDeployment(t.Context(), &configv1.WatchDeploymentRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Internal {
		t.Errorf("panic of a stream's handler: %v, want INTERNAL", err)
	}
	if _, err := client.GetOrigin(t.Context(), &originv1.GetOriginRequest{Name: "origins/good"}); err != nil {
		t.Errorf("after the panics: %v", err)
	}
}

// TestPlumbingIsNoEvent: a program that keeps reflection open, as grpcurl does, is
// told of the shutdown; the operator is not told of the program.
func TestPlumbingIsNoEvent(t *testing.T) {
	r := serve(t, time.Minute, &origins{})
	stream, err := reflectionpb.NewServerReflectionClient(r.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	watch, err := healthpb.NewHealthClient(r.conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	for err == nil { // until the shutdown has ended it
		_, err = watch.Recv()
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	calls := r.log.of(t, "grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
	if len(calls) != 1 || calls[0]["level"] != "DEBUG" {
		t.Errorf("logged %v", calls)
	}
}

func TestMethodsThatDoNotExist(t *testing.T) {
	r := serve(t, time.Minute, &origins{})
	for _, tt := range []struct{ name, method string }{
		{"C2.332: no such service", "/seafront.config.v1.DistributionService/GetDistribution"},
		{"C2.332: no such method", "/seafront.origin.v1.OriginService/Frobnicate"},
		{"C2.332: a method that is not built", "/seafront.origin.v1.OriginService/DeleteOrigin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := r.conn.Invoke(t.Context(), tt.method, &originv1.GetOriginRequest{}, &originv1.GetOriginResponse{})
			s := status.Convert(err)
			if s.Code() != codes.Unimplemented || apierr.Reason(s) != "NOT_IMPLEMENTED" {
				t.Errorf("%v, reason %q, want UNIMPLEMENTED with NOT_IMPLEMENTED", err, apierr.Reason(s))
			}
		})
	}
}

func TestOneTrace(t *testing.T) {
	var inHandler trace.SpanContext
	r := serve(t, time.Minute, &origins{get: func(ctx context.Context, _ *originv1.GetOriginRequest) (*originv1.GetOriginResponse, error) {
		inHandler = trace.SpanContextFromContext(ctx)
		return &originv1.GetOriginResponse{}, nil
	}})
	for _, tt := range []struct {
		name string
		conn *grpc.ClientConn
	}{
		{"over the network", r.conn},
		{"in memory", r.dial(t, "passthrough:///memory", rpc.ClientConfig{Tracer: r.trace, Dialer: r.mem.Dial})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.spans.Reset()
			before := len(r.log.of(t, getOrigin))
			ctx, span := r.trace.Tracer("test").Start(t.Context(), "caller")
			if _, err := originv1.NewOriginServiceClient(tt.conn).GetOrigin(ctx, &originv1.GetOriginRequest{}); err != nil {
				t.Fatal(err)
			}
			span.End()
			want := span.SpanContext().TraceID()
			if inHandler.TraceID() != want {
				t.Errorf("trace in the handler = %v, want %v", inHandler.TraceID(), want)
			}
			line := r.log.of(t, getOrigin)[before]
			if line["trace_id"] != want.String() || line["span_id"] != inHandler.SpanID().String() {
				t.Errorf("log line %v, want trace %v, span %v", line, want, inHandler.SpanID())
			}
			if line["msg"] != "call" || line["level"] != "INFO" || line["code"] != "OK" || line["duration"] == nil || line["reason"] != nil {
				t.Errorf("log line = %v", line)
			}
		})
	}
}

func TestSpansFormATree(t *testing.T) {
	r := serve(t, time.Minute, fails(errors.New("broken")))
	if _, err := originv1.NewOriginServiceClient(r.conn).GetOrigin(t.Context(), &originv1.GetOriginRequest{}); status.Code(err) != codes.Internal {
		t.Fatalf("GetOrigin: %v, want INTERNAL", err)
	}
	if err := rpc.CheckHealth(t.Context(), r.addr, "seafront.origin.v1.OriginService", rpc.ClientConfig{}); err != nil && !strings.Contains(err.Error(), "NOT_SERVING") {
		t.Fatal(err)
	}
	r.stop()
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	spans := r.spans.GetSpans()
	if len(spans) != 2 { // none for the health check
		t.Fatalf("%d spans, want those of client and server: %v", len(spans), spans)
	}
	byKind := map[trace.SpanKind]int{spans[0].SpanKind: 0, spans[1].SpanKind: 1}
	client, server := spans[byKind[trace.SpanKindClient]], spans[byKind[trace.SpanKindServer]]
	if server.Parent.SpanID() != client.SpanContext.SpanID() || server.Name != getOrigin {
		t.Errorf("server span %q has parent %v, want %v", server.Name, server.Parent.SpanID(), client.SpanContext.SpanID())
	}
}

func TestReflectionListsServices(t *testing.T) {
	r := serve(t, time.Minute, &origins{}, &distributions{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := reflectionpb.NewServerReflectionClient(r.conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	res, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range res.GetListServicesResponse().GetService() {
		got = append(got, s.GetName())
	}
	want := []string{
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
		"seafront.config.v1.DistributionService", "seafront.origin.v1.OriginService",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

func TestPlumbingKeepsItsErrors(t *testing.T) {
	r := serve(t, time.Minute, &origins{})
	_, err := healthpb.NewHealthClient(r.conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "nobody"})
	if s := status.Convert(err); s.Code() != codes.NotFound || s.Message() != "unknown service" {
		t.Errorf("health of nobody: %v, want NOT_FOUND", err)
	}
	for _, line := range r.log.of(t, "grpc.health.v1.Health/Check") {
		if line["level"] != "DEBUG" {
			t.Errorf("a health check is logged as %v", line)
		}
	}
}

func TestDefaultDeadline(t *testing.T) {
	var left time.Duration
	var bounded bool
	r := serve(t, time.Minute, &origins{get: func(ctx context.Context, _ *originv1.GetOriginRequest) (*originv1.GetOriginResponse, error) {
		var at time.Time
		at, bounded = ctx.Deadline()
		left = time.Until(at)
		return &originv1.GetOriginResponse{}, nil
	}})
	client := originv1.NewOriginServiceClient(r.conn)
	if _, err := client.GetOrigin(context.WithoutCancel(t.Context()), &originv1.GetOriginRequest{}); err != nil {
		t.Fatal(err)
	}
	if !bounded || left > 10*time.Second {
		t.Errorf("C6.20: a call without a deadline has %v left, bounded %v; want at most 10 s", left, bounded)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := client.GetOrigin(ctx, &originv1.GetOriginRequest{}); err != nil {
		t.Fatal(err)
	}
	if left < 50*time.Minute {
		t.Errorf("C6.20: a call with a deadline of its own has %v left", left)
	}
}
