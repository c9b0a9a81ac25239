// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/canonical"
)

// plain is the form of D25.8, which has tests of its own.
func plain(s string) string { return string(canonical.Append(nil, s)) }

// TestTableIsItsModel holds a table against a list of orders that is searched from end
// to end.
func TestTableIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.StringOfN(rapid.SampledFrom([]rune("/ab%4c1~?ä*[")), 0, 6, -1)
		words := rapid.SampledFrom([]string{"t1", "t2", "T3"})
		table := New(era, 0)
		table.limit = 2000
		var orders []Order
		var floor, newest int64
		overflown := map[string]int64{}
		type object struct {
			target string
			id     string
			s      *Stamp
			began  int64
			tags   []string
		}
		var objects []object
		dead := func(o object) bool {
			if o.s.Moment().Revision < overflown[o.id] {
				return true // not held against what is now one invalidation of everything
			}
			path, query, _ := strings.Cut(o.target, "?")
			subject := plain(path)
			if query != "" {
				subject += "?" + plain(query)
			}
			for _, order := range orders {
				if order.Revision <= o.began || order.Distribution != o.id {
					continue
				}
				for _, p := range order.Paths {
					if before, ok := strings.CutSuffix(p, "*"); ok {
						if i := strings.LastIndexByte(before, '%'); i >= 0 && i+2 >= len(before) {
							before = before[:i]
						}
						if strings.HasPrefix(subject, plain(before)) {
							return true
						}
					} else if plain(strings.TrimSuffix(p, "?")) == subject {
						return true
					}
				}
				for _, tag := range order.Tags {
					for _, have := range o.tags {
						if strings.EqualFold(tag, have) {
							return true
						}
					}
				}
			}
			return false
		}
		apply := func(some []Order) {
			for _, id := range table.Apply(some) {
				for _, o := range orders {
					if o.Distribution == id {
						overflown[id] = o.Revision
					}
				}
			}
		}
		var revision int64 = 1
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			revision++
			id := rapid.SampledFrom([]string{"D", "E"}).Draw(t, "distribution")
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2, 3:
				o := object{target: "/" + texts.Draw(t, "target"), id: id, s: stamp(revision), began: revision}
				o.tags = ParseTags(rapid.SliceOfN(words, 0, 2).Draw(t, "tags")...)
				objects = append(objects, o)
			case 4, 5, 6, 7:
				o := Order{Distribution: id, ID: "I", Revision: revision}
				for _, p := range rapid.SliceOfN(texts, 0, 3).Draw(t, "paths") {
					o.Paths = append(o.Paths, "/"+p)
				}
				o.Tags = rapid.SliceOfN(words, 0, 1).Draw(t, "tags")
				orders, newest = append(orders, o), revision
				apply([]Order{o})
			case 8: // as the store does
				floor = table.Newest()
				kept := objects[:0]
				for _, o := range objects {
					if _, dead := table.Dead(keyOf(o.id, o.target), o.s, o.tags); !dead {
						kept = append(kept, o)
					}
				}
				objects = kept
				table.Forget(Moment{era, floor})
			case 9:
				apply(orders) // a list after a restart
			}
			for _, o := range objects {
				want := dead(o)
				_, got := table.Dead(keyOf(o.id, o.target), o.s, o.tags)
				if got != want {
					t.Fatalf("%s%s since %d with %v: dead is %v, want %v", o.id, o.target, o.began, o.tags, got, want)
				}
				if m := o.s.Moment(); !got && m.Revision < newest {
					t.Fatalf("stamp %v after a look; the newest is %d", m, newest)
				}
				if f := table.Fence(keyOf(o.id, o.target)); dead(o) && (Moment{era, o.began}).Reaches(f) {
					t.Fatalf("D25.15: %s%s: a fill since %d reaches the fence %v", o.id, o.target, o.began, f)
				}
			}
		}
	})
}

// FuzzPrefix: what a path begins with, its form begins with the form of (D25.2).
func FuzzPrefix(f *testing.F) {
	for _, s := range []string{"", "/a%2fb", "/%c3%a4?x=%7e", "%", "%%414", "/a%4", "\xff~[]*"} {
		f.Add(s, 2)
	}
	f.Fuzz(func(t *testing.T, s string, cut int) {
		if 0 <= cut && cut <= len(s) {
			if p := prefix(s[:cut]); !strings.HasPrefix(plain(s), p) {
				t.Errorf("D25.2: %q, but not its form %q, begins with %q", s, plain(s), p)
			}
		}
	})
}
