// SPDX-License-Identifier: Apache-2.0

package cachekey_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
)

// keyed is everything that a key stands for, worked out the slow way.
type keyed struct {
	Distribution, Method, Path, Query string
	Headers                           map[string]string
	Cookies                           []string
}

// request is a random request with a policy that keys all of its query and
// cookies, and the headers of a random list.
type request struct {
	headers []string
	in      cachekey.Parts
}

func (r request) key() cachekey.Key {
	p := cachekey.NewPolicy(r.headers, all, all, false, false)
	k, _ := p.Build(r.in)
	return k
}

func (r request) meaning() keyed {
	k := keyed{
		Distribution: r.in.Distribution, Method: strings.Replace(r.in.Method, "HEAD", "GET", 1),
		Path: r.in.Path, Query: r.in.Query, Headers: map[string]string{},
	}
	for _, name := range r.headers {
		if v := r.in.Header.Values(name); v != nil {
			k.Headers[strings.ToLower(name)] = strings.Join(v, ",")
		}
	}
	for _, pair := range strings.Split(r.in.Header.Get("Cookie"), ";") {
		if strings.Contains(pair, "=") {
			k.Cookies = append(k.Cookies, pair)
		}
	}
	slices.SortStableFunc(k.Cookies, func(a, b string) int { return strings.Compare(a[:1], b[:1]) })
	return k
}

// requests draws from few values, so that equal meanings happen; low bytes look
// like the lengths in a key.
func requests() *rapid.Generator[request] {
	text := rapid.StringMatching(`[ab\x00\x01\x02]{0,3}`)
	names := []string{"A", "a", "B", "C"}
	return rapid.Custom(func(t *rapid.T) request {
		r := request{
			headers: rapid.SliceOfN(rapid.SampledFrom(names), 0, 3).Draw(t, "listed"),
			in: cachekey.Parts{
				Distribution: text.Draw(t, "distribution"),
				Method:       rapid.SampledFrom([]string{"GET", "HEAD", "OPTIONS"}).Draw(t, "method"),
				Path:         text.Draw(t, "path"),
				Query:        text.Draw(t, "query"),
			},
		}
		for range rapid.IntRange(0, 3).Draw(t, "lines") {
			r.in.Header.Add(rapid.SampledFrom(names).Draw(t, "name"), text.Draw(t, "value"))
		}
		r.in.Header.Add("Cookie", rapid.StringMatching(`([ab]=[\x00ab]?(;[ab]=[\x00ab]?){0,2})?`).Draw(t, "cookie"))
		return r
	})
}

func TestKeyProperties(t *testing.T) {
	t.Run("D11.1–D11.13: keys are equal if and only if all keyed parts are", rapid.MakeCheck(func(t *rapid.T) {
		x, y := requests().Draw(t, "x"), requests().Draw(t, "y")
		// Independent requests seldom agree: let them share most parts.
		if rapid.Bool().Draw(t, "same start") {
			y.in.Distribution, y.in.Path, y.in.Query = x.in.Distribution, x.in.Path, x.in.Query
		}
		if rapid.Bool().Draw(t, "same header") {
			y.in.Header = x.in.Header.Clone(0)
		}
		same := cmp.Equal(x.meaning(), y.meaning())
		if (x.key() == y.key()) != same {
			t.Fatalf("%+v and %+v mean the same: %v, keys %q and %q", x.meaning(), y.meaning(), same, x.key(), y.key())
		}
	}))
	t.Run("D11.4: equal keys send the same to the origin", rapid.MakeCheck(func(t *rapid.T) {
		selection := rapid.Custom(func(t *rapid.T) cachekey.Selection {
			return cachekey.Selection{
				Mode:  rapid.SampledFrom([]cachekey.Mode{cachekey.None, cachekey.Listed, cachekey.AllExcept, cachekey.All}).Draw(t, "mode"),
				Names: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", ""}), 0, 2).Draw(t, "names"),
			}
		})
		build := func() (cachekey.Key, cachekey.Forward) {
			p := cachekey.NewPolicy(nil, selection.Draw(t, "cookies"), selection.Draw(t, "query"), false, false)
			return p.Build(cachekey.Parts{
				Query:  rapid.StringMatching(`[ab=&]{0,4}`).Draw(t, "query"),
				Header: fields("Cookie", rapid.StringMatching(`[ab=; ]{0,5}`).Draw(t, "cookie")),
			})
		}
		k1, f1 := build()
		k2, f2 := build()
		if (k1 == k2) != cmp.Equal(f1, f2) {
			t.Fatalf("keys %q and %q, forwarded %+v and %+v", k1, k2, f1, f2)
		}
	}))
}
