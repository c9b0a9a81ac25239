// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReason(t *testing.T) {
	off := Policy{}
	for _, tt := range []struct {
		name   string
		method string
		answer Response
		policy Policy
		want   Reason
	}{
		{"D13.13: GET", "GET", answer(200), zeroMin, ReasonStored},
		{"D13.31: HEAD", "HEAD", answer(200), zeroMin, ReasonStored},
		{"D13.13: POST", "POST", answer(200, "Cache-Control", "max-age=60"), someMin, ReasonMethod},
		{"D13.13: OPTIONS is not cached by this policy", "OPTIONS", answer(200), someMin, ReasonMethod},
		{"D13.13: methods have one case", "get", answer(200), someMin, ReasonMethod},
		{"D18.9: no error to a PUT", "PUT", answer(503), someMin, ReasonMethod},
		{"D13.3: caching off", "GET", answer(200, "Cache-Control", "max-age=60"), off, ReasonCachingOff},
		{"D18.7: no error when caching is off", "GET", answer(503), off, ReasonCachingOff},
		{"D13.12: 204", "GET", answer(204), zeroMin, ReasonStored},
		{"D13.12: 203 as 200", "GET", answer(203), zeroMin, ReasonStored},
		{"D13.12: 206", "GET", answer(206, "Cache-Control", "max-age=60"), someMin, ReasonPartial},
		{"D13.12: 301", "GET", answer(301), zeroMin, ReasonStored},
		{"D13.12: 302", "GET", answer(302), zeroMin, ReasonStored},
		{"D13.12: 303", "GET", answer(303), zeroMin, ReasonStored},
		{"D13.12: 307 alone", "GET", answer(307), someMin, ReasonRedirectWithoutControl},
		{"D13.12: 308 alone", "GET", answer(308), someMin, ReasonRedirectWithoutControl},
		{"D13.12: 307 with Expires alone", "GET", answer(307, "Expires", inSeconds(60)), zeroMin, ReasonRedirectWithoutControl},
		{"D13.12: 307 with Cache-Control", "GET", answer(307, "Cache-Control", "max-age=60"), zeroMin, ReasonStored},
		{"D13.12: 308 with any Cache-Control", "GET", answer(308, "Cache-Control", "public"), zeroMin, ReasonStored},
		{"D13.12: 302 follows the table", "GET", answer(302, "Cache-Control", "no-store"), zeroMin, ReasonNoStore},
		{"D13.12: 300 is in no list", "GET", answer(300, "Cache-Control", "max-age=60"), zeroMin, ReasonStatus},
		{"D14.3: 304 by itself", "GET", answer(304, "Cache-Control", "max-age=60"), someMin, ReasonNotSelfContained},
		{"1xx", "GET", answer(103), someMin, ReasonStatus},
		{"D13.1: no-store", "GET", answer(200, "Cache-Control", "no-store"), zeroMin, ReasonNoStore},
		{"D13.1: private", "GET", answer(200, "Cache-Control", "private"), zeroMin, ReasonPrivate},
		{"D13.1: both", "GET", answer(200, "Cache-Control", "private, no-store"), zeroMin, ReasonNoStore},
		{"D13.2: MinTTL beats no-store", "GET", answer(200, "Cache-Control", "no-store"), someMin, ReasonStored},
		{"D13.2: MinTTL beats private", "GET", answer(200, "Cache-Control", "private"), someMin, ReasonStored},
		{"D13.1: no-cache is kept to be validated", "GET", answer(200, "Cache-Control", "no-cache"), zeroMin, ReasonStored},
		{"D13.6: max-age=0 is kept to be validated", "GET", answer(200, "Cache-Control", "max-age=0"), zeroMin, ReasonStored},
		{"D13.18: Vary: * is stored", "GET", answer(200, "Vary", "*"), zeroMin, ReasonStored},
		{"D17.6: Set-Cookie does not prevent storing", "GET", answer(200, "Set-Cookie", "a=b"), zeroMin, ReasonStored},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := Assess(Request{Method: tt.method}, tt.answer, tt.policy)
			if a.Reason != tt.want {
				t.Errorf("Reason = %v, want %v", a.Reason, tt.want)
			}
			if a.Storable != (tt.want == ReasonStored) {
				t.Errorf("Storable = %v under the reason %v", a.Storable, a.Reason)
			}
		})
	}
}

func TestShareable(t *testing.T) {
	cookies := someMin
	cookies.CookiesForwarded = true
	noDefault := Policy{Max: time.Hour}
	for _, tt := range []struct {
		name   string
		method string
		answer Response
		policy Policy
		want   bool
	}{
		{"D14.8: waiters share", "GET", answer(200), zeroMin, true},
		{"D14.8: nothing said and DefaultTTL 0", "GET", answer(200), noDefault, true},
		{"D14.8: an error that is not stored", "GET", answer(401), zeroMin, true},
		{"D14.8: a redirect that is not stored", "GET", answer(307), zeroMin, true},
		{"D14.9: caching off", "GET", answer(200), Policy{}, false},
		{"D14.9: cookies forwarded", "GET", answer(200, "Cache-Control", "max-age=60"), cookies, false},
		{"D14.9: method not cached", "POST", answer(200), zeroMin, false},
		{"D14.10: private", "GET", answer(200, "Cache-Control", "private"), zeroMin, false},
		{"D14.10: no-store", "GET", answer(200, "Cache-Control", "no-store"), zeroMin, false},
		{"D14.10: no-cache", "GET", answer(200, "Cache-Control", "no-cache"), zeroMin, false},
		{"D14.10: max-age=0", "GET", answer(200, "Cache-Control", "max-age=0"), zeroMin, false},
		{"D14.10: s-maxage=0", "GET", answer(200, "Cache-Control", "s-maxage=0, max-age=60"), zeroMin, false},
		{"D14.10: max-age=0 overridden by s-maxage", "GET", answer(200, "Cache-Control", "s-maxage=60, max-age=0"), zeroMin, true},
		{"D14.10: Expires in the past", "GET", answer(200, "Expires", "0"), zeroMin, false},
		{"D14.10: private error that is not stored", "GET", answer(401, "Cache-Control", "private"), zeroMin, false},
		{"D14.10: no-cache with a field list", "GET", answer(200, "Cache-Control", `no-cache="Set-Cookie"`), zeroMin, true},
		{"D14.11: private under MinTTL", "GET", answer(200, "Cache-Control", "private"), someMin, true},
		{"D14.11: no-store under MinTTL", "GET", answer(200, "Cache-Control", "no-store"), someMin, true},
		{"D14.11: no-cache under MinTTL", "GET", answer(200, "Cache-Control", "no-cache"), someMin, true},
		{"D14.11: max-age=0 under MinTTL", "GET", answer(200, "Cache-Control", "max-age=0"), someMin, true},
		{"D14.11: private 401 under MinTTL", "GET", answer(401, "Cache-Control", "private"), someMin, true},
		{"D13.18: Vary: *", "GET", answer(200, "Vary", "*"), zeroMin, false},
		{"D13.18: Vary: * under MinTTL", "GET", answer(200, "Vary", "*"), someMin, true},
		{"D14.12: an error that is stored although no-store", "GET", answer(500, "Cache-Control", "no-store"), zeroMin, true},
		{"D14.3: 304", "GET", answer(304), someMin, false},
		{"206", "GET", answer(206), someMin, false},
		{"1xx", "GET", answer(103), someMin, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Assess(Request{Method: tt.method}, tt.answer, tt.policy).Shareable; got != tt.want {
				t.Errorf("Shareable = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestAssessment compares whole assessments, for the fields that the other tables
// leave out.
func TestAssessment(t *testing.T) {
	cookies := zeroMin
	cookies.CookiesForwarded = true
	stored := Assessment{
		Storable: true, Reason: ReasonStored, Lifetime: time.Hour, Retain: 24 * time.Hour, Shareable: true,
		Windows: Windows{Unreachable: MaxLifetime, Failing: MaxLifetime},
	}
	never := func(a *Assessment) { a.Windows, a.NoStaleOnError = Windows{}, true }
	for _, tt := range []struct {
		name   string
		answer Response
		policy Policy
		want   func(a *Assessment)
	}{
		{"D13.26, D30.5: kept for MaxTTL, and served on error", answer(200), zeroMin, func(*Assessment) {}},
		{"D13.26: never stale without MaxTTL", answer(200), Policy{Default: time.Hour}, func(a *Assessment) { a.Retain = 0 }},
		{"D13.26: an old answer is kept for MaxTTL too", answer(200, "Age", "5"), zeroMin, func(a *Assessment) { a.InitialAge = 5 * time.Second }},
		{"D13.8: must-revalidate", answer(200, "Cache-Control", "must-revalidate"), zeroMin, never},
		{"D13.8: proxy-revalidate", answer(200, "Cache-Control", "proxy-revalidate"), zeroMin, never},
		{"D13.23: stale-if-error=0", answer(200, "Cache-Control", "stale-if-error=0"), zeroMin, never},
		{
			"D13.23: no-store under MinTTL may be stale", answer(200, "Cache-Control", "no-store"), someMin,
			func(a *Assessment) { a.Lifetime = time.Minute },
		},
		{
			"D13.23: no-store under MinTTL with stale-if-error=0 may not", answer(200, "Cache-Control", "no-store, stale-if-error=0"), someMin,
			func(a *Assessment) { a.Lifetime = time.Minute; never(a) },
		},
		{
			"D13.23: no-cache may be stale when MaxTTL > 0", answer(200, "Cache-Control", "no-cache"), zeroMin,
			func(a *Assessment) { a.Lifetime, a.Shareable = 0, false },
		},
		{
			"D13.24, D13.25: windows", answer(200, "Cache-Control", "stale-while-revalidate=60, stale-if-error=600"), zeroMin,
			func(a *Assessment) {
				a.Windows = Windows{Refreshing: time.Minute, Unreachable: 10 * time.Minute, Failing: 10 * time.Minute}
			},
		},
		{
			"D13.24, D13.25: not beyond MaxTTL", answer(200, "Cache-Control", "stale-while-revalidate=99999999, stale-if-error=99999999"), zeroMin,
			func(a *Assessment) {
				a.Windows = Windows{Refreshing: 24 * time.Hour, Unreachable: 24 * time.Hour, Failing: 24 * time.Hour}
			},
		},
		{
			"D13.27: refreshed though never served on error", answer(200, "Cache-Control", "stale-while-revalidate=60, stale-if-error=0"), zeroMin,
			func(a *Assessment) { a.Windows, a.NoStaleOnError = Windows{Refreshing: time.Minute}, true },
		},
		{
			"D13.8: must-revalidate closes every window",
			answer(200, "Cache-Control", "stale-while-revalidate=60, stale-if-error=60, must-revalidate"), zeroMin, never,
		},
		{
			"D13.18: Vary: * is not refreshed in the background", answer(200, "Vary", "*", "Cache-Control", "stale-while-revalidate=60"), zeroMin,
			func(a *Assessment) { a.Lifetime, a.Shareable, a.NoCondition = 0, false, true },
		},
		{
			"D13.18: Vary: * is refetched without conditions", answer(200, "Vary", "*", "ETag", `"a"`), zeroMin,
			func(a *Assessment) { a.Lifetime, a.Shareable, a.NoCondition = 0, false, true },
		},
		{"D13.18: Vary: * under MinTTL is validated", answer(200, "Vary", "*"), someMin, func(*Assessment) {}},
		{
			"D14.4: no conditions when cookies are forwarded", answer(200, "ETag", `"a"`), cookies,
			func(a *Assessment) { a.Shareable, a.NoCondition = false, true },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := stored
			tt.want(&want)
			if diff := cmp.Diff(want, Assess(get, tt.answer, tt.policy)); diff != "" {
				t.Errorf("Assess (-want +got):\n%s", diff)
			}
		})
	}
}
