// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"math"
	"testing"
	"time"
)

func TestState(t *testing.T) {
	span := Span{ResponseTime: received, Lifetime: time.Minute, Retain: time.Hour}
	aged := span
	aged.InitialAge = 20 * time.Second
	unlived := Span{ResponseTime: received, Retain: time.Hour}
	unretained := Span{ResponseTime: received, Lifetime: time.Minute}
	for _, tt := range []struct {
		name  string
		span  Span
		after time.Duration
		want  Freshness
	}{
		{"D14.1: fresh at once", span, 0, Fresh},
		{"D13.1: fresh to the last moment", span, time.Minute - 1, Fresh},
		{"D13.1: stale when the lifetime is over", span, time.Minute, Stale},
		{"D13.15: upstream Age shortens the lifetime", aged, 40*time.Second - 1, Fresh},
		{"D13.15: upstream Age shortens the lifetime", aged, 40 * time.Second, Stale},
		{"D13.6: lifetime 0 is stale at once", unlived, 0, Stale},
		{"D13.26: stale to the last moment", span, time.Hour - 1, Stale},
		{"D13.26: dead MaxTTL after it was stored", span, time.Hour, Dead},
		{"D13.26: upstream Age does not count there", aged, time.Hour - 1, Stale},
		{"D13.26: MaxTTL = 0 is never stale", unretained, time.Minute, Dead},
		{"a clock that went back", span, -time.Hour, Fresh},
		{"a clock far ahead", span, math.MaxInt64, Dead},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := State(tt.span, received.Add(tt.after)); got != tt.want {
				t.Errorf("State after %v = %v, want %v", tt.after, got, tt.want)
			}
		})
	}
}

func TestAge(t *testing.T) {
	for _, tt := range []struct {
		name    string
		initial time.Duration
		after   time.Duration
		want    time.Duration
	}{
		{"D13.14: since receipt", 0, 5 * time.Second, 5 * time.Second},
		{"D13.14: plus the Age that came with it", 20 * time.Second, 5 * time.Second, 25 * time.Second},
		{"a clock that went back", 20 * time.Second, -5 * time.Second, 20 * time.Second},
		{"D13.7: at most 100 years", MaxLifetime, math.MaxInt64, MaxLifetime},
		{"never negative", -time.Hour, time.Second, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Age(tt.initial, received, received.Add(tt.after)); got != tt.want {
				t.Errorf("Age(%v) after %v = %v, want %v", tt.initial, tt.after, got, tt.want)
			}
		})
	}
}
