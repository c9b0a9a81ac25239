// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// received is when the answers of these tests came.
var received = time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)

// inSeconds is the HTTP-date n seconds after receipt.
func inSeconds(n int) string {
	return FormatDate(received.Add(time.Duration(n) * time.Second))
}

// fields makes a header of names and values in turn.
func fields(namesAndValues ...string) header.Fields {
	var h header.Fields
	for i := 0; i < len(namesAndValues); i += 2 {
		h.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return h
}

// answer is an origin's answer that took no time.
func answer(status int, namesAndValues ...string) Response {
	return Response{
		Status: status, Header: fields(namesAndValues...), RequestTime: received, ResponseTime: received,
	}
}

// get is a request that asks nothing of the cache.
var get = Request{Method: "GET"}

var (
	zeroMin = Policy{Min: 0, Default: time.Hour, Max: 24 * time.Hour}
	someMin = Policy{Min: time.Minute, Default: time.Hour, Max: 24 * time.Hour}
)

// notStored stands for the lifetime of an answer that is not stored.
const notStored = time.Duration(-1)

// lifetimeCase is one answer under MinTTL = 0 and under MinTTL > 0.
type lifetimeCase struct {
	name     string
	header   header.Fields
	zero     time.Duration // lifetime under zeroMin
	positive time.Duration // lifetime under someMin
}

func (c lifetimeCase) check(t *testing.T) {
	for policy, want := range map[*Policy]time.Duration{&zeroMin: c.zero, &someMin: c.positive} {
		r := answer(200)
		r.Header = c.header
		a := Assess(get, r, *policy)
		got := a.Lifetime
		if !a.Storable {
			got = notStored
		}
		if got != want {
			t.Errorf("MinTTL %v: lifetime = %v (%v), want %v", policy.Min, got, a.Reason, want)
		}
	}
}

// TestLifetimeTable covers each cell of the table of D13.1.
func TestLifetimeTable(t *testing.T) {
	for _, tt := range []lifetimeCase{
		{"D13.1 row 1: s-maxage", fields("Cache-Control", "s-maxage=600"), 600 * time.Second, 600 * time.Second},
		{"D13.1: s-maxage wins over max-age", fields("Cache-Control", "max-age=60, s-maxage=600"), 600 * time.Second, 600 * time.Second},
		{"D13.1: s-maxage wins on another line too", fields("Cache-Control", "max-age=60", "Cache-Control", "s-maxage=600"), 600 * time.Second, 600 * time.Second},
		{"D13.1: s-maxage wins though it is less", fields("Cache-Control", "max-age=600, s-maxage=90"), 90 * time.Second, 90 * time.Second},
		{"D13.1 row 1: s-maxage below MinTTL", fields("Cache-Control", "s-maxage=5"), 5 * time.Second, time.Minute},
		{"D13.1 row 1: s-maxage above MaxTTL", fields("Cache-Control", "s-maxage=999999"), 24 * time.Hour, 24 * time.Hour},
		{"D13.1 row 2: max-age", fields("Cache-Control", "max-age=600"), 600 * time.Second, 600 * time.Second},
		{"D13.1 row 2: max-age below MinTTL", fields("Cache-Control", "max-age=5"), 5 * time.Second, time.Minute},
		{"D13.1 row 2: max-age above MaxTTL", fields("Cache-Control", "max-age=999999"), 24 * time.Hour, 24 * time.Hour},
		{"D13.1: max-age wins over Expires", fields("Cache-Control", "max-age=600", "Expires", inSeconds(900)), 600 * time.Second, 600 * time.Second},
		{"D13.1 row 3: Expires", fields("Expires", inSeconds(600), "Date", inSeconds(0)), 600 * time.Second, 600 * time.Second},
		{"D13.1: Expires less Date, not less receipt", fields("Expires", inSeconds(600), "Date", inSeconds(-300)), 900 * time.Second, 900 * time.Second},
		{"D13.1: Expires less receipt without Date", fields("Expires", inSeconds(600)), 600 * time.Second, 600 * time.Second},
		{"D13.1: Expires less receipt when Date is no date", fields("Expires", inSeconds(600), "Date", "noon"), 600 * time.Second, 600 * time.Second},
		{"D13.1 row 3: Expires below MinTTL", fields("Expires", inSeconds(5)), 5 * time.Second, time.Minute},
		{"D13.1 row 3: Expires above MaxTTL", fields("Expires", inSeconds(999999)), 24 * time.Hour, 24 * time.Hour},
		{"D13.1 row 4: nothing", nil, time.Hour, time.Hour},
		{"D13.1 row 4: public alone", fields("Cache-Control", "public"), time.Hour, time.Hour},
		{"D13.1 row 4: must-revalidate alone", fields("Cache-Control", "must-revalidate"), time.Hour, time.Hour},
		{"D13.1 row 5: no-cache", fields("Cache-Control", "no-cache"), 0, time.Minute},
		{"D13.1 row 5: no-store", fields("Cache-Control", "no-store"), notStored, time.Minute},
		{"D13.1 row 5: private", fields("Cache-Control", "private"), notStored, time.Minute},
		{"D13.1 row 5: no-cache whatever else", fields("Cache-Control", "no-cache, max-age=600"), 0, time.Minute},
		{"D13.1 row 5: no-store whatever else", fields("Cache-Control", "no-store, s-maxage=600"), notStored, time.Minute},
		{"D13.1 row 5: private whatever else", fields("Cache-Control", "private, max-age=600", "Expires", inSeconds(600)), notStored, time.Minute},
		{"D13.1 row 5: all three", fields("Cache-Control", "no-cache, no-store, private"), notStored, time.Minute},
	} {
		t.Run(tt.name, tt.check)
	}
}

// TestLifetimeDetails covers what the rules around that table add to it.
func TestLifetimeDetails(t *testing.T) {
	for _, tt := range []lifetimeCase{
		{"D13.4: Last-Modified gives no lifetime", fields("Last-Modified", inSeconds(-1e6)), time.Hour, time.Hour},
		{"D13.6: max-age=0", fields("Cache-Control", "max-age=0"), 0, time.Minute},
		{"D13.6: Expires in the past", fields("Expires", inSeconds(-1)), 0, time.Minute},
		{"D13.6: Expires equal to Date", fields("Expires", inSeconds(0), "Date", inSeconds(0)), 0, time.Minute},
		{"D13.7: malformed max-age", fields("Cache-Control", "max-age=-1", "Expires", inSeconds(600)), 0, time.Minute},
		{"D13.7: malformed s-maxage hides max-age", fields("Cache-Control", "s-maxage=1.5, max-age=600"), 0, time.Minute},
		{"D13.7: Expires: 0", fields("Expires", "0"), 0, time.Minute},
		{"D13.7: Expires empty", fields("Expires", ""), 0, time.Minute},
		{"D13.7: Expires twice the same", fields("Expires", inSeconds(600), "Expires", inSeconds(600)), 600 * time.Second, 600 * time.Second},
		{"D13.7: Expires twice, different", fields("Expires", inSeconds(600), "Expires", inSeconds(601)), 0, time.Minute},
		{"D13.8: immutable and public have no effect", fields("Cache-Control", "public, immutable, max-age=600"), 600 * time.Second, 600 * time.Second},
		{"D13.8: no-cache with a field list is no no-cache", fields("Cache-Control", `no-cache="Set-Cookie", max-age=600`), 600 * time.Second, 600 * time.Second},
		{"D13.8: private with a field list is no private", fields("Cache-Control", `private="X-User"`), time.Hour, time.Hour},
		{"D13.9: CDN-Cache-Control is ignored", fields("CDN-Cache-Control", "max-age=600"), time.Hour, time.Hour},
		{"D13.9: Surrogate-Control is ignored", fields("Surrogate-Control", "no-store"), time.Hour, time.Hour},
		{"D13.10: Pragma is ignored", fields("Pragma", "no-cache"), time.Hour, time.Hour},
		{"D13.17: Vary changes nothing", fields("Vary", "Cookie, X-Any"), time.Hour, time.Hour},
		{"D13.18: Vary: *", fields("Vary", "*", "Cache-Control", "max-age=600"), 0, 600 * time.Second},
		{"D13.18: Vary: * among others", fields("Vary", "Accept", "Vary", "Origin , *"), 0, time.Hour},
	} {
		t.Run(tt.name, tt.check)
	}
}

func TestLifetimeUnderOtherPolicies(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		name   string
		policy Policy
		header header.Fields
		want   time.Duration
	}{
		{"D13.1: DefaultTTL below MinTTL", Policy{Min: 60, Default: 30, Max: 90}, nil, 60},
		{"D13.4: DefaultTTL does not replace an origin's lifetime", Policy{Default: time.Hour, Max: year}, fields("Cache-Control", "max-age=1"), time.Second},
		{"D13.4: MaxTTL does not apply to DefaultTTL", Policy{Default: time.Hour, Max: time.Minute}, nil, time.Hour},
		{"D13.1: DefaultTTL of 0", Policy{Max: year}, nil, 0},
		{"D13.7: max-age capped at 100 years", Policy{Max: 1 << 62}, fields("Cache-Control", "max-age=99999999999"), MaxLifetime},
		{"D13.7: DefaultTTL capped at 100 years", Policy{Default: 1 << 62, Max: 1 << 62}, nil, MaxLifetime},
		{"D13.7: Expires capped at 100 years", Policy{Max: MaxLifetime}, fields("Expires", "Fri, 31 Dec 9999 23:59:59 GMT"), MaxLifetime},
		{"D30.2: MinTTL of 1 s shares a private page for a second", Policy{Min: time.Second, Default: 24 * time.Hour, Max: year}, fields("Cache-Control", "private, no-store"), time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := answer(200)
			r.Header = tt.header
			if a := Assess(get, r, tt.policy); !a.Storable || a.Lifetime != tt.want {
				t.Errorf("lifetime = %v (%v), want %v", a.Lifetime, a.Reason, tt.want)
			}
		})
	}
}

func TestInitialAge(t *testing.T) {
	for _, tt := range []struct {
		name   string
		took   time.Duration
		header header.Fields
		want   time.Duration
	}{
		{"D13.14: no Age counts from receipt", 3 * time.Second, nil, 0},
		{"D13.14: a Date in the past adds nothing", 0, fields("Date", inSeconds(-500)), 0},
		{"D13.15: upstream Age", 0, fields("Age", "20"), 20 * time.Second},
		{"RFC 9111 4.2.3: upstream Age and the time under way", 3 * time.Second, fields("Age", "20"), 23 * time.Second},
		{"RFC 9111 4.2.3: a clock that went back", -time.Hour, fields("Age", "20"), 20 * time.Second},
		{"RFC 9111 5.1: the first member", 0, fields("Age", "20, 30"), 20 * time.Second},
		{"RFC 9111 5.1: the first line", 0, fields("Age", "20", "Age", "30"), 20 * time.Second},
		{"RFC 9111 5.1: negative is ignored", 0, fields("Age", "-20"), 0},
		{"RFC 9111 5.1: fraction is ignored", 0, fields("Age", "2.5"), 0},
		{"RFC 9111 5.1: empty is ignored", 0, fields("Age", ""), 0},
		{"D13.7: at most 100 years", time.Hour, fields("Age", "99999999999999999999"), MaxLifetime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Response{Status: 200, Header: tt.header, RequestTime: received.Add(-tt.took), ResponseTime: received}
			if got := Assess(get, r, zeroMin).InitialAge; got != tt.want {
				t.Errorf("InitialAge = %v, want %v", got, tt.want)
			}
		})
	}
}
