// SPDX-License-Identifier: Apache-2.0

package apierr_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seafront-cdn/seafront/pkg/apierr"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestErrorBodies holds each kind of error as a caller gets it.
func TestErrorBodies(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
	}{
		{"bad-fields", apierr.BadFields([]apierr.Violation{
			{Field: "distribution.config.origins[0].id", Reason: "INVALID_ARGUMENT", Description: "is empty"},
			{Field: "distribution.config.default_behavior.target_origin_id", Reason: "NO_SUCH_ORIGIN", Description: `names "shop", which is no origin of this distribution`},
		})},
		{"unsupported-fields", apierr.UnsupportedFields([]apierr.Violation{
			{Field: "distribution.config.origin_groups", Reason: "UNSUPPORTED_OPERATION", Description: "is not built yet"},
		})},
		{"not-found", apierr.New(apierr.NotFound, "NO_SUCH_DISTRIBUTION", "distributions/E1 does not exist").With("resource", "distributions/E1")},
		{"already-exists", apierr.New(apierr.AlreadyExists, "CNAME_ALREADY_EXISTS", "www.example.com belongs to another distribution").
			With("alias", "www.example.com").At("distribution.config.aliases[1]")},
		{"precondition", apierr.New(apierr.Precondition, "DISTRIBUTION_NOT_DISABLED", "disable distributions/E1 before deleting it").With("resource", "distributions/E1")},
		{"stale", apierr.New(apierr.Stale, "PRECONDITION_FAILED", "the etag is not current: read again").With("etagCurrent", "E9")},
		{"exhausted", apierr.New(apierr.Exhausted, "TOO_MANY_DISTRIBUTIONS", "200 distributions is the limit").With("limit", "200")},
		{"exhausted-for-now", apierr.New(apierr.Exhausted, "TOO_MANY_INVALIDATIONS_IN_PROGRESS", "15 wildcards is the limit").
			With("resource", "distributions/E1").Later(2 * time.Second)},
		{"unavailable", apierr.New(apierr.Unavailable, apierr.ReasonStoreUnavailable, "the store cannot answer now")},
		{"internal", errors.New("dial tcp 10.0.0.7:2379: secret")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := protojson.Marshal(apierr.Status(fmt.Errorf("create: %w", tt.err)).Proto())
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer // protojson varies its spaces on purpose
			if err := json.Indent(&got, raw, "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name+".json", got.String()+"\n")
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestStatusOf(t *testing.T) {
	var none *apierr.Error
	ours := apierr.Status(apierr.New(apierr.Precondition, "ENTITY_NOT_FOUND", "no such origin"))
	for _, tt := range []struct {
		name   string
		err    error
		code   codes.Code
		reason string
		text   string
	}{
		{"C2.331: an unknown error is internal and keeps its text", errors.New("secret"), codes.Internal, "INTERNAL_ERROR", "internal error"},
		{"an error without kind is internal", &apierr.Error{Reason: "ODD", Message: "odd"}, codes.Internal, "ODD", "odd"},
		{"a nil *Error in an error is a fault of ours", none, codes.Internal, "INTERNAL_ERROR", "internal error"},
		{"C2.330: an unknown caller", apierr.New(apierr.Unauthenticated, apierr.ReasonUnauthenticated, "no"), codes.Unauthenticated, "UNAUTHENTICATED_CALLER", "no"},
		{"C2.177: a caller who may not", apierr.New(apierr.Denied, apierr.ReasonAccessDenied, "no"), codes.PermissionDenied, "ACCESS_DENIED", "no"},
		{"a deadline", fmt.Errorf("get secret: %w", context.DeadlineExceeded), codes.DeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline passed before the answer was ready"},
		{"a caller that left", fmt.Errorf("get secret: %w", context.Canceled), codes.Canceled, "CANCELLED", "the call was cancelled"},
		{"another service's status passes, the text around it does not", fmt.Errorf("secret: %w", ours.Err()), codes.FailedPrecondition, "ENTITY_NOT_FOUND", "no such origin"},
		{"C2.333: a lost connection", status.Error(codes.Unavailable, "dial secret"), codes.Unavailable, "SERVICE_UNAVAILABLE", "a service that is needed does not answer now"},
		{"a library's deadline", status.Error(codes.DeadlineExceeded, "secret"), codes.DeadlineExceeded, "DEADLINE_EXCEEDED", "the deadline passed before the answer was ready"},
		{"a library's cancellation", status.Error(codes.Canceled, "secret"), codes.Canceled, "CANCELLED", "the call was cancelled"},
		{"C2.332: a method that a server does not have", status.Error(codes.Unimplemented, "method Get not implemented"), codes.Unimplemented, "NOT_IMPLEMENTED", "method Get not implemented"},
		{"a library's refusal of our own request", status.Error(codes.InvalidArgument, "secret"), codes.Internal, "INTERNAL_ERROR", "internal error"},
		{"an empty status in an error", okCarrier{}, codes.Internal, "INTERNAL_ERROR", "internal error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := apierr.Status(tt.err)
			if got.Code() != tt.code || apierr.Reason(got) != tt.reason || got.Message() != tt.text {
				t.Errorf("Status = %v %s %q, want %v %s %q", got.Code(), apierr.Reason(got), got.Message(), tt.code, tt.reason, tt.text)
			}
			if strings.Contains(got.Message(), "secret") {
				t.Errorf("the message %q tells what is not for callers", got.Message())
			}
			infos := 0
			for _, d := range got.Details() {
				if _, ok := d.(*errdetails.ErrorInfo); ok {
					infos++
				}
			}
			if infos != 1 {
				t.Errorf("C2.174: %d ErrorInfo, want 1", infos)
			}
		})
	}
	if got := apierr.Status(nil); got != nil {
		t.Errorf("Status(nil) = %v, want nil", got)
	}
}

// okCarrier is an error that claims to be fine.
type okCarrier struct{}

func (okCarrier) Error() string              { return "secret" }
func (okCarrier) GRPCStatus() *status.Status { return nil }

func TestStatusKeepsNothingOfTheError(t *testing.T) {
	e := apierr.New(apierr.NotFound, "NO_SUCH_ORIGIN", "gone").With("resource", "origins/a")
	s := apierr.Status(e)
	e.With("resource", "origins/b")
	info, ok := s.Details()[0].(*errdetails.ErrorInfo)
	if !ok || info.GetMetadata()["resource"] != "origins/a" {
		t.Errorf("details = %v, want the metadata of the moment", s.Details())
	}
}

func TestReasonOfBareStatus(t *testing.T) {
	if got := apierr.Reason(status.New(codes.NotFound, "unknown service")); got != "" {
		t.Errorf("Reason = %q, want none", got)
	}
	if got := apierr.Reason(nil); got != "" {
		t.Errorf("Reason(nil) = %q, want none", got)
	}
}
