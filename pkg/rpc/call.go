// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/auth"
	"github.com/seafront-cdn/seafront/pkg/reload"
)

// call is what is known about a call at its end.
type call struct {
	method string
	began  time.Time
	who    auth.Identity
	names  names
}

// unary surrounds each unary call.
func (s *server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	c := &call{method: info.FullMethod, began: time.Now()}
	ctx, release := under(context.WithValue(ctx, drainKey{}, s.drain), s.drain.calls)
	defer release()
	ctx, cancel := bounded(ctx, info.FullMethod)
	defer cancel()
	c.names.request(req)
	var res any
	err := guard(func() (err error) {
		if ctx, err = s.admit(ctx, c, req); err == nil {
			res, err = handle(ctx, req)
		}
		return err
	})
	if err != nil && isStopping(ctx, err) {
		err = stopping(err)
	}
	if err == nil {
		c.names.answer(res)
	}
	return res, s.conclude(ctx, c, err)
}

// admit lets the caller in or says why not. It comes before the handler, and so
// before every check of the request (C2.1).
func (s *server) admit(ctx context.Context, c *call, req any) (context.Context, error) {
	if s.access == nil {
		return ctx, nil
	}
	var err error
	ctx, c.who, err = s.access.Admit(ctx, c.method, req)
	return ctx, err
}

// defaultDeadline is how long a unary call may take whose caller does not say
// (C6.20).
const defaultDeadline = 10 * time.Second

// bounded gives a call without a deadline the default one. Methods that are there to
// wait, WaitDistribution and its like, have limits of their own.
func bounded(ctx context.Context, method string) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok || strings.HasPrefix(path.Base(method), "Wait") {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, defaultDeadline)
}

// stream surrounds each streaming call. A handler that sends sees the shutdown in its
// context; one that is blocked in receiving is cut off when the grace is over.
func (s *server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	c := &call{method: info.FullMethod, began: time.Now()}
	ctx, release := under(context.WithValue(ss.Context(), drainKey{}, s.drain), s.drain.streams)
	defer release()
	err := guard(func() (err error) {
		if ctx, err = s.admit(ctx, c, nil); err == nil {
			err = handle(srv, &drained{ServerStream: ss, ctx: ctx, names: &c.names, admitted: c.began, again: func() error {
				_, err := s.admit(ctx, &call{method: c.method}, nil)
				return err
			}})
		}
		return err
	})
	// A handler may take the end of its context for the end of its work; the caller
	// must not take it for the end of the stream.
	if isStopping(ctx, err) {
		err = stopping(err)
	}
	return s.conclude(ctx, c, err)
}

// drained is a stream with a context that ends at shutdown. It notes what the first
// message names. A stream may outlive the right to it: nothing is sent to a caller
// whose token was taken away, or whose certificate has expired.
type drained struct {
	grpc.ServerStream
	ctx      context.Context
	names    *names
	admitted time.Time    // when the caller was last looked at
	again    func() error // looks at the caller again
}

// SendMsg is part of grpc.ServerStream. One goroutine sends at a time.
func (d *drained) SendMsg(m any) error {
	if now := time.Now(); now.Sub(d.admitted) >= reload.Interval { // files are not looked at more often
		if err := d.again(); err != nil {
			return err
		}
		d.admitted = now
	}
	return d.ServerStream.SendMsg(m)
}

// RecvMsg is part of grpc.ServerStream.
func (d *drained) RecvMsg(m any) error {
	err := d.ServerStream.RecvMsg(m)
	if err == nil && d.names != nil {
		d.names.request(m)
		d.names = nil
	}
	return err
}

// Context is the context of the call.
func (d *drained) Context() context.Context { return d.ctx }

// isStopping says whether err, or a stream that ended without one, comes from the
// shutdown and says nothing else.
func isStopping(ctx context.Context, err error) bool {
	if !errors.Is(context.Cause(ctx), errStopping) {
		return false
	}
	return err == nil || errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled
}

func stopping(cause error) error {
	e := apierr.New(apierr.Unavailable, apierr.ReasonServiceUnavailable, "%v", errStopping)
	e.Cause = cause
	return e
}

// panicked is a panic of a handler as an error. Its text is for the log.
type panicked struct {
	value any
	stack []byte
}

// Error tells where it happened.
func (p *panicked) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

// guard makes an error of a panic: one bad call must not end the others.
func guard(call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	return call()
}

// conclude logs the call and returns the error that its caller gets.
func (s *server) conclude(ctx context.Context, c *call, err error) error {
	out := outcome(c.method, err)
	attrs := []slog.Attr{
		slog.String("method", strings.TrimPrefix(c.method, "/")),
		slog.String("code", out.Code().String()),
		slog.Duration("duration", time.Since(c.began)),
	}
	if c.who.Name != "" {
		attrs = append(attrs, slog.String("principal", c.who.Name))
	}
	if reason := apierr.Reason(out); reason != "" {
		attrs = append(attrs, slog.String("reason", reason))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	s.log.LogAttrs(ctx, levelOf(c.method, out.Code()), "call", attrs...)
	s.record(ctx, c, out)
	return out.Err()
}

// outcome is what the caller gets.
func outcome(method string, err error) *status.Status {
	if s, ok := status.FromError(err); ok && isPlumbing(method) {
		return s // gRPC's own services have errors of their own
	}
	return apierr.Status(err)
}

// levelOf is how much a call matters to an operator: faults of ours most, what
// callers do wrong no more than what they do right.
func levelOf(method string, code codes.Code) slog.Level {
	switch code {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return slog.LevelError
	}
	if isPlumbing(method) {
		// A health check every few seconds is no event, and neither is the shutdown to
		// one that watches.
		return slog.LevelDebug
	}
	switch code {
	case codes.Unavailable, codes.DeadlineExceeded:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// isPlumbing says whether a method belongs to gRPC's health or reflection services.
func isPlumbing(method string) bool { return strings.HasPrefix(method, "/grpc.") }

// unknown answers calls of services and methods that do not exist (C2.332).
func unknown(_ any, ss grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(ss)
	return apierr.New(apierr.Unsupported, apierr.ReasonNotImplemented, "%s does not exist here", strings.TrimPrefix(method, "/")).
		With("method", strings.TrimPrefix(method, "/"))
}
