// SPDX-License-Identifier: Apache-2.0

package apierr

import (
	"context"
	"errors"
	"maps"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// codeOf is the one table from kinds to gRPC codes.
func codeOf(k Kind) codes.Code {
	switch k {
	case Invalid:
		return codes.InvalidArgument
	case NotFound:
		return codes.NotFound
	case AlreadyExists:
		return codes.AlreadyExists
	case Precondition:
		return codes.FailedPrecondition
	case Stale:
		return codes.Aborted
	case Exhausted:
		return codes.ResourceExhausted
	case Unsupported:
		return codes.Unimplemented
	case Unavailable:
		return codes.Unavailable
	case Unauthenticated:
		return codes.Unauthenticated
	case Denied:
		return codes.PermissionDenied
	default:
		return codes.Internal
	}
}

// Status makes the gRPC status of any error, with exactly one ErrorInfo (C2.174).
//
// The text of an error that is not meant for callers never reaches them: an unknown
// error is internal, and a status that another service or a library made is passed
// on only when its author meant it for a caller.
func Status(err error) *status.Status {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if e == nil { // nil in an error is an error, and nobody knows which
			return bare(codes.Internal, ReasonInternal, "internal error")
		}
		return e.status()
	}
	if s, ok := foreign(err); ok {
		return s
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return bare(codes.DeadlineExceeded, ReasonDeadline, "the deadline passed before the answer was ready")
	case errors.Is(err, context.Canceled):
		return bare(codes.Canceled, ReasonCancelled, "the call was cancelled")
	}
	return bare(codes.Internal, ReasonInternal, "internal error")
}

// Reason is the ErrorInfo.reason of a status, or "" when it has none.
func Reason(s *status.Status) string {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

func (e *Error) status() *status.Status {
	info := &errdetails.ErrorInfo{Reason: e.Reason, Domain: Domain, Metadata: maps.Clone(e.Metadata)}
	details := []protoadapt.MessageV1{info}
	if len(e.Violations) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range e.Violations {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: v.Field, Description: v.Description, Reason: v.Reason,
			})
		}
		details = append(details, bad)
	}
	if e.Kind == Exhausted {
		details = append(details, &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{
			{Subject: e.Metadata["resource"], Description: e.Message},
		}})
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	return detailed(status.New(codeOf(e.Kind), e.Message), details...)
}

// foreign is the status of an error that carries one. The texts around it are not
// for callers and are left out.
func foreign(err error) (*status.Status, bool) {
	var carrier interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &carrier) {
		return nil, false
	}
	s := carrier.GRPCStatus()
	if s == nil || s.Code() == codes.OK {
		return nil, false
	}
	if Reason(s) != "" { // one of our services made it
		return s, true
	}
	switch s.Code() {
	case codes.Canceled:
		return bare(s.Code(), ReasonCancelled, "the call was cancelled"), true
	case codes.DeadlineExceeded:
		return bare(s.Code(), ReasonDeadline, "the deadline passed before the answer was ready"), true
	case codes.Unavailable: // a connection; its text holds addresses
		return bare(s.Code(), ReasonServiceUnavailable, "a service that is needed does not answer now"), true
	case codes.Unimplemented:
		return bare(s.Code(), ReasonNotImplemented, s.Message()), true // as generated servers say it
	default: // what a library says about its own request is no statement about the caller's
		return nil, false
	}
}

// bare is a status with a reason and nothing else.
func bare(code codes.Code, reason, message string) *status.Status {
	return detailed(status.New(code, message), &errdetails.ErrorInfo{Reason: reason, Domain: Domain})
}

func detailed(s *status.Status, details ...protoadapt.MessageV1) *status.Status {
	out, err := s.WithDetails(details...)
	if err != nil { // only for messages that cannot be marshalled
		return s
	}
	return out
}
