// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"testing"
	"time"
)

func TestDisabled(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy Policy
		want   bool
	}{
		{"D13.3: all three 0 is off", Policy{}, true},
		{"D13.3: MaxTTL alone is on", Policy{Max: time.Second}, false},
		{"D13.3: DefaultTTL and MaxTTL are on", Policy{Default: time.Second, Max: time.Second}, false},
		{"D13.3: all three the same but not 0 is on", Policy{Min: 1, Default: 1, Max: 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.policy.Disabled(); got != tt.want {
				t.Errorf("Disabled() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestErrorTTL(t *testing.T) {
	minimum := map[int]time.Duration{404: time.Minute, 500: 0, 502: -time.Second, 503: MaxLifetime + 1}
	for _, tt := range []struct {
		name   string
		status int
		policy Policy
		want   time.Duration
	}{
		{"D18.3: default of 10 s", 504, Policy{Max: 1, ErrorTTL: minimum}, 10 * time.Second},
		{"D18.3: default without any entry", 504, Policy{Max: 1}, 10 * time.Second},
		{"D13.21, D18.3: by status", 404, Policy{Max: 1, ErrorTTL: minimum}, time.Minute},
		{"D18.3: 0 is 0", 500, Policy{Max: 1, ErrorTTL: minimum}, 0},
		{"D18.3: 0 acts as 1 s for S3", 500, Policy{Max: 1, ErrorTTL: minimum, S3: true}, time.Second},
		{"D18.3: S3 leaves other values alone", 404, Policy{Max: 1, ErrorTTL: minimum, S3: true}, time.Minute},
		{"D18.3: S3 has the same default", 504, Policy{Max: 1, ErrorTTL: minimum, S3: true}, 10 * time.Second},
		{"D18.7: nothing when caching is off", 404, Policy{ErrorTTL: minimum}, 0},
		{"D18.7: nor for S3", 500, Policy{ErrorTTL: minimum, S3: true}, 0},
		{"D13.7: never negative", 502, Policy{Max: 1, ErrorTTL: minimum}, 0},
		{"D13.7: at most 100 years", 503, Policy{Max: 1, ErrorTTL: minimum}, MaxLifetime},
		{"RFC 9111: none unless asked", 504, Policy{Semantics: HTTP, Max: 1, ErrorTTL: minimum}, 0},
		{"RFC 9111: asked", 404, Policy{Semantics: HTTP, Max: 1, ErrorTTL: minimum}, time.Minute},
		{"RFC 9111: never negative", 502, Policy{Semantics: HTTP, Max: 1, ErrorTTL: minimum}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ErrorTTL(tt.status, tt.policy); got != tt.want {
				t.Errorf("ErrorTTL(%d) = %v, want %v", tt.status, got, tt.want)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for r, want := range map[Reason]string{
		0:                            "unknown",
		ReasonStored:                 "stored",
		ReasonCachingOff:             "caching-off",
		ReasonMethod:                 "method",
		ReasonStatus:                 "status",
		ReasonPartial:                "partial",
		ReasonNotSelfContained:       "not-self-contained",
		ReasonNoStore:                "no-store",
		ReasonPrivate:                "private",
		ReasonRedirectWithoutControl: "redirect-without-control",
		ReasonErrorWithoutMaxAge:     "error-without-max-age",
		ReasonErrorForbidden:         "error-forbidden",
		ReasonErrorTTLZero:           "error-ttl-zero",
		ReasonRequestNoStore:         "request-no-store",
		ReasonAuthorization:          "authorization",
		ReasonVary:                   "vary",
		ReasonStale:                  "stale",
		ReasonTooLarge:               "too-large",
		ReasonTooLarge + 1:           "unknown",
	} {
		if got := r.String(); got != want {
			t.Errorf("Reason(%d) = %q, want %q", r, got, want)
		}
	}
	for f, want := range map[Freshness]string{0: "unknown", Fresh: "fresh", Stale: "stale", Dead: "dead"} {
		if got := f.String(); got != want {
			t.Errorf("Freshness(%d) = %q, want %q", f, got, want)
		}
	}
	for c, want := range map[Condition]string{
		0: "unknown", Send: "send", NotModified: "not-modified", PreconditionFailed: "precondition-failed",
	} {
		if got := c.String(); got != want {
			t.Errorf("Condition(%d) = %q, want %q", c, got, want)
		}
	}
	for s, want := range map[Semantics]string{CloudFront: "cloudfront", HTTP: "http", HTTP + 1: "unknown"} {
		if got := s.String(); got != want {
			t.Errorf("Semantics(%d) = %q, want %q", s, got, want)
		}
	}
	for u, want := range map[Use]string{
		0: "unknown", Serve: "serve", ServeAndRefresh: "serve-and-refresh", Validate: "validate", Ignore: "ignore", Unavailable: "unavailable",
	} {
		if got := u.String(); got != want {
			t.Errorf("Use(%d) = %q, want %q", u, got, want)
		}
	}
	for e, want := range map[HeadEffect]string{HeadNothing: "nothing", HeadUpdates: "updates", HeadOutdates: "outdates", HeadOutdates + 1: "unknown"} {
		if got := e.String(); got != want {
			t.Errorf("HeadEffect(%d) = %q, want %q", e, got, want)
		}
	}
	for f, want := range map[Forward]string{
		0: "none", ForwardBypass: "bypass", ForwardMethod: "method", ForwardURIMiss: "uri-miss", ForwardVaryMiss: "vary-miss",
		ForwardMiss: "miss", ForwardRequest: "request", ForwardStale: "stale", ForwardPartial: "partial",
	} {
		if got := f.String(); got != want {
			t.Errorf("RFC 9211 2.2: Forward(%d) = %q, want %q", f, got, want)
		}
	}
}

// TestPolicyOfCookies: what forwarded cookies mean.
func TestPolicyOfCookies(t *testing.T) {
	for _, tt := range []struct {
		name                         string
		policy                       Policy
		collapses, answers, setsThem bool
	}{
		{"D14.9: without cookies", Policy{Max: 1}, true, true, false},
		{"D14.4, D14.9, D17.6: with cookies", Policy{Max: 1, CookiesForwarded: true}, false, false, true},
		{"D13.3: caching off", Policy{}, false, false, false},
		{"RFC 9111: without cookies", Policy{Semantics: HTTP, Max: 1}, true, true, true},
		{"RFC 9111: with cookies", Policy{Semantics: HTTP, Max: 1, CookiesForwarded: true}, true, true, true},
		{"RFC 9111: caching off", Policy{Semantics: HTTP}, false, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.policy
			if p.Collapses() != tt.collapses || p.AnswersConditions() != tt.answers || p.PassesSetCookie() != tt.setsThem {
				t.Errorf(
					"Collapses, AnswersConditions, PassesSetCookie = %v, %v, %v, want %v, %v, %v",
					p.Collapses(), p.AnswersConditions(), p.PassesSetCookie(), tt.collapses, tt.answers, tt.setsThem,
				)
			}
		})
	}
}
