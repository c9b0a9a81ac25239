// SPDX-License-Identifier: Apache-2.0

// Package apierr is the one form of errors that callers of an API may branch on: a
// kind, a reason for programs, a message for people, and what is wrong field by
// field. Services return *Error; Status turns it into a gRPC status with the
// details of C2.173 and C2.174. The package knows no resource.
package apierr

import (
	"fmt"
	"time"
)

// Domain is the ErrorInfo.domain of every error (C2.174).
const Domain = "seafront.example.org"

// Kind is what a caller can do about an error.
type Kind uint8

// The kinds and what they mean to the caller (C2.173, C2.176).
const (
	_               Kind = iota // unknown, answered as internal
	Invalid                     // the request is wrong by itself
	NotFound                    // the named resource does not exist
	AlreadyExists               // a name, alias or token is taken
	Precondition                // state or references forbid it
	Stale                       // the etag is not current: read again
	Exhausted                   // a quota is reached; a QuotaFailure says so (C2.173 c)
	Unsupported                 // not offered in this release
	Unavailable                 // the store cannot answer now: try again
	Internal                    // a fault of the server
	Unauthenticated             // who calls is not known: send other credentials
	Denied                      // the caller is known and may not do this
)

// Reasons that belong to no resource.
const (
	ReasonInvalid            = "INVALID_ARGUMENT"       // C2.178
	ReasonStoreUnavailable   = "STORE_UNAVAILABLE"      // C2.333
	ReasonServiceUnavailable = "SERVICE_UNAVAILABLE"    // another service does not answer, or this one is going down
	ReasonInternal           = "INTERNAL_ERROR"         // C2.331
	ReasonNotImplemented     = "NOT_IMPLEMENTED"        // C2.332
	ReasonDeadline           = "DEADLINE_EXCEEDED"      // the caller's deadline passed
	ReasonCancelled          = "CANCELLED"              // the caller left
	ReasonUnauthenticated    = "UNAUTHENTICATED_CALLER" // C2.330
	ReasonAccessDenied       = "ACCESS_DENIED"          // C2.177
)

// Violation is one thing that is wrong with one field of the request.
type Violation struct {
	// Field is its path as a client writes it, for example
	// distribution.config.origins[0].id.
	Field string
	// Reason is for programs, Description for people.
	Reason, Description string
}

// Error is an error with a meaning for callers.
type Error struct {
	Kind   Kind
	Reason string
	// Message says what is wrong and what would be right.
	Message string
	// Metadata holds every dynamic value of the message under lowerCamel keys.
	Metadata map[string]string
	// Violations are the bad fields; all of them, not the first.
	Violations []Violation
	// RetryAfter is when trying again may help, 0 when that is not known. Programs get
	// it as a RetryInfo (C2.176).
	RetryAfter time.Duration
	// Cause is logged and never sent.
	Cause error
}

// Error is for logs.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Reason, e.Message, e.Cause)
	}
	return e.Reason + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New makes an error without metadata.
func New(kind Kind, reason, format string, args ...any) *Error {
	return &Error{Kind: kind, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// With adds one metadata value and returns e.
func (e *Error) With(key, value string) *Error {
	if e.Metadata == nil {
		e.Metadata = map[string]string{}
	}
	e.Metadata[key] = value
	return e
}

// Later says when trying again may help, and returns e.
func (e *Error) Later(after time.Duration) *Error {
	e.RetryAfter = after
	return e
}

// At names the field that the error is about and returns e.
func (e *Error) At(field string) *Error {
	e.Violations = append(e.Violations, Violation{field, e.Reason, e.Message})
	return e.With("field", field)
}

// BadFields makes one error of all violations; its reason is that of the first. It
// is nil when there are none: compare before returning it as an error, since a nil
// *Error in an error is an error.
func BadFields(vs []Violation) *Error {
	return fromViolations(Invalid, vs)
}

// UnsupportedFields is BadFields for fields that are not built (C2.185).
func UnsupportedFields(vs []Violation) *Error {
	return fromViolations(Unsupported, vs)
}

func fromViolations(kind Kind, vs []Violation) *Error {
	if len(vs) == 0 {
		return nil
	}
	e := New(kind, vs[0].Reason, "%s %s", vs[0].Field, vs[0].Description)
	if n := len(vs) - 1; n > 0 {
		e.Message += fmt.Sprintf(" (and %d more)", n)
	}
	e.Violations = vs
	return e.With("field", vs[0].Field)
}
