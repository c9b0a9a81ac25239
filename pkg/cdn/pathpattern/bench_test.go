// SPDX-License-Identifier: Apache-2.0

package pathpattern_test

import (
	"fmt"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/pathpattern"
)

// seventyFive is as many behaviors as a distribution may have, none of which
// matches usualPath before the last.
func seventyFive(tb testing.TB) *pathpattern.List {
	patterns := make([]string, 0, 75)
	for i := range 37 {
		patterns = append(patterns, fmt.Sprintf("/articles/section-%d/*", i), fmt.Sprintf("*/v%d/*.jpg", i))
	}
	return mustList(tb, append(patterns, "*")...)
}

const usualPath = "/articles/2026/11/.drafts/index.html"

func TestNoAllocation(t *testing.T) {
	l := seventyFive(t)
	p, err := pathpattern.Compile("*/11/?drafts/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		run  func()
	}{
		{"List.Match", func() { l.Match(usualPath) }},
		{"Pattern.Match", func() { p.Match(usualPath) }},
		{"Normalize of a normal path", func() { pathpattern.Normalize(usualPath) }},
		{"Normalize of reserved and malformed escapes", func() { pathpattern.Normalize("/a%2Fb%20c/100%") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, tt.run); n != 0 {
				t.Errorf("%v allocations, want none", n)
			}
		})
	}
}

func BenchmarkNormalize(b *testing.B) {
	for _, bb := range []struct{ name, path string }{
		{"normal", usualPath},
		{"dots", "/articles/2026/../2025/%69ndex.html"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				pathpattern.Normalize(bb.path)
			}
		})
	}
}

func BenchmarkListMatch(b *testing.B) {
	l := seventyFive(b)
	b.ReportAllocs()
	for b.Loop() {
		l.Match(usualPath)
	}
}
