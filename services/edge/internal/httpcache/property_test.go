// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// bodyFields are what a 304 must not touch (D14.6).
var bodyFields = []string{"Content-Length", "Content-Type", "Content-Encoding", "Content-Range"}

func drawTTL(t *rapid.T, label string) time.Duration {
	return time.Duration(rapid.Int64Range(0, int64(MaxLifetime/time.Second)).Draw(t, label)) * time.Second
}

// drawPolicy draws a policy with MinTTL ≤ DefaultTTL ≤ MaxTTL.
func drawPolicy(t *rapid.T) Policy {
	ttl := []time.Duration{drawTTL(t, "ttl"), drawTTL(t, "ttl"), drawTTL(t, "ttl")}
	if rapid.Bool().Draw(t, "min is 0") {
		ttl[0] = 0
	}
	slices.Sort(ttl)
	return Policy{
		Min: ttl[0], Default: ttl[1], Max: ttl[2],
		CookiesForwarded: rapid.Bool().Draw(t, "cookies"),
		S3:               rapid.Bool().Draw(t, "s3"),
		Semantics:        rapid.SampledFrom([]Semantics{CloudFront, HTTP}).Draw(t, "semantics"),
		Heuristic:        rapid.Bool().Draw(t, "heuristic"),
		Targeted:         rapid.Bool().Draw(t, "targeted"),
	}
}

func drawHeader(t *rapid.T, label string) header.Fields {
	names := append([]string{
		"Cache-Control", "Expires", "Date", "Age", "Vary", "ETag", "X-A", "x-a", "Connection", "Set-Cookie",
	}, bodyFields...)
	values := []string{
		"", "0", "60", "no-store", "no-cache", "private", "public", "max-age=0", "max-age=60", "s-maxage=99999999999",
		"max-age=-1", `no-cache="Set-Cookie"`, "*", "X-A", `"a"`, inSeconds(-60), inSeconds(60), "Fri, 31 Dec 9999 23:59:59 GMT",
	}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) header.Field {
		return header.Field{
			Name:  rapid.SampledFrom(names).Draw(t, "name"),
			Value: rapid.OneOf(rapid.SampledFrom(values), rapid.String()).Draw(t, "value"),
		}
	}), 0, 8).Draw(t, label)
}

func drawResponse(t *rapid.T) Response {
	return Response{
		Status:       rapid.OneOf(rapid.Just(200), rapid.IntRange(100, 599)).Draw(t, "status"),
		Header:       drawHeader(t, "header"),
		RequestTime:  received.Add(-time.Duration(rapid.Int64Range(-1e12, 1e12).Draw(t, "took"))),
		ResponseTime: received,
	}
}

func TestLifetimeBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{ // any order, any sign
			Min:     time.Duration(rapid.Int64().Draw(t, "min")),
			Default: time.Duration(rapid.Int64().Draw(t, "default")),
			Max:     time.Duration(rapid.Int64().Draw(t, "max")),
		}
		a := Assess(Request{Method: rapid.SampledFrom([]string{"GET", "HEAD", "POST"}).Draw(t, "method")}, drawResponse(t), p)
		for what, d := range map[string]time.Duration{"lifetime": a.Lifetime, "age": a.InitialAge, "retain": a.Retain} {
			if d < 0 || d > MaxLifetime {
				t.Fatalf("%s = %v, want 0 to 100 years (D13.7)", what, d)
			}
		}
		if a.Storable != (a.Reason == ReasonStored) || a.Reason == 0 {
			t.Fatalf("Storable = %v with the reason %v", a.Storable, a.Reason)
		}
	})
}

// TestHTTPNeverKeepsWhatItMustNot: RFC 9111 §3 and §4.2, whatever the answer says.
func TestHTTPNeverKeepsWhatItMustNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, r := pureHTTP, drawResponse(t)
		p.Max = drawTTL(t, "max") + time.Second
		p.Targeted = false
		req := Request{Method: "GET", NoStore: rapid.Bool().Draw(t, "no-store"), Authorized: rapid.Bool().Draw(t, "authorized")}
		a := Assess(req, r, p)
		c := ParseControl(r.Header.Values("Cache-Control"))
		switch {
		case a.Storable != (a.Reason == ReasonStored) || a.Reason == 0:
			t.Fatalf("Storable = %v with the reason %v", a.Storable, a.Reason)
		case !a.Storable && (a.Shareable || a.Lifetime != 0 || a.Windows != Windows{}):
			t.Fatalf("not stored, but %+v", a)
		case a.Storable && (req.NoStore || c.NoStore || c.Private || a.Vary == VaryAny):
			t.Fatalf("%v is stored for %+v", r.Header, req)
		case a.Storable && req.Authorized && !c.Public && !c.SMaxAge.Present:
			t.Fatalf("%v is stored for a request with Authorization", r.Header)
		case a.Lifetime > p.Max || c.NoCache && a.Lifetime > 0:
			t.Fatalf("lifetime %v of %v", a.Lifetime, r.Header)
		case c.MaxAge.Present && !c.SMaxAge.Present && a.Lifetime > c.MaxAge.Value:
			t.Fatalf("lifetime %v of %v", a.Lifetime, r.Header)
		case a.Shareable && a.InitialAge >= a.Lifetime:
			t.Fatalf("stale, and shared: %+v", a)
		}
		for _, d := range []time.Duration{
			a.InitialAge, a.Lifetime, a.Retain, a.Windows.Asked, a.Windows.Failing, a.Windows.Refreshing, a.Windows.Unreachable,
		} {
			if d < 0 || d > MaxLifetime {
				t.Fatalf("%v in %+v", d, a)
			}
		}
	})
}

// TestUseOnlyGetsWorse: time makes no answer better for one request.
func TestUseOnlyGetsWorse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delta := func(label string) Delta {
			if rapid.Bool().Draw(t, label+" present") {
				return Delta{drawTTL(t, label), true}
			}
			return Delta{}
		}
		s := Span{
			ResponseTime: received, InitialAge: drawTTL(t, "age"), Lifetime: drawTTL(t, "lifetime"), Retain: drawTTL(t, "retain"),
			Windows: Windows{drawTTL(t, "w"), drawTTL(t, "w"), drawTTL(t, "w"), drawTTL(t, "w")},
		}
		r := Request{
			NoCache: rapid.Bool().Draw(t, "no-cache"), MaxAge: delta("max-age"), MinFresh: delta("min-fresh"), MaxStale: delta("max-stale"),
		}
		early, late := drawTTL(t, "time"), drawTTL(t, "time")
		early, late = min(early, late), max(early, late)
		before, after := Decide(s, r, received.Add(early)), Decide(s, r, received.Add(late))
		served := func(u Use) bool { return u == Serve || u == ServeAndRefresh }
		if before == Ignore && after != Ignore || !served(before) && served(after) {
			t.Fatalf("%v after %v, but %v after %v", before, early, after, late)
		}
		for _, f := range []Failure{Unreachable, Failing} {
			if !StaleOnError(s, f, received.Add(early)) && StaleOnError(s, f, received.Add(late)) {
				t.Fatalf("stale on error after %v, but not after %v", late, early)
			}
		}
	})
}

func TestLifetimeBetweenMinAndMax(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, r := drawPolicy(t), drawResponse(t)
		p.Semantics = CloudFront
		r.Status = 200
		a := Assess(get, r, p)
		if !a.Storable {
			return
		}
		if a.Lifetime < p.Min || a.Lifetime > max(p.Max, p.Default) {
			t.Fatalf("lifetime = %v, want %v to %v (D13.1)", a.Lifetime, p.Min, max(p.Max, p.Default))
		}
		if p.Min > 0 && a.Shareable == p.CookiesForwarded {
			t.Fatalf("Shareable = %v under MinTTL with cookies %v (D14.9, D14.11)", a.Shareable, p.CookiesForwarded)
		}
	})
}

func TestAssessSeesTheSameInTheViewersCopy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, r := drawPolicy(t), drawResponse(t)
		r.Header.Del("Connection")
		want := Assess(get, r, p)
		r.Header = ViewerHeader(r.Header, p)
		if diff := cmp.Diff(want, Assess(get, r, p)); diff != "" {
			t.Fatalf("the viewer's copy is judged otherwise (-origin's +viewer's):\n%s", diff)
		}
	})
}

func TestFreshnessOnlyGetsWorse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := Span{
			ResponseTime: received, InitialAge: drawTTL(t, "age"),
			Lifetime: drawTTL(t, "lifetime"), Retain: drawTTL(t, "retain"),
		}
		early, late := drawTTL(t, "time"), drawTTL(t, "time")
		early, late = min(early, late), max(early, late)
		if before, after := State(span, received.Add(early)), State(span, received.Add(late)); after < before {
			t.Fatalf("%v after %v, but %v after %v", before, early, after, late)
		}
	})
}

func TestMergeLeavesTheBodyAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stored, fresh := drawHeader(t, "stored"), drawHeader(t, "fresh")
		wasStored, wasFresh := stored.Clone(0), fresh.Clone(0)
		merged := Merge(stored, fresh, Policy{})
		for _, name := range bodyFields {
			if diff := cmp.Diff(stored.Values(name), merged.Values(name)); diff != "" {
				t.Fatalf("%s changed (D14.6) (-stored +merged):\n%s", name, diff)
			}
		}
		for _, name := range []string{"Cache-Control", "Expires", "Date", "Vary", "ETag", "X-A"} {
			want := fresh.Values(name)
			if want == nil {
				want = stored.Values(name)
			}
			if diff := cmp.Diff(want, merged.Values(name)); diff != "" {
				t.Fatalf("%s is not refreshed (D14.6) (-want +got):\n%s", name, diff)
			}
		}
		if !slices.Equal(wasStored, stored) || !slices.Equal(wasFresh, fresh) {
			t.Fatal("Merge changed its arguments")
		}
	})
}

func TestStoredHeaderIsSettled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		stored := StoredHeader(ViewerHeader(drawHeader(t, "header"), p), p)
		for _, name := range []string{"Connection", "Age"} {
			if stored.Has(name) {
				t.Fatalf("%s is stored", name)
			}
		}
		if !p.PassesSetCookie() && stored.Has("Set-Cookie") {
			t.Fatal("Set-Cookie is stored without cookies (D17.6)")
		}
		again := ViewerHeader(stored, p)
		if !slices.Equal(stored, again) {
			t.Fatalf("cleaning twice is something else: %v, then %v", stored, again)
		}
	})
}

func TestTagInListMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tags := rapid.SliceOfN(rapid.StringMatching(`(W/)?"[!#-~]{0,4}"`), 1, 5).Draw(t, "tags")
		list := strings.Join(tags, rapid.SampledFrom([]string{",", ", ", " ,\t, "}).Draw(t, "separator"))
		stored := answer(200, "ETag", rapid.SampledFrom(tags).Draw(t, "stored"))
		if got := Evaluate("GET", fields("If-None-Match", list), stored); got != NotModified {
			t.Fatalf("Evaluate(%q, %v) = %v, want %v", list, stored.Header, got, NotModified)
		}
	})
}
