// SPDX-License-Identifier: Apache-2.0

package rpc_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

const (
	serving    = healthpb.HealthCheckResponse_SERVING
	notServing = healthpb.HealthCheckResponse_NOT_SERVING
	originsAPI = "seafront.origin.v1.OriginService"
	configAPI  = "seafront.config.v1.DistributionService"
)

// told is a Run that serves as the test tells it.
func told(turns <-chan bool) func(context.Context, func(bool)) error {
	return func(ctx context.Context, serving func(bool)) error {
		for {
			select {
			case on := <-turns:
				serving(on)
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func TestHealthFollowsTheParts(t *testing.T) {
	registry, control := make(chan bool), make(chan bool)
	r := serve(t, time.Minute, &origins{run: told(registry)}, &distributions{run: told(control)})
	check := func(all, ofOrigins, ofConfig healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		awaitHealth(t, r.conn, "", all)
		awaitHealth(t, r.conn, originsAPI, ofOrigins)
		awaitHealth(t, r.conn, configAPI, ofConfig)
	}
	check(notServing, notServing, notServing)
	registry <- true
	check(notServing, serving, notServing)
	control <- true
	check(serving, serving, serving)
	if err := rpc.CheckHealth(t.Context(), r.addr, "", rpc.ClientConfig{}); err != nil {
		t.Errorf("CheckHealth: %v", err)
	}
	registry <- false
	check(notServing, notServing, serving)
	if err := rpc.CheckHealth(t.Context(), r.addr, originsAPI, rpc.ClientConfig{}); err == nil {
		t.Error("CheckHealth of a service that does not serve is nil")
	}
}

func TestCheckHealthWithoutServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := rpc.CheckHealth(t.Context(), l.Addr().String(), "", rpc.ClientConfig{}); err == nil {
		t.Error("CheckHealth of nobody is nil")
	}
	if err := rpc.CheckHealth(t.Context(), "dns:///%zz", "", rpc.ClientConfig{}); err == nil {
		t.Error("CheckHealth of nonsense is nil")
	}
}

func TestStreamsEndAtShutdown(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(context.Context) error // what the handler makes of the end of its context
		code   codes.Code
		reason string
	}{
		{"with the context's error", context.Context.Err, codes.Unavailable, "SERVICE_UNAVAILABLE"},
		{"without an error", func(context.Context) error { return nil }, codes.Unavailable, "SERVICE_UNAVAILABLE"},
		{"with a status", func(context.Context) error { return status.Error(codes.Canceled, "over") }, codes.Unavailable, "SERVICE_UNAVAILABLE"},
		{"with something else to say", func(context.Context) error {
			return apierr.New(apierr.NotFound, "NO_SUCH_DISTRIBUTION", "gone")
		}, codes.NotFound, "NO_SUCH_DISTRIBUTION"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			part := &distributions{watch: func(s grpc.ServerStreamingServer[configv1.WatchDeploymentResponse]) error {
				if err := s.Send(&configv1.WatchDeploymentResponse{}); err != nil {
					return err
				}
				<-s.Context().Done()
				return tt.end(s.Context())
			}}
			r := serve(t, time.Hour, part) // the grace has no part in this
			stream, err := configv1.NewDistributionServiceClient(r.conn).WatchDeployment(t.Context(), &configv1.WatchDeploymentRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
			r.stop()
			_, err = stream.Recv()
			if s := status.Convert(err); s.Code() != tt.code || apierr.Reason(s) != tt.reason {
				t.Errorf("stream ended with %v, reason %q, want %v, %q", err, apierr.Reason(s), tt.code, tt.reason)
			}
			if err := r.wait(); err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

func TestCallerThatLeavesIsNoShutdown(t *testing.T) {
	ended := make(chan error, 1)
	part := &distributions{watch: func(s grpc.ServerStreamingServer[configv1.WatchDeploymentResponse]) error {
		_ = s.Send(&configv1.WatchDeploymentResponse{})
		<-s.Context().Done()
		ended <- context.Cause(s.Context())
		return s.Context().Err()
	}}
	r := serve(t, time.Hour, part)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := configv1.NewDistributionServiceClient(r.conn).WatchDeployment(ctx, &configv1.WatchDeploymentRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cause = %v, want the caller's cancellation", err)
	}
}

func TestUnaryCallsFinish(t *testing.T) {
	entered, finish := make(chan struct{}), make(chan struct{})
	var workedOn error // the context of the part while its call ran
	var work context.Context
	part := &origins{
		run: func(ctx context.Context, on func(bool)) error {
			work = ctx
			return serveUntil(ctx, on)
		},
		get: func(ctx context.Context, _ *originv1.GetOriginRequest) (*originv1.GetOriginResponse, error) {
			close(entered)
			<-rpc.Stopping(ctx)
			<-finish
			workedOn = work.Err()
			return &originv1.GetOriginResponse{}, ctx.Err()
		},
	}
	r := serve(t, time.Hour, part)
	awaitHealth(t, r.conn, originsAPI, serving)
	health, err := healthpb.NewHealthClient(r.conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := originv1.NewOriginServiceClient(r.conn).GetOrigin(t.Context(), &originv1.GetOriginRequest{})
		answer <- err
	}()
	<-entered
	r.stop()
	for { // health says so, or ends, before the call has ended
		res, err := health.Recv()
		if err != nil || res.GetStatus() == notServing {
			break
		}
	}
	close(finish)
	if err := <-answer; err != nil {
		t.Errorf("a call that was running: %v", err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if workedOn != nil {
		t.Errorf("the part had ended before its last call: %v", workedOn)
	}
	if work.Err() == nil {
		t.Error("the part's context goes on after Serve")
	}
}

func TestUnaryCallThatDoesNotFinish(t *testing.T) {
	entered := make(chan struct{})
	r := serve(t, 50*time.Millisecond, &origins{get: func(ctx context.Context, _ *originv1.GetOriginRequest) (*originv1.GetOriginResponse, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	answer := make(chan error, 1)
	go func() {
		_, err := originv1.NewOriginServiceClient(r.conn).GetOrigin(t.Context(), &originv1.GetOriginRequest{})
		answer <- err
	}()
	<-entered
	r.stop()
	if err := <-answer; status.Code(err) != codes.Unavailable {
		t.Errorf("a call that did not finish: %v, want UNAVAILABLE", err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestStreamBlockedInReceivingIsCut(t *testing.T) {
	r := serve(t, 50*time.Millisecond, &origins{})
	stream, err := reflectionpb.NewServerReflectionClient(r.conn).ServerReflectionInfo(t.Context(), grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if err := r.wait(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the open stream: %v, want UNAVAILABLE", err)
	}
}

func TestFailureOfAPartEndsTheServer(t *testing.T) {
	broken := errors.New("broken")
	r := serve(t, time.Minute,
		&origins{run: func(context.Context, func(bool)) error { return broken }},
		&distributions{})
	if err := r.wait(); !errors.Is(err, broken) {
		t.Errorf("Serve = %v, want the part's failure", err)
	}
	if _, err := r.mem.Dial(t.Context()); err == nil {
		t.Error("the listener in memory is open after the end")
	}
}

func TestFailureOfAListenerEndsTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := rpc.Serve(t.Context(), rpc.ServerConfig{}, []net.Listener{l, rpc.NewMemory()}, &origins{}); err == nil {
		t.Error("Serve on a closed listener returned nil")
	}
}

func TestEndBeforeTheStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rpc.Serve(ctx, rpc.ServerConfig{}, []net.Listener{rpc.NewMemory()}, &origins{}); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestPartWithNothingToDo(t *testing.T) {
	r := serve(t, time.Minute, &origins{run: func(_ context.Context, on func(bool)) error {
		on(true)
		return nil
	}})
	awaitHealth(t, r.conn, "", serving)
}

func TestStoppingOutsideACall(t *testing.T) {
	if rpc.Stopping(t.Context()) != nil {
		t.Error("Stopping of no call is not nil")
	}
}
