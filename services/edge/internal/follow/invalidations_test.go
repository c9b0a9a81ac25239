// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/lastgood"
)

// dead says whether an object of distribution D that was asked for at a moment is dead.
func dead(f *Follower, path string, at invalidation.Moment) bool {
	k, _ := (&cachekey.Policy{}).Build(cachekey.Parts{Distribution: "D", Method: "GET", Path: path})
	_, dead := f.cfg.Invalidations.Dead(k, at.Stamp(), nil)
	return dead
}

func TestInvalidationIsAcknowledgedWhenItIsOnDisk(t *testing.T) {
	c := etcdtest.Client(t)
	put(t, c, keyA, origin(t, "a.test"))
	f, p := start(t, c, lastgood.Content{Era: 7})
	run(t, f)
	first := p.until(1)
	if first.Obeyed != first.Snapshot.Revision {
		t.Errorf("nothing is invalidated, %d of %d is obeyed", first.Obeyed, first.Snapshot.Revision)
	}
	<-p.steps
	one := put(t, c, keys.Invalidation("D", "I1"), value(t, &configv1.Invalidation{Paths: []string{"/a"}}))
	x := p.until(one)
	if x.Obeyed != one-1 || x.Changes != first.Changes {
		t.Errorf("design 3.3: %d of %d is obeyed before it is on disk", x.Obeyed, one)
	}
	if !dead(f, "/a", invalidation.Moment{Era: 7, Revision: one - 1}) || dead(f, "/b", invalidation.Moment{Era: 7, Revision: one - 1}) {
		t.Error("C8.85: the invalidation does not hold when its revision is in service")
	}
	s := <-p.steps
	if s.Synced == nil || len(s.Invalidations) != 1 || s.Era != 0 {
		t.Fatalf("step %+v", s)
	}
	plain := put(t, c, keyB, origin(t, "b.test"))
	if x = p.until(plain); x.Obeyed != one-1 {
		t.Errorf("%d is obeyed while %d is not on disk", x.Obeyed, one)
	}
	if s := <-p.steps; s.Synced != nil {
		t.Error("a change without an invalidation waits for the disk")
	}
	go s.Synced()
	if x = <-p.progress; x.Obeyed != plain || x.Changes == first.Changes+1 {
		t.Errorf("C8.71: on disk, and %d is obeyed; %d changes", x.Obeyed, x.Changes)
	}
	res, err := c.Delete(t.Context(), keys.Invalidation("D", "I1"))
	if err != nil {
		t.Fatal(err)
	}
	if x = p.until(res.Header.Revision); x.Obeyed != res.Header.Revision {
		t.Error("C8.87: an invalidation that is gone is waited for")
	}
	if !dead(f, "/a", invalidation.Moment{Era: 7, Revision: one - 1}) {
		t.Error("C8.87: an invalidation that is gone is forgotten")
	}
}

// TestInvalidationOfTheRootAndItsChange: whoever invalidates / and then has another root
// object has invalidated the one before, also at an edge that hears of both at once.
func TestInvalidationOfTheRootAndItsChange(t *testing.T) {
	c := etcdtest.Client(t)
	site := func(root string) string {
		return string(value(t, &configv1.Distribution{Name: "distributions/D", DomainName: "d.cdn.test", Config: &configv1.DistributionConfig{
			Enabled: true, DefaultRootObject: root,
			Origins: []*configv1.Origin{{Id: "site", Source: &configv1.Origin_OriginRef{OriginRef: "origins/a"}}},
			DefaultCacheBehavior: &configv1.CacheBehavior{
				TargetOriginId: "site", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
				Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6"},
			},
		}}))
	}
	put(t, c, keyA, origin(t, "a.test"))
	was := put(t, c, keys.Resource(keys.Distributions, "D"), []byte(site("a.html")))
	f, p := start(t, c, lastgood.Content{Era: 7})
	run(t, f)
	if x := p.until(was); x.Snapshot.RootObject("D") != "/a.html" {
		t.Fatalf("root object %q: %v", x.Snapshot.RootObject("D"), x.Snapshot.Rejections())
	}
	res, err := c.Txn(t.Context()).Then(
		clientv3.OpPut(keys.Invalidation("D", "I1"), string(value(t, &configv1.Invalidation{Paths: []string{"/"}}))),
		clientv3.OpPut(keys.Resource(keys.Distributions, "D"), site("b.html")),
	).Commit()
	if err != nil {
		t.Fatal(err)
	}
	p.until(res.Header.Revision)
	for path, want := range map[string]bool{"/a.html": true, "/b.html": true, "/c.html": false} {
		if got := dead(f, path, invalidation.Moment{Era: 7, Revision: was}); got != want {
			t.Errorf("D12.8: %s is dead: %v", path, got)
		}
	}
}

func TestInvalidationsAfterARestart(t *testing.T) {
	c := etcdtest.Client(t)
	f, p := start(t, c, lastgood.Content{Era: 7})
	stop := run(t, f)
	p.until(1)
	one := put(t, c, keys.Invalidation("D", "I1"), value(t, &configv1.Invalidation{Paths: []string{"/a"}}))
	p.until(one)
	stop()
	kept := p.kept()
	kept.Era = 7 // of the cache that p's disk is about
	f, p = start(t, c, kept)
	if x := p.until(one); x.Obeyed != one {
		t.Errorf("%d of %d is obeyed after a restart", x.Obeyed, one)
	}
	if !dead(f, "/a", invalidation.Moment{Era: 7, Revision: one - 1}) || dead(f, "/a", invalidation.Moment{Era: 7, Revision: one}) {
		t.Error("design 3.5: an acknowledged invalidation is forgotten")
	}
}

func TestCacheIsDropped(t *testing.T) {
	for _, tt := range []struct {
		rule    string
		contact time.Duration // ago
		epoch   string
		want    bool
	}{
		{"C8.86: a short absence", time.Hour, "one", false},
		{"C8.86: almost a week", 6 * 24 * time.Hour, "one", false},
		{"C8.86: a week", 7 * 24 * time.Hour, "one", true},
		{"C8.86: the clock was set back", -time.Hour, "one", true},
		{"C8.88: another data set", time.Hour, "two", true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := etcdtest.Client(t)
			put(t, c, keys.Epoch, []byte("one"))
			f, p := start(t, c, lastgood.Content{Era: 7})
			stop := run(t, f)
			p.until(1)
			stop()
			kept := p.kept()
			kept.Era, kept.Contact = 7, time.Now().Add(-tt.contact).Round(0)
			now := put(t, c, keys.Epoch, []byte(tt.epoch))
			one := put(t, c, keys.Invalidation("D", "I1"), value(t, &configv1.Invalidation{Paths: []string{"/a"}}))
			f, p = start(t, c, kept)
			run(t, f)
			x := p.until(one)
			if got := f.cfg.Invalidations.Era() != 7; got != tt.want {
				t.Errorf("dropped is %v", got)
			}
			if tt.want != dead(f, "/other", invalidation.Moment{Era: 7, Revision: now}) {
				t.Error("objects from before are as before")
			}
			s := <-p.steps
			if tt.want != (s.Era != 0) || s.Synced == nil || x.Obeyed >= one || tt.want && x.Obeyed != 0 {
				t.Errorf("step %+v; %d is obeyed", s.Era, x.Obeyed)
			}
		})
	}
}

func TestAway(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		before time.Time
		want   bool
	}{
		{time.Time{}, false},
		{now.Add(-time.Hour), false},
		{now.Add(-8 * 24 * time.Hour), true},
		{now.Add(-8 * 24 * time.Hour).Round(0), true},
		{now.Add(30 * time.Second).Round(0), false}, // written a moment ago by a clock that was put right
		{now.Add(time.Hour).Round(0), true},
	} {
		if got := away(tt.before, now); got != tt.want {
			t.Errorf("C8.86: away since %v is %v", now.Sub(tt.before), got)
		}
	}
}
