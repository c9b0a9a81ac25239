// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
)

const era = 7

// keyOf is the key of a GET for a target, with its whole query keyed.
func keyOf(distribution, target string) cachekey.Key {
	all := cachekey.NewPolicy(nil, cachekey.Selection{}, cachekey.Selection{Mode: cachekey.All}, false, false)
	path, query, _ := strings.Cut(target, "?")
	k, _ := all.Build(cachekey.Parts{Distribution: distribution, Method: "GET", Path: path, Query: query})
	return k
}

func stamp(revision int64) *Stamp { return Moment{Era: era, Revision: revision}.Stamp() }

func dead(t *Table, target string, revision int64, tags ...string) bool {
	_, dead := t.Dead(keyOf("D", target), stamp(revision), tags)
	return dead
}

func TestPaths(t *testing.T) {
	for _, tt := range []struct {
		rule    string
		path    string
		ends    []string // targets of objects
		touches []string // not
	}{
		{"D25.2: a star within is literal", "/a*b", []string{"/a*b"}, []string{"/axb", "/a"}},
		{"D25.2: the last star alone is a wildcard", "/a*b*", []string{"/a*b", "/a*bc"}, []string{"/aXb"}},
		{"D25.2: a question mark is no wildcard", "/a?c", []string{"/a?c"}, []string{"/abc", "/a"}},
		{"D25.3: case counts", "/a.jpg", []string{"/a.jpg"}, []string{"/A.jpg", "/a.JPG", "/a.jpgx", "/a.jp", "/"}},
		{"D25.4: the path alone is the object without a query", "/a.jpg", []string{"/a.jpg", "/a.jpg?"}, []string{"/a.jpg?x=1"}},
		{"D25.4: a query needs its own path", "/a.jpg?x=1", []string{"/a.jpg?x=1"}, []string{"/a.jpg", "/a.jpg?x=2", "/a.jpg?x=1&y=2"}},
		{"D25.4: or a wildcard", "/a.jpg*", []string{"/a.jpg", "/a.jpg?x=1", "/a.jpgs"}, []string{"/a.jp"}},
		{"D25.4: a bare question mark is no query", "/a.jpg?", []string{"/a.jpg"}, []string{"/a.jpg?x"}},
		{"D25.7: everything below", "/dir/*", []string{"/dir/", "/dir/a", "/dir/a/b?x"}, []string{"/dir", "/dirs/a", "/"}},
		{"D25.7: a prefix", "/dir*", []string{"/dir", "/dir/", "/dir/a", "/dirs"}, []string{"/di", "/Dir"}},
		{"D25.7: everything", "/*", []string{"/", "/a", "/a/b?c=d"}, nil},
		{"D25.7: with a slash is another path", "/images/", []string{"/images/"}, []string{"/images", "/images/a"}},
		{"D25.8: hex digits", "/%c3%a4", []string{"/%C3%A4", "/%c3%A4", "/\xc3\xa4"}, []string{"/%C3%A5", "/a"}},
		{"D25.8: unreserved characters", "/%61%2Ejpg", []string{"/a.jpg", "/%61.jpg", "/a%2ejpg"}, []string{"/%2561.jpg"}},
		{"D25.8: the tilde works", "/~user", []string{"/~user", "/%7Euser", "/%7euser"}, []string{"/user"}},
		{"D25.8: an encoded slash is none", "/a%2Fb", []string{"/a%2fb"}, []string{"/a/b"}},
		{"D25.8: an encoded star is none", "/a%2A", []string{"/a%2a"}, []string{"/a", "/a*", "/ab"}},
		{"D25.8: unsafe characters", "/%7Ba%7D%5B%5D", []string{"/{a}[]", "/%7ba%7d%5b%5d"}, []string{"/a"}},
		{"D25.8: in a query", "/a?q=%c3%a4", []string{"/a?q=%C3%A4", "/%61?q=\xc3\xa4"}, []string{"/a?q=a"}},
		{"D25.8: in a prefix", "/%C3%A4/*", []string{"/\xc3\xa4/x", "/%c3%a4/"}, []string{"/%c3/x"}},
		{"D25.8: a prefix that breaks an encoding", "/a%4*", []string{"/a%41", "/aA", "/a%4"}, []string{"/b"}},
		{"a percent sign alone", "/a%zz", []string{"/a%zz"}, []string{"/azz"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			table := New(era, 0)
			table.Apply([]Order{{Distribution: "D", ID: "I", Revision: 10, Paths: []string{tt.path}}})
			for _, target := range tt.ends {
				if !dead(table, target, 9) {
					t.Errorf("%q lives", target)
				}
				if dead(table, target, 10) {
					t.Errorf("%q is dead although it was asked for later", target)
				}
				if _, other := table.Dead(keyOf("E", target), stamp(9), nil); other {
					t.Errorf("%q of another distribution is dead", target)
				}
				if f := table.Fence(keyOf("D", target)); f != (Moment{era, 10}) {
					t.Errorf("fence of %q is %v", target, f)
				}
			}
			for _, target := range tt.touches {
				if dead(table, target, 9) {
					t.Errorf("%q is dead", target)
				}
				if f := table.Fence(keyOf("D", target)); f != (Moment{era, 0}) {
					t.Errorf("fence of %q is %v", target, f)
				}
			}
		})
	}
}

// D25.6: variants by method, headers, cookies and encoding go together.
func TestVariants(t *testing.T) {
	table := New(era, 0)
	table.Apply([]Order{{Distribution: "D", ID: "I", Revision: 10, Paths: []string{"/a"}}})
	p := cachekey.NewPolicy([]string{"X-A"}, cachekey.Selection{Mode: cachekey.All}, cachekey.Selection{}, true, true)
	for _, method := range []string{"GET", "OPTIONS"} {
		k, _ := p.Build(cachekey.Parts{Distribution: "D", Method: method, Path: "/a", Query: "not=keyed"})
		for _, k := range []cachekey.Key{k, k + "h"} {
			if _, dead := table.Dead(k, stamp(9), nil); !dead {
				t.Errorf("D25.6: %s lives", method)
			}
		}
	}
	// D25.5: what is not keyed is nowhere, so a path with it names nothing.
	table.Apply([]Order{{Distribution: "D", ID: "J", Revision: 20, Paths: []string{"/a?not=keyed"}}})
	k, _ := p.Build(cachekey.Parts{Distribution: "D", Method: "GET", Path: "/a", Query: "not=keyed"})
	if _, dead := table.Dead(k, stamp(10), nil); dead {
		t.Error("D25.5: a query that is not keyed counts")
	}
}

func TestTags(t *testing.T) {
	table := New(era, 0)
	table.Apply([]Order{{Distribution: "D", ID: "I", Revision: 10, Tags: []string{"Shoes"}}})
	if !dead(table, "/a", 9, "x", "shoes") || dead(table, "/a", 9, "shoe") || dead(table, "/a", 9) || dead(table, "/a", 10, "shoes") {
		t.Error("C2.170: tags are compared as a whole, without regard to case")
	}
	if f := table.Fence(keyOf("D", "/any")); f.Revision != 10 {
		t.Errorf("D25.15: a fill whose tags nobody knows has fence %v", f)
	}
	for _, tt := range []struct {
		rule string
		in   []string
		want []string
	}{
		{"D17.16: commas and blanks", []string{" A,\tb ,,c", "d"}, []string{"a", "b", "c", "d"}},
		{"C2.170: what is no tag is ignored", []string{"a b,\x7f,ä,ok"}, []string{"ok"}},
		{"C2.170: 256 characters at most", []string{strings.Repeat("x", 257) + "," + strings.Repeat("y", 256)}, []string{strings.Repeat("y", 256)}},
		{"each once", []string{"a,A,a"}, []string{"a"}},
		{"nothing", []string{"", ","}, nil},
	} {
		if d := cmp.Diff(tt.want, ParseTags(tt.in...)); d != "" {
			t.Errorf("%s: %s", tt.rule, d)
		}
	}
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprint("t", i))
	}
	if got := ParseTags(strings.Join(many, ",")); !slices.Equal(got, many[:50]) {
		t.Errorf("C2.170: %d tags of 60: %q", len(got), got)
	}
}

func TestStamps(t *testing.T) {
	table := New(era, 0)
	s := stamp(5)
	look := func(what string, want bool) {
		t.Helper()
		if _, got := table.Dead(keyOf("D", "/a"), s, nil); got != want {
			t.Errorf("%s: dead is %v", what, got)
		}
	}
	look("an empty table", false)
	table.Apply([]Order{{Distribution: "D", ID: "I", Revision: 10, Paths: []string{"/b"}}, {Distribution: "E", ID: "J", Revision: 12, Whole: true}})
	look("others are invalidated", false)
	if s.Moment().Revision != 12 {
		t.Errorf("the stamp is %v after the look", s.Moment())
	}
	table.Apply([]Order{{Distribution: "D", ID: "K", Revision: 20, Whole: true}})
	look("all is invalidated", true)
	s = stamp(20)
	look("asked for afterwards", false)
	s = nil
	look("no stamp at all", true)
	s = stamp(30)
	table.Drop(era + 1)
	look("an earlier era", true)
	s = Moment{era + 1, 1}.Stamp()
	look("the era that holds", false)
}

func TestForget(t *testing.T) {
	table := New(era, 0)
	table.Apply([]Order{
		{Distribution: "D", ID: "I", Revision: 10, Paths: []string{"/a", "/w/*"}, Tags: []string{"t"}},
		{Distribution: "E", ID: "J", Revision: 11, Whole: true},
		{Distribution: "D", ID: "K", Revision: 20, Paths: []string{"/b", "/w/x/*"}, Tags: []string{"u"}},
	})
	table.Forget(Moment{era, 15})
	if table.entries != 3 || len(table.distributions) != 1 {
		t.Errorf("%d entries in %d distributions are left", table.entries, len(table.distributions))
	}
	for _, tt := range []struct {
		target string
		stamp  int64
		tags   []string
		want   bool
	}{
		{"/z", 14, nil, true}, // nobody can know
		{"/z", 15, nil, false},
		{"/a", 15, []string{"t"}, false},
		{"/b", 19, nil, true},
		{"/w/y", 15, nil, false},
		{"/w/x/y", 15, nil, true},
		{"/z", 19, []string{"u"}, true},
		{"/b", 20, []string{"u"}, false},
	} {
		if got := dead(table, tt.target, tt.stamp, tt.tags...); got != tt.want {
			t.Errorf("%s at %d with %v: dead is %v", tt.target, tt.stamp, tt.tags, got)
		}
	}
	if table.Apply([]Order{{Distribution: "D", ID: "I", Revision: 10, Whole: true}}); dead(table, "/z", 15) {
		t.Error("an invalidation that comes again is newer than the floor")
	}
	table.Forget(Moment{era, 20})
	if table.entries != 0 || table.bytes != 0 || len(table.distributions) != 0 {
		t.Errorf("left: %d entries, %d bytes", table.entries, table.bytes)
	}
}

// TestForgetOfAnEraThatIsOver: a data set that is dropped while the cache is walked has
// revisions that mean nothing in the next one (C8.88).
func TestForgetOfAnEraThatIsOver(t *testing.T) {
	table := New(era, 0)
	table.Apply([]Order{{Distribution: "D", ID: "I", Revision: 1000, Paths: []string{"/a"}}})
	walked := table.Moment()
	table.Drop(era + 1)
	if table.Forget(walked) {
		t.Error("what an earlier era has walked is forgotten in this one")
	}
	young := Moment{era + 1, 50}
	if _, dead := table.Dead(keyOf("D", "/a"), young.Stamp(), nil); dead {
		t.Error("an object of the new era is below the floor of the old one")
	}
	if !young.Reaches(table.Fence(keyOf("D", "/a"))) {
		t.Error("requests of the new era do not share a fill")
	}
}

func TestOverflow(t *testing.T) {
	table := New(era, 0)
	table.limit = 5000
	table.Apply([]Order{{Distribution: "E", ID: "I", Revision: 1, Paths: []string{"/e"}}})
	var overflown []string
	for i := range 100 {
		overflown = append(overflown, table.Apply([]Order{{Distribution: "D", ID: "I", Revision: int64(10 + i), Paths: []string{fmt.Sprint("/", i)}}})...)
		if table.bytes > table.limit {
			t.Fatalf("%d bytes", table.bytes)
		}
	}
	if len(overflown) == 0 || overflown[0] != "D" || slices.Contains(overflown, "E") {
		t.Errorf("overflown: %v", overflown)
	}
	if !dead(table, "/other", 9) || dead(table, "/other", 109) {
		t.Error("the distribution with the most is not invalidated as a whole")
	}
	if _, dead := table.Dead(keyOf("E", "/other"), stamp(0), nil); dead {
		t.Error("another distribution pays for it")
	}
	select {
	case <-table.Grown():
	default:
		t.Error("nobody is told that the table has grown")
	}
}

func TestCounts(t *testing.T) {
	table := New(era, 0)
	orders := make([]Order, 1200)
	for i := range orders {
		orders[i] = Order{Distribution: "D", ID: fmt.Sprint("I", i), Revision: int64(i + 1), Paths: []string{fmt.Sprint("/", i)}}
	}
	table.Apply(orders)
	table.Apply(orders[1199:]) // comes again
	if len(table.recent) != mostCounted {
		t.Errorf("%d are counted", len(table.recent))
	}
	for i := range orders {
		if i%2 == 1 {
			by, dead := table.Dead(keyOf("D", fmt.Sprint("/", i)), stamp(0), nil)
			if !dead {
				t.Fatal(i)
			}
			by.Met()
		}
	}
	got := table.Counts()
	if len(got) != mostTold || got[0] != (Ended{"D", "I1199", 1}) || got[1] != (Ended{"D", "I1197", 1}) {
		t.Errorf("%d counts, the first %v", len(got), got[:2])
	}
	if table.Met() != 600 {
		t.Errorf("%d in all", table.Met())
	}
}

func TestLookIsFree(t *testing.T) {
	table := New(era, 0)
	table.Apply([]Order{{Distribution: "D", ID: "I", Revision: 10, Paths: []string{"/a", "/b/*"}, Tags: []string{"t"}}})
	k, tags, s := keyOf("D", "/index.html?x=1"), []string{"u"}, stamp(10)
	if n := testing.AllocsPerRun(100, func() { table.Dead(k, s, tags) }); n > 0 {
		t.Errorf("a look costs %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { table.look(k, tags, 9) }); n > 0 {
		t.Errorf("a look into the table costs %v allocations", n)
	}
}

func TestConcurrent(t *testing.T) {
	table := New(era, 0)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range int64(2000) {
				// What began after the newest invalidation is alive whatever comes meanwhile,
				// and what was applied before the look counts.
				before := table.Newest()
				if before > 0 && !dead(table, "/a", before-1) && table.Era() == era {
					t.Errorf("older than %d and alive", before)
				}
				table.Fence(keyOf("D", "/a"))
				_ = i
			}
		})
	}
	for i := range int64(500) {
		table.Apply([]Order{{Distribution: "D", ID: "I", Revision: i + 1, Paths: []string{"/a"}}})
		if i%100 == 99 {
			table.Forget(Moment{era, i})
		}
	}
	wg.Wait()
}

func BenchmarkDead(b *testing.B) {
	table := New(era, 0)
	var paths []string
	for i := range 3000 {
		paths = append(paths, fmt.Sprint("/images/", i))
	}
	table.Apply([]Order{{Distribution: "D", ID: "I", Revision: 10, Paths: append(paths, "/w/*", "/x/y*")}})
	k, s := keyOf("D", "/images/index.html"), stamp(10)
	b.Run("newer than all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.Dead(k, s, nil)
		}
	})
	b.Run("once after an invalidation", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.look(k, nil, 9)
		}
	})
}
