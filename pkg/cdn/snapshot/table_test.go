// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// TestTable edits tables at random and compares every version, old ones too, with a
// map.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var versions []table[int]
		var models []map[string]int
		now, model := table[int]{}, map[string]int{}
		for range rapid.IntRange(1, 8).Draw(t, "edits") {
			e := now.change()
			for range rapid.IntRange(0, 30).Draw(t, "changes") {
				key := fmt.Sprint(rapid.IntRange(0, 40).Draw(t, "key"))
				if rapid.Bool().Draw(t, "set") {
					v := rapid.Int().Draw(t, "value")
					e.set(key, v)
					model[key] = v
				} else {
					e.del(key)
					delete(model, key)
				}
			}
			now = e.done()
			versions, models = append(versions, now), append(models, maps.Clone(model))
		}
		for i, v := range versions {
			if got := maps.Collect(v.all()); !maps.Equal(got, models[i]) || v.size != len(models[i]) {
				t.Fatalf("version %d is %v (size %d), want %v", i, got, v.size, models[i])
			}
			for key := range 41 {
				got, ok := v.get(fmt.Sprint(key))
				want, has := models[i][fmt.Sprint(key)]
				if got != want || ok != has {
					t.Fatalf("version %d: get %d = %d, %v", i, key, got, ok)
				}
			}
		}
	})
}
