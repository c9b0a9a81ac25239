// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

func TestLifetimeSource(t *testing.T) {
	const day = 24 * time.Hour
	http := Policy{Semantics: HTTP, Max: day, Targeted: true, Heuristic: true}
	usual := http
	usual.Default = time.Minute
	errors := zeroMin
	errors.ErrorTTL = map[int]time.Duration{404: time.Minute}
	httpErrors := http
	httpErrors.ErrorTTL = map[int]time.Duration{418: time.Minute}
	for _, tt := range []struct {
		name     string
		policy   Policy
		status   int
		header   header.Fields
		want     Source
		lifetime time.Duration
	}{
		{"D13.1: s-maxage", zeroMin, 200, fields("Cache-Control", "max-age=1, s-maxage=60"), SourceSMaxAge, time.Minute},
		{"D13.1: max-age", zeroMin, 200, fields("Cache-Control", "max-age=60", "Expires", inSeconds(9)), SourceMaxAge, time.Minute},
		{"D13.1: Expires", zeroMin, 200, fields("Expires", inSeconds(60)), SourceExpires, time.Minute},
		{"D13.1: MinTTL", someMin, 200, fields("Cache-Control", "max-age=1"), SourceMin, time.Minute},
		{"D13.1: MaxTTL", zeroMin, 200, fields("Cache-Control", "max-age=99999999"), SourceMax, day},
		{"D13.2: MinTTL beats no-store", someMin, 200, fields("Cache-Control", "no-store"), SourceMin, time.Minute},
		{"D13.4: DefaultTTL", zeroMin, 200, nil, SourceDefault, time.Hour},
		{"D13.4: DefaultTTL below MinTTL", Policy{Min: time.Minute, Max: day}, 200, nil, SourceMin, time.Minute},
		{"D13.9: CDN-Cache-Control has no say", zeroMin, 200, fields("CDN-Cache-Control", "max-age=60"), SourceDefault, time.Hour},
		{"D13.6: no-cache", zeroMin, 200, fields("Cache-Control", "no-cache"), SourceNoCache, 0},
		{"D13.18: Vary: *", zeroMin, 200, fields("Vary", "*"), SourceVaryAny, 0},
		{"D18.1: the minimum", errors, 404, fields("Cache-Control", "max-age=1"), SourceError, time.Minute},
		{"D18.1: the origin says more", errors, 404, fields("Cache-Control", "max-age=120"), SourceMaxAge, 2 * time.Minute},
		{"D18.1: MaxTTL caps what the origin says", errors, 404, fields("Cache-Control", "max-age=99999999"), SourceMax, day},
		{"D18.3: 10 s", zeroMin, 502, nil, SourceError, DefaultErrorTTL},

		{"RFC 9213 §2.2: CDN-Cache-Control", http, 200, fields("CDN-Cache-Control", "max-age=60", "Cache-Control", "s-maxage=9"), SourceTargeted, time.Minute},
		{"RFC 9111 §4.2.1: s-maxage", http, 200, fields("Cache-Control", "s-maxage=60"), SourceSMaxAge, time.Minute},
		{"RFC 9111 §4.2.1: capped", http, 200, fields("Cache-Control", "max-age=99999999"), SourceMax, day},
		{"RFC 9111 §4.2.2: heuristic", http, 200, fields("Last-Modified", inSeconds(-600), "Date", inSeconds(0)), SourceHeuristic, time.Minute},
		{"RFC 9111 §4.2.2: none", http, 200, nil, SourceNothing, 0},
		{"RFC 9111 §4.2.2: not for 500", http, 500, fields("Last-Modified", inSeconds(-600)), SourceNothing, 0},
		{"D28: DefaultTTL", usual, 200, nil, SourceDefault, time.Minute},
		{"D28: an error with an entry", httpErrors, 418, nil, SourceError, time.Minute},
		{"RFC 9111 §5.2.2.4: no-cache", http, 200, fields("Cache-Control", "no-cache, max-age=9"), SourceNoCache, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := answer(tt.status)
			r.Header = tt.header
			if got, d := LifetimeSource(r, tt.policy); got != tt.want || d != tt.lifetime {
				t.Errorf("LifetimeSource = %v, %v; want %v, %v", got, d, tt.want, tt.lifetime)
			}
		})
	}
}

// TestLifetimeSourceAgrees: what is named gives exactly the lifetime that Assess gives.
func TestLifetimeSourceAgrees(t *testing.T) {
	seconds := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(0, 4).Draw(t, "seconds")) * time.Second
	})
	rapid.Check(t, func(t *rapid.T) {
		ttls := []time.Duration{seconds.Draw(t, "a"), seconds.Draw(t, "b"), seconds.Draw(t, "c") + time.Second}
		slices.Sort(ttls) // no policy has them in another order (D13.1)
		p := Policy{
			Semantics: rapid.SampledFrom([]Semantics{CloudFront, HTTP}).Draw(t, "semantics"),
			Min:       ttls[0], Default: ttls[1], Max: ttls[2],
			Heuristic: rapid.Bool().Draw(t, "heuristic"), Targeted: true,
			ErrorTTL: map[int]time.Duration{404: seconds.Draw(t, "error")},
		}
		r := answer(rapid.SampledFrom([]int{200, 302, 404, 500}).Draw(t, "status"))
		for _, line := range rapid.SliceOfN(rapid.SampledFrom([][2]string{
			{"Cache-Control", "s-maxage=2"}, {"Cache-Control", "max-age=3"}, {"Cache-Control", "no-cache"}, {"Cache-Control", "public"},
			{"CDN-Cache-Control", "max-age=1"}, {"Expires", inSeconds(4)}, {"Vary", "*"}, {"Last-Modified", inSeconds(-30)}, {"ETag", `"1"`},
		}), 0, 4).Draw(t, "header") {
			r.Header.Add(line[0], line[1])
		}
		a := Assess(get, r, p)
		if !a.Storable {
			return
		}
		from, d := LifetimeSource(r, p)
		if d != a.Lifetime || from.String() == "unknown" {
			t.Fatalf("%v, %v; Assess says %v", from, d, a.Lifetime)
		}
		want := map[Source]time.Duration{
			SourceSMaxAge: 2 * time.Second, SourceMaxAge: 3 * time.Second, SourceTargeted: time.Second, SourceExpires: 4 * time.Second,
			SourceDefault: p.Default, SourceMin: p.Min, SourceMax: p.Max, SourceError: ErrorTTL(r.Status, p), SourceHeuristic: 3 * time.Second,
		}[from]
		if d != want {
			t.Fatalf("%v gives %v, not %v", from, want, d)
		}
	})
}
