// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// errorPolicy gives 400, 403 and 405 no minimum, 416 and 429 an hour, all others
// the default of 10 s. MaxTTL is a minute.
var errorPolicy = Policy{
	Default: 30 * time.Second, Max: time.Minute,
	ErrorTTL: map[int]time.Duration{400: 0, 403: 0, 405: 0, 416: time.Hour, 429: time.Hour},
}

func TestErrorLifetime(t *testing.T) {
	zero := errorPolicy
	zero.ErrorTTL = map[int]time.Duration{404: 0, 500: 0}
	s3 := zero
	s3.S3 = true
	long := errorPolicy
	long.Min, long.ErrorTTL = 20*time.Second, map[int]time.Duration{404: time.Hour}
	const none = time.Duration(0)
	for _, tt := range []struct {
		name   string
		answer Response
		policy Policy
		want   time.Duration
		reason Reason
	}{
		{"D18.1: max-age above the minimum", answer(404, "Cache-Control", "max-age=25"), errorPolicy, 25 * time.Second, ReasonStored},
		{"D18.1: s-maxage above the minimum", answer(500, "Cache-Control", "max-age=5, s-maxage=25"), errorPolicy, 25 * time.Second, ReasonStored},
		{"D18.1: Expires above the minimum", answer(503, "Expires", inSeconds(25)), errorPolicy, 25 * time.Second, ReasonStored},
		{"D18.1: max-age below the minimum", answer(404, "Cache-Control", "max-age=5"), errorPolicy, 10 * time.Second, ReasonStored},
		{"D18.1: max-age=0", answer(502, "Cache-Control", "max-age=0"), errorPolicy, 10 * time.Second, ReasonStored},
		{"D18.1: MaxTTL caps the origin's value", answer(404, "Cache-Control", "max-age=9999"), errorPolicy, time.Minute, ReasonStored},
		{"D18.1: MaxTTL does not cap the minimum", answer(404), long, time.Hour, ReasonStored},
		{"D18.1: neither MinTTL nor DefaultTTL counts", answer(500), long, 10 * time.Second, ReasonStored},
		{"D18.2: max-age and minimum 0", answer(403, "Cache-Control", "max-age=25"), errorPolicy, 25 * time.Second, ReasonStored},
		{"D18.2: same formula", answer(412, "Cache-Control", "s-maxage=5"), errorPolicy, 10 * time.Second, ReasonStored},
		{"D18.2: max-age=0 and minimum 0", answer(403, "Cache-Control", "max-age=0"), errorPolicy, none, ReasonErrorTTLZero},
		{"D18.2: Expires is not enough", answer(415, "Expires", inSeconds(25)), errorPolicy, none, ReasonErrorWithoutMaxAge},
		{"D13.1: Expires does not count beside max-age", answer(412, "Cache-Control", "max-age=5", "Expires", inSeconds(50)), errorPolicy, 10 * time.Second, ReasonStored},
		{"D18.3: minimum 0", answer(404), zero, none, ReasonErrorTTLZero},
		{"D18.4: minimum 0 prevents caching of 500", answer(500), zero, none, ReasonErrorTTLZero},
		{"D18.3: minimum 0 and max-age", answer(404, "Cache-Control", "max-age=5"), zero, 5 * time.Second, ReasonStored},
		{"D18.3: minimum 0 acts as 1 s for S3", answer(404), s3, time.Second, ReasonStored},
		{"D18.4: must-revalidate is ignored", answer(404, "Cache-Control", "must-revalidate"), errorPolicy, 10 * time.Second, ReasonStored},
		{"D18.4: no-cache with a field list is no no-cache", answer(404, "Cache-Control", `no-cache="Set-Cookie"`), errorPolicy, 10 * time.Second, ReasonStored},
		{"D18.4: no-store is ignored on 403", answer(403, "Cache-Control", "no-store, max-age=25"), errorPolicy, 25 * time.Second, ReasonStored},
		{"D18.4: no-store under MinTTL", answer(404, "Cache-Control", "no-store"), long, none, ReasonErrorForbidden},
		{"D18.5: 416 whatever its minimum", answer(416, "Cache-Control", "max-age=25"), errorPolicy, none, ReasonStatus},
		{"D30.3: 429 never", answer(429, "Cache-Control", "max-age=25"), errorPolicy, none, ReasonStatus},
		{"D18.7: S3 501 with no-store under MinTTL", answer(501, "Cache-Control", "no-store"), Policy{Min: 1, Max: 1, S3: true}, none, ReasonErrorForbidden},
		{"D18.8: an error made by the edge, without any header", answer(504), errorPolicy, 10 * time.Second, ReasonStored},
		{"D13.18: Vary: * does not touch the clock of errors", answer(500, "Vary", "*"), errorPolicy, 10 * time.Second, ReasonStored},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} { // D18.9
				a := Assess(Request{Method: method}, tt.answer, tt.policy)
				if a.Lifetime != tt.want || a.Reason != tt.reason {
					t.Errorf("%s: lifetime = %v (%v), want %v (%v)", method, a.Lifetime, a.Reason, tt.want, tt.reason)
				}
			}
		})
	}
}

// TestErrorStatuses goes through every status from 400 to 599 with each kind of
// Cache-Control. The expectation lists what is cached; all the rest must not be.
func TestErrorStatuses(t *testing.T) {
	type situation struct {
		rule    string
		control string // "" for none
		cached  []int
	}
	policy := errorPolicy
	policy.ErrorTTL = nil // 10 s for all
	always := []int{404, 414, 500, 501, 502, 503, 504}
	withAge := append([]int{400, 403, 405, 412, 415}, always...)
	for _, tt := range []situation{
		{"D18.1, D18.6: without a lifetime", "", always},
		{"D18.2, D18.5, D18.6: with max-age", "max-age=10", withAge},
		{"D18.2, D18.5, D18.6: with s-maxage", "s-maxage=10", withAge},
		{"D18.4: no-store", "no-store", []int{500, 502, 503, 504}},
		{"D18.4: no-cache", "no-cache", []int{500, 502, 503, 504}},
		{"D18.4: private", "private", []int{500, 502, 503, 504}},
		{"D18.4: private and max-age", "private, max-age=10", []int{400, 403, 405, 412, 415, 500, 502, 503, 504}},
		{"D18.4: other values", "must-revalidate, public", always},
	} {
		cached := map[int]bool{}
		for _, status := range tt.cached {
			cached[status] = true
		}
		for status := 400; status < 600; status++ {
			t.Run(fmt.Sprintf("%s: %d", tt.rule, status), func(t *testing.T) {
				r := answer(status)
				if tt.control != "" {
					r.Header.Add("Cache-Control", tt.control)
				}
				a := Assess(get, r, policy)
				if a.Storable != cached[status] {
					t.Errorf("Storable = %v (%v), want %v", a.Storable, a.Reason, cached[status])
				}
				if a.Storable && a.Lifetime != 10*time.Second {
					t.Errorf("Lifetime = %v, want the 10 s of D18.3", a.Lifetime)
				}
			})
		}
	}
}

func TestErrorAssessment(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer Response
		want   Assessment
	}{
		{
			"D18.10: after its time an error is gone", answer(503),
			Assessment{
				Storable: true, Reason: ReasonStored, Lifetime: 10 * time.Second, Retain: 10 * time.Second,
				Shareable: true, NoStaleOnError: true,
			},
		},
		{
			"D18.10: the age that it came with counts", answer(503, "Age", "4"),
			Assessment{
				Storable: true, Reason: ReasonStored, InitialAge: 4 * time.Second, Lifetime: 10 * time.Second,
				Retain: 6 * time.Second, Shareable: true, NoStaleOnError: true,
			},
		},
		{
			"D18.10: it came too old", answer(503, "Age", "40"),
			Assessment{
				Storable: true, Reason: ReasonStored, InitialAge: 40 * time.Second, Lifetime: 10 * time.Second,
				Shareable: true, NoStaleOnError: true,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Assess(get, tt.answer, errorPolicy)); diff != "" {
				t.Errorf("Assess (-want +got):\n%s", diff)
			}
		})
	}
}
