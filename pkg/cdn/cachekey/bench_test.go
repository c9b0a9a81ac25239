// SPDX-License-Identifier: Apache-2.0

package cachekey_test

import (
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
)

// browser is an ordinary request of a browser.
func browser() cachekey.Parts {
	return cachekey.Parts{
		Distribution: "E2QWRUHAPOMQZL", Method: "GET", Path: "/images/2026/logo.png", Query: "v=3&lang=en", HasQuery: true,
		Header: fields(
			"Host", "www.example.com", "User-Agent", "Mozilla/5.0", "Accept", "image/avif,*/*", "Accept-Encoding", "gzip, deflate, br",
			"Origin", "https://www.example.com", "Cookie", "theme=dark; session=8f14e45fceea167a; consent=1"),
	}
}

// cases are policies with the allocations that Build may make: one is the key.
var cases = []struct {
	name   string
	policy cachekey.Policy
	allocs float64
}{
	{"path", keyHeaders(), 1},
	{"encoding", keyEncoding(true, true), 1},
	{"whole query", keyQuery(all), 1},
	{"listed query, all kept", keyQuery(listed("lang", "v")), 1},
	{"one header", keyHeaders("Origin"), 2},
}

func TestAllocations(t *testing.T) {
	in := browser()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, func() { tt.policy.Build(in) }); n > tt.allocs {
				t.Errorf("%v allocations, want at most %v", n, tt.allocs)
			}
		})
	}
	t.Run("candidates", func(t *testing.T) {
		n := testing.AllocsPerRun(100, func() {
			for _, c := range cachekey.BrotliGzip.Candidates() {
				if c == 0 {
					t.Error("unknown class")
				}
			}
		})
		if n != 0 {
			t.Errorf("%v allocations, want none", n)
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	in := browser()
	everything := cachekey.NewPolicy([]string{"Origin", "Host"}, all, all, true, true)
	run := func(name string, p cachekey.Policy) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Build(in)
			}
		})
	}
	for _, bb := range cases {
		run(bb.name, bb.policy)
	}
	run("everything", everything)
}
