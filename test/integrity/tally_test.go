// SPDX-License-Identifier: Apache-2.0

package integrity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tally counts what each kind of call came to.
type tally struct {
	mu   sync.Mutex
	done map[string]int
	all  map[string]int
}

func newTally() *tally { return &tally{done: map[string]int{}, all: map[string]int{}} }

func (c *tally) add(what string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[what]++
	if err == nil {
		c.done[what]++
	}
}

// String is a line for each kind.
func (c *tally) String() string {
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(c.all)) {
		fmt.Fprintf(&b, "%-22s %4d of %4d\n", what, c.done[what], c.all[what])
	}
	return b.String()
}

// effective fails for a kind of call that never had an effect: it tests nothing.
func (c *tally) effective(t *testing.T) {
	t.Helper()
	for what := range c.all {
		if c.done[what] == 0 {
			t.Errorf("%s never had an effect", what)
		}
	}
}
