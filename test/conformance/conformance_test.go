// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"testing"
)

// suite is a part of the whole.
type suite struct {
	name string
	run  func(t *testing.T, e *edge, r *results)
}

func suites() []suite {
	all := []suite{{"requests", requests}, {"mutations", mutations}, {"answers", answers}, {"downgrades", downgrades}, {"caching", caching}, {"websocket", websocket}}
	if full() {
		all = append(all, suite{"h2spec", h2spec}, suite{"programs", programs}, suite{"varnishtest", varnishtest}, suite{"attacks", attacks})
	}
	return all
}

// TestConformance runs the suites one after the other against one edge.
func TestConformance(t *testing.T) {
	e := startEdge(t)
	for _, s := range suites() {
		t.Run(s.name, func(t *testing.T) {
			r := newResults(s.name)
			s.run(t, e, r)
			if !t.Failed() {
				r.finish(t)
			}
		})
	}
}
