// SPDX-License-Identifier: Apache-2.0

package apierr_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/apierr"
)

func TestAtNamesTheField(t *testing.T) {
	got := apierr.New(apierr.Invalid, "INVALID_PATH", "path %q has no slash", "news").
		With("actual", "news").At("distribution.config.behaviors[0].path_pattern")
	want := &apierr.Error{
		Kind: apierr.Invalid, Reason: "INVALID_PATH", Message: `path "news" has no slash`,
		Metadata: map[string]string{"actual": "news", "field": "distribution.config.behaviors[0].path_pattern"},
		Violations: []apierr.Violation{{
			Field: "distribution.config.behaviors[0].path_pattern", Reason: "INVALID_PATH", Description: `path "news" has no slash`,
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("At (-want +got):\n%s", diff)
	}
}

func TestFieldsMakeOneError(t *testing.T) {
	first := apierr.Violation{Field: "origin.host", Reason: "INVALID_DOMAIN", Description: "is no host name"}
	second := apierr.Violation{Field: "origin.http_port", Reason: "INVALID_ARGUMENT", Description: "is 0, want 80, 443 or 1024 to 65535"}
	for _, tt := range []struct {
		name string
		in   []apierr.Violation
		want string
	}{
		{"no violation is no error", nil, ""},
		{"one violation is the message", []apierr.Violation{first}, "INVALID_DOMAIN: origin.host is no host name"},
		{"more are counted", []apierr.Violation{second, first, first}, "INVALID_ARGUMENT: origin.http_port is 0, want 80, 443 or 1024 to 65535 (and 2 more)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := apierr.BadFields(tt.in)
			if tt.want == "" {
				if got != nil {
					t.Fatalf("BadFields = %v, want nil", got)
				}
				return
			}
			if got.Error() != tt.want || got.Kind != apierr.Invalid {
				t.Errorf("BadFields = kind %v, %q, want kind %v, %q", got.Kind, got, apierr.Invalid, tt.want)
			}
			if diff := cmp.Diff(tt.in, got.Violations); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
	if got := apierr.UnsupportedFields([]apierr.Violation{first}); got.Kind != apierr.Unsupported {
		t.Errorf("UnsupportedFields: kind %v, want %v", got.Kind, apierr.Unsupported)
	}
}

func TestErrorIsForLogs(t *testing.T) {
	cause := errors.New("no leader")
	e := apierr.New(apierr.Unavailable, apierr.ReasonStoreUnavailable, "the store cannot answer now")
	e.Cause = cause
	if want := "STORE_UNAVAILABLE: the store cannot answer now: no leader"; e.Error() != want {
		t.Errorf("Error() = %q, want %q", e, want)
	}
	if !errors.Is(fmt.Errorf("write: %w", e), cause) {
		t.Error("the cause is not found through the error")
	}
}
