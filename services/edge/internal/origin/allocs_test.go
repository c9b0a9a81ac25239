// SPDX-License-Identifier: Apache-2.0

//go:build !race

package origin

import "testing"

// TestFetchAllocates: a small answer over a kept connection costs the fetch with its
// Response and body, the head, its fields, and the watch of the context.
func TestFetchAllocates(t *testing.T) {
	const budget = 6
	if n := testing.AllocsPerRun(200, keptFetch(t)); n > budget {
		t.Errorf("%v allocations, want at most %d", n, budget)
	}
}
