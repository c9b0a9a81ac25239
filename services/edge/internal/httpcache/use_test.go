// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"testing"
	"time"
)

// control is the request with these directives.
func control(line string) Request {
	return ParseRequest("GET", fields("Cache-Control", line), Policy{Semantics: HTTP})
}

func TestDecide(t *testing.T) {
	plain := Span{ResponseTime: received, Lifetime: time.Minute, Retain: time.Hour}
	aged := plain
	aged.InitialAge = 20 * time.Second
	open := plain
	open.Windows = Windows{Unreachable: MaxLifetime, Failing: MaxLifetime, Asked: MaxLifetime}
	refreshing := plain
	refreshing.Windows.Refreshing = time.Minute
	failed := open
	failed.RetryAfter = received.Add(90 * time.Second)
	failedRefresh := refreshing
	failedRefresh.RetryAfter = received.Add(90 * time.Second)
	forbidden := plain
	forbidden.RetryAfter = received.Add(90 * time.Second)
	for _, tt := range []struct {
		name  string
		span  Span
		req   Request
		after time.Duration
		want  Use
	}{
		{"D14.1: fresh", plain, get, time.Minute - 1, Serve},
		{"D14.5: stale", plain, get, time.Minute, Validate},
		{"D13.26: dead", plain, get, time.Hour, Ignore},
		{"D13.15: upstream Age counts", aged, get, 40 * time.Second, Validate},
		{"D13.24: stale while revalidate", refreshing, get, time.Minute, ServeAndRefresh},
		{"D13.24: to the last moment", refreshing, get, 2*time.Minute - 1, ServeAndRefresh},
		{"D13.24: and no longer", refreshing, get, 2 * time.Minute, Validate},
		{"D13.21: after a failure the origin rests", failed, get, 80 * time.Second, Serve},
		{"D13.21: and is tried again", failed, get, 90 * time.Second, Validate},
		{"D13.21: a failed refresh in the background too", failedRefresh, get, 80 * time.Second, Serve},
		{"D13.21: nothing stale where that is forbidden", forbidden, get, 80 * time.Second, Validate},

		{"RFC 9111 5.2.1.4: no-cache", plain, control("no-cache"), 0, Validate},
		{"RFC 9111 5.2.1.4: no-cache with a window", refreshing, control("no-cache"), time.Minute, Validate},
		{"RFC 9111 5.2.1.1: young enough", aged, control("max-age=30"), 10 * time.Second, Serve},
		{"RFC 9111 5.2.1.1: too old", aged, control("max-age=30"), 10*time.Second + 1, Validate},
		{"RFC 9111 5.2.1.1: max-age=0 at the moment of receipt", plain, control("max-age=0"), 0, Serve},
		{"RFC 9111 5.2.1.1: max-age=0", plain, control("max-age=0"), 1, Validate},
		{"RFC 9111 5.2.1.1: malformed counts as 0", plain, control("max-age=x"), 1, Validate},
		{"RFC 9111 5.2.1.3: fresh enough", plain, control("min-fresh=30"), 30 * time.Second, Serve},
		{"RFC 9111 5.2.1.3: not fresh enough", plain, control("min-fresh=30"), 30*time.Second + 1, Validate},
		{"RFC 9111 5.2.1.3: stale is never fresh enough", refreshing, control("min-fresh=0"), 61 * time.Second, Validate},
		{"RFC 9111 5.2.1.2: max-stale", open, control("max-stale=10"), 70 * time.Second, Serve},
		{"RFC 9111 5.2.1.2: too stale", open, control("max-stale=10"), 70*time.Second + 1, Validate},
		{"RFC 9111 5.2.1.2: any staleness", open, control("max-stale"), time.Hour - 1, Serve},
		{"RFC 9111 5.2.1.2: malformed is none", open, control("max-stale=x"), 70 * time.Second, Validate},
		{"RFC 9111 5.2.1.2: the origin forbids it", plain, control("max-stale"), time.Minute, Validate},
		{"RFC 9111 5.2.1.2: nor what is dead", open, control("max-stale"), time.Hour, Ignore},
		{"RFC 9111 5.2.1.2: with a max-age that it is too old for", open, control("max-stale, max-age=10"), time.Minute, Validate},
		{"RFC 9111 5.2.1.7: only-if-cached, fresh", plain, control("only-if-cached"), 0, Serve},
		{"RFC 9111 5.2.1.7: only-if-cached, stale", plain, control("only-if-cached"), time.Minute, Unavailable},
		{"RFC 9111 5.2.1.7: only-if-cached, dead", plain, control("only-if-cached"), time.Hour, Unavailable},
		{"RFC 9111 5.2.1.7: only-if-cached, max-stale", open, control("only-if-cached, max-stale"), time.Minute, Serve},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Decide(tt.span, tt.req, received.Add(tt.after)); got != tt.want {
				t.Errorf("Decide after %v = %v, want %v", tt.after, got, tt.want)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	if got := Absent(get); got != Ignore {
		t.Errorf("Absent = %v, want %v", got, Ignore)
	}
	if got := Absent(control("only-if-cached")); got != Unavailable {
		t.Errorf("RFC 9111 5.2.1.7: Absent = %v, want %v", got, Unavailable)
	}
}

func TestStaleOnError(t *testing.T) {
	span := Span{
		ResponseTime: received, Lifetime: time.Minute, Retain: time.Hour,
		Windows: Windows{Unreachable: 10 * time.Minute, Failing: 5 * time.Minute},
	}
	never := span
	never.Windows = Windows{Refreshing: time.Hour, Asked: time.Hour}
	always := span
	always.Windows.Unreachable = MaxLifetime
	for _, tt := range []struct {
		name    string
		span    Span
		failure Failure
		after   time.Duration
		want    bool
	}{
		{"D13.25: unreachable", span, Unreachable, 11*time.Minute - 1, true},
		{"D13.25: unreachable for too long", span, Unreachable, 11 * time.Minute, false},
		{"D13.25: failing", span, Failing, 6*time.Minute - 1, true},
		{"D13.25: failing for too long", span, Failing, 6 * time.Minute, false},
		{"D13.8: forbidden", never, Unreachable, time.Minute, false},
		{"D13.8: forbidden", never, Failing, time.Minute, false},
		{"D14.12: fresh meanwhile", never, Failing, time.Minute - 1, true},
		{"D13.26: never beyond its end", always, Unreachable, time.Hour - 1, true},
		{"D13.26: never beyond its end", always, Unreachable, time.Hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := StaleOnError(tt.span, tt.failure, received.Add(tt.after)); got != tt.want {
				t.Errorf("StaleOnError after %v = %v, want %v", tt.after, got, tt.want)
			}
		})
	}
}

func TestFailed(t *testing.T) {
	for status, want := range map[int][2]bool{ // cloudfront, http
		200: {}, 404: {}, 499: {}, 500: {true, true}, 501: {true, false}, 502: {true, true},
		503: {true, true}, 504: {true, true}, 505: {true, false}, 599: {true, false}, 600: {}, 999: {},
	} {
		got := [2]bool{Policy{}.Failed(status), Policy{Semantics: HTTP}.Failed(status)}
		if got != want {
			t.Errorf("D13.21, RFC 5861 4: Failed(%d) = %v, want %v", status, got, want)
		}
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	p := Policy{Semantics: HTTP, Max: time.Hour}
	plain := fields("Host", "a.test", "User-Agent", "curl/8.5.0", "Accept", "*/*")
	asking := fields("Cache-Control", "max-age=0, no-cache", "Accept-Language", "de, en;q=0.5", "If-Modified-Since", dateAfter)
	stored := answer(200, "Last-Modified", dateSame)
	span := Span{ResponseTime: received, Lifetime: time.Minute, Retain: time.Hour}
	vary := VaryOf(fields("Vary", "Accept-Language, X-Other, User-Agent"))
	var room [1024]byte
	for name, f := range map[string]func(){
		"ParseRequest":            func() { ParseRequest("GET", plain, p) },
		"ParseRequest directives": func() { ParseRequest("GET", asking, p) },
		"Decide":                  func() { Decide(span, get, received) },
		"Age":                     func() { Age(0, received, received) },
		"AppendKey":               func() { vary.AppendKey(room[:0], asking) },
		"Evaluate":                func() { Evaluate("GET", asking, stored) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times, want 0", name, n)
		}
	}
}
