// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
)

// lastGoodFile is the edge's last good configuration within its data directory.
const lastGoodFile = "lastgood.db"

// noCache gives a path a behavior that never caches.
func noCache(pattern string) func(*configv1.DistributionConfig) {
	return func(c *configv1.DistributionConfig) {
		c.CacheBehaviors = append(c.CacheBehaviors, control.Behavior(pattern, "site", control.CachingDisabled))
	}
}

// TestFrozenEdge shows that "deployed" waits for every live edge and names the one
// that is behind.
func TestFrozenEdge(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	d := f.site(t, "frozen-edge")
	frozen := f.edges[1]
	frozen.Pause(t)
	f.api.Update(t.Context(), t, d.GetName(), noCache("/news/*"), "cache_behaviors")
	r := f.api.WatchUntil(t, d.GetName(), deployTimeout, func(r *control.Rollout) bool { return r.Deployment.GetEdgesCurrent() == 2 })
	if s := r.Deployment.GetState(); s != commonv1.Deployment_STATE_IN_PROGRESS {
		t.Errorf("with %s frozen the deployment is %v", frozen.name, s)
	}
	if diff := cmp.Diff([]string{frozen.name}, r.Deployment.GetPendingEdges()); diff != "" {
		t.Errorf("pending edges (-want +got):\n%s", diff)
	}
	for name, e := range r.Edges {
		want := commonv1.EdgeProgress_STATE_DEPLOYED
		if name == frozen.name {
			want = commonv1.EdgeProgress_STATE_PENDING
		}
		if e.GetState() != want {
			t.Errorf("%s is %v, want %v", name, e.GetState(), want)
		}
	}
	if !f.api.Get(t, d.GetName()).GetReconciling() {
		t.Error("the distribution is not reconciling")
	}
	frozen.Resume(t)
	r = f.api.Watch(t, d.GetName(), deployTimeout)
	if n := r.Deployment.GetEdgesCurrent(); n != 3 {
		t.Errorf("deployed on %d edges", n)
	}
	f.everywhere(t, d.GetDomainName(), "/news/1", func(e *edge, a *viewer.Answer) { viewer.Want(t, e.name, a, 200, "Miss") })
	f.everywhere(t, d.GetDomainName(), "/news/1", func(e *edge, a *viewer.Answer) { viewer.Want(t, e.name, a, 200, "Miss") })
}

// TestKilledEdgeStartsWithoutEtcd kills an edge, stops etcd and starts the edge:
// it answers as before. A damaged file is refused instead.
func TestKilledEdgeStartsWithoutEtcd(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	d := f.site(t, "killed-edge")
	f.api.Update(t.Context(), t, d.GetName(), noCache("/news/*"), "cache_behaviors")
	f.api.Watch(t, d.GetName(), deployTimeout)
	e := f.edges[2]
	f.kept(t, d.GetName(), e)
	before := e.answers(t, d.GetDomainName())
	e.Kill(t)
	f.etcd.Stop()
	for name, api := range map[string]*control.Client{"config": f.api, "origin-registry": f.origins} {
		program.Await(t, name+" notices that etcd is gone", startTimeout, func(ctx context.Context) error {
			if err := api.Serving(ctx); err == nil {
				return errors.New("it is SERVING without etcd")
			}
			return nil
		})
	}
	e.start(t)
	e.ready(t)
	after := e.answers(t, d.GetDomainName())
	before[0].Cache, after[0].Cache = "", "" // what was on disk already is a hit now
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("answers after kill -9, without etcd (-before +after):\n%s", diff)
	}

	e.Kill(t)
	damaged := filepath.Join(e.data, lastGoodFile)
	tear(t, damaged)
	e.start(t)
	program.Await(t, "the edge names the damaged file", startTimeout, func(context.Context) error {
		if !strings.Contains(e.Log(), damaged) {
			return errors.New(e.Log())
		}
		return nil
	})
	if err := program.Page(t.Context(), "http://"+e.admin+"/readyz"); err == nil {
		t.Error("the edge is ready with a damaged file and without etcd")
	}
	if a, err := viewer.New(e.http).Get(d.GetDomainName(), "/page"); err == nil && a.Status == 200 {
		t.Errorf("the edge serves from a damaged file: %q", a.Body)
	}
	f.etcd.Restart(t)
	e.ready(t)
	before[0].Cache = "Miss" // a cache without its journal of invalidations is dropped
	if diff := cmp.Diff(before, e.answers(t, d.GetDomainName())); diff != "" {
		t.Errorf("answers with etcd back (-before +after):\n%s", diff)
	}
	program.Await(t, "config serves again", startTimeout, f.api.Serving)
	program.Await(t, "origin-registry serves again", startTimeout, f.origins.Serving)
	f.counted(t, d.GetName())
}

// answer is what the tests compare of an answer.
type answer struct {
	Status int
	Cache  string
	Body   string
}

// answers asks an edge that has nothing in its cache for a page twice, for news
// twice, and for a host that nobody has.
func (e *edge) answers(t *testing.T, host string) []answer {
	t.Helper()
	var out []answer
	for _, q := range []struct{ host, target string }{
		{host, "/page"}, {host, "/page"}, {host, "/news/1"}, {host, "/news/1"}, {"nobody.test", "/"},
	} {
		a := viewer.Get(t, e.http, q.host, q.target)
		body := string(a.Body)
		if a.Status >= 400 {
			body = "" // it has the id of the request
		}
		out = append(out, answer{a.Status, a.Cache(), body})
	}
	return out
}

// kept waits until everything that an edge has applied by now is on its disk: until
// its file is written once more, which another change brings about.
func (f *fleet) kept(t *testing.T, name string, e *edge) {
	t.Helper()
	applied := time.Now()
	f.api.Update(t.Context(), t, name, func(c *configv1.DistributionConfig) { c.Comment = "once more" }, "comment")
	program.Await(t, e.name+" writes its file", startTimeout, func(context.Context) error {
		info, err := os.Stat(filepath.Join(e.data, lastGoodFile))
		if err == nil && !info.ModTime().After(applied) {
			err = errors.New("not since " + applied.String())
		}
		return err
	})
}

// tear overwrites the middle of a file, as a disk does that loses power.
func tear(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, info.Size()/2), info.Size()/4); err != nil {
		t.Fatal(err)
	}
}

// TestUnknownEnumNumber writes a record from the future into etcd: every edge goes
// on with the version before it and says so, and others are not held up.
func TestUnknownEnumNumber(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	bad, good := f.site(t, "from-the-future"), f.site(t, "of-today")
	f.rewrite(t, bad.GetName(), func(d *configv1.Distribution) {
		d.Config.DefaultCacheBehavior.ViewerProtocolPolicy = 99
		d.Config.DefaultRootObject = "future.html"
	})
	r := f.api.WatchUntil(t, bad.GetName(), deployTimeout, func(r *control.Rollout) bool { return r.Deployment.GetEdgesRejected() == 3 })
	if s := r.Deployment.GetState(); s != commonv1.Deployment_STATE_IN_PROGRESS {
		t.Errorf("rejected everywhere, the deployment is %v", s)
	}
	for _, rejection := range r.Deployment.GetRejections() {
		t.Logf("%v", rejection)
		if rejection.GetResource() != bad.GetName() || rejection.GetReason() == "" || !strings.Contains(rejection.GetMessage(), "99") {
			t.Errorf("rejection %v does not name the record and the number", rejection)
		}
	}
	f.everywhere(t, bad.GetDomainName(), "/page", func(e *edge, a *viewer.Answer) { viewer.Want(t, e.name+" serves the old version", a, 200, "Miss") })
	f.api.Update(t.Context(), t, good.GetName(), noCache("/news/*"), "cache_behaviors")
	if r := f.api.Watch(t, good.GetName(), deployTimeout); r.Deployment.GetEdgesCurrent() != 3 {
		t.Errorf("the other distribution: %v", r.Deployment)
	}
	f.everywhere(t, good.GetDomainName(), "/page", func(e *edge, a *viewer.Answer) { viewer.Want(t, e.name, a, 200, "Miss") })
}

// rewrite changes a distribution's record behind the back of the API.
func (f *fleet) rewrite(t *testing.T, name string, change func(*configv1.Distribution)) {
	t.Helper()
	id := strings.TrimPrefix(name, "distributions/")
	key := keys.Resource(keys.Distributions, id)
	res, err := f.store.Get(t.Context(), key)
	if err != nil || len(res.Kvs) != 1 {
		t.Fatalf("record of %s: %v, %v", name, res, err)
	}
	var record storev1.Record
	var d configv1.Distribution
	if err := errors.Join(keys.Decode(res.Kvs[0].Value, &record), proto.Unmarshal(record.GetResource(), &d)); err != nil {
		t.Fatal(err)
	}
	change(&d)
	if record.Resource, err = proto.Marshal(&d); err != nil {
		t.Fatal(err)
	}
	record.WriteId++
	record.Generation++
	value, err := keys.Encode(&record)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Put(t.Context(), key, string(value)); err != nil {
		t.Fatal(err)
	}
}
