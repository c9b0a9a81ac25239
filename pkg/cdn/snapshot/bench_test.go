// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
)

// BenchmarkCompile makes the served form of one distribution from its record.
func BenchmarkCompile(b *testing.B) {
	d := distribution("1", "origin.test", optimized, "www.example.com", "*.example.com")
	for i := range 10 {
		more := proto.CloneOf(d.GetConfig().GetDefaultCacheBehavior())
		more.PathPattern = fmt.Sprintf("/part-%d/*", i)
		d.Config.CacheBehaviors = append(d.Config.CacheBehaviors, more)
	}
	change := record(b, keys.Distributions, "1", 1, d)
	b.ReportAllocs()
	for b.Loop() {
		w := item{Change: change, kind: keys.KindDistribution, id: "1"}
		if w.compile(nil); w.err != nil {
			b.Fatal(w.err)
		}
	}
}

// BenchmarkApply brings one changed distribution into service among few and many.
func BenchmarkApply(b *testing.B) {
	for _, others := range []int{0, 10_000, 100_000} {
		b.Run(fmt.Sprintf("among-%d", others), func(b *testing.B) {
			var all []Change
			for i := range others {
				id := fmt.Sprint(i)
				all = append(all, record(b, keys.Distributions, id, int64(i+1), distribution(id, "o", optimized, "www.site-"+id+".test")))
			}
			s, _ := Empty().Replace(int64(others)+1, all)
			d := distribution("one", "origin.test", optimized, "www.one.test")
			for _, pattern := range []string{"/images/*", "*.css", "/api/*"} {
				more := proto.CloneOf(d.GetConfig().GetDefaultCacheBehavior())
				more.PathPattern = pattern
				d.Config.CacheBehaviors = append(d.Config.CacheBehaviors, more)
			}
			change := record(b, keys.Distributions, "one", int64(others)+2, d)
			b.ReportAllocs()
			for b.Loop() {
				change.ModRevision++
				var done Report
				if s, done = s.Apply(change.ModRevision, []Change{change}); done.Compiled != 1 {
					b.Fatal(done)
				}
			}
		})
	}
}

// BenchmarkMatch finds the distribution of a host among 10,000.
func BenchmarkMatch(b *testing.B) {
	var all []Change
	for i := range 10_000 {
		id := fmt.Sprint(i)
		all = append(all, record(b, keys.Distributions, id, int64(i+1), distribution(id, "o", optimized, "www.site-"+id+".test", "*.wild-"+id+".test")))
	}
	s, _ := Empty().Replace(10_001, all)
	for _, bm := range []struct{ name, host string }{
		{"exact", "www.site-4711.test"}, {"wildcard", "a.b.wild-4711.test"}, {"unknown", "nobody.example.org"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Match(bm.host)
			}
		})
	}
}
