// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRequest(t *testing.T) {
	unbounded := Delta{Value: MaxLifetime, Present: true}
	for _, tt := range []struct {
		name   string
		header []string
		policy Policy
		want   Request
	}{
		{"nothing", []string{"Accept", "*/*"}, pureHTTP, Request{}},
		{
			"RFC 9111 5.2.1: every directive",
			[]string{"cache-control", "no-cache, no-store, only-if-cached, no-transform", "Cache-Control", "max-age=1, min-fresh=2, max-stale=3"}, pureHTTP,
			Request{NoCache: true, NoStore: true, OnlyIfCached: true, MaxAge: seconds(1), MinFresh: seconds(2), MaxStale: seconds(3)},
		},
		{"RFC 9111 5.2.1.2: any staleness", []string{"Cache-Control", "max-stale"}, pureHTTP, Request{MaxStale: unbounded}},
		{"RFC 9111 5.2.1.2: and again", []string{"Cache-Control", "max-stale, max-stale"}, pureHTTP, Request{MaxStale: unbounded}},
		{"malformed counts as 0", []string{"Cache-Control", "max-age=x, max-stale=, min-fresh=-1"}, pureHTTP, Request{MaxAge: seconds(0), MinFresh: seconds(0), MaxStale: seconds(0)}},
		{"RFC 9111 5.4: Pragma", []string{"Pragma", "a, No-Cache"}, pureHTTP, Request{NoCache: true}},
		{"RFC 9111 5.4: not beside Cache-Control", []string{"Pragma", "no-cache", "Cache-Control", ""}, pureHTTP, Request{}},
		{"RFC 9111 3.5: Authorization", []string{"authorization", ""}, pureHTTP, Request{Authorized: true}},
		{"D4.13, D13.11: nothing of it", []string{"Cache-Control", "no-store", "Pragma", "no-cache", "Authorization", "x"}, zeroMin, Request{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			want.Method = "GET"
			if diff := cmp.Diff(want, ParseRequest("GET", fields(tt.header...), tt.policy)); diff != "" {
				t.Errorf("ParseRequest (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUses(t *testing.T) {
	for _, tt := range []struct {
		method string
		policy Policy
		want   bool
	}{
		{"GET", zeroMin, true}, {"HEAD", pureHTTP, true}, {"POST", pureHTTP, false}, {"OPTIONS", zeroMin, false},
		{"get", pureHTTP, false}, {"GET", Policy{}, false}, {"GET", Policy{Semantics: HTTP}, false},
	} {
		if got := (Request{Method: tt.method}).Uses(tt.policy); got != tt.want {
			t.Errorf("D13.3, D13.13: %s: Uses = %v, want %v", tt.method, got, tt.want)
		}
	}
}

func TestJoins(t *testing.T) {
	cookies := zeroMin
	cookies.CookiesForwarded = true
	for _, tt := range []struct {
		name   string
		req    Request
		policy Policy
		want   bool
	}{
		{"D14.8", get, zeroMin, true},
		{"D14.9: cookies forwarded", get, cookies, false},
		{"D14.9: caching off", get, Policy{}, false},
		{"RFC 9111 4", get, pureHTTP, true},
		{"RFC 9111 5.2.1.4: no-cache", control("no-cache"), pureHTTP, false},
		{"RFC 9111 5.2.1.1: max-age=0", control("max-age=0"), pureHTTP, false},
		{"RFC 9111 5.2.1.1: max-age=1", control("max-age=1"), pureHTTP, true},
		{"RFC 9111 5.2.1.5: no-store", control("no-store"), pureHTTP, false},
		{"RFC 9111 3.5: Authorization", Request{Method: "GET", Authorized: true}, pureHTTP, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.req.Joins(tt.policy); got != tt.want {
				t.Errorf("Joins = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestReasonOfRequest(t *testing.T) {
	for r := Reason(0); r <= ReasonTooLarge; r++ {
		want := r == ReasonMethod || r == ReasonRequestNoStore || r == ReasonAuthorization
		if got := r.OfRequest(); got != want {
			t.Errorf("%v: OfRequest = %v, want %v", r, got, want)
		}
	}
}
