// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange/exchangetest"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

const promiseHost = "www.promise.test"

var noTime = &durationpb.Duration{}

// world is the site whose content changes: what an origin answers now, and which
// version of each path who has acknowledged an invalidation must not go below.
type world struct {
	t     *testing.T
	etcd  *clientv3.Client
	paths []string

	mu       sync.Mutex // guards the rest
	rand     *rand.Rand
	versions map[string]int
	orders   []order
	warm     int64 // objects that a process has found on its disk
}

// order is an invalidation with the versions that were there before it was written.
type order struct {
	revision int64
	versions map[string]int // of the paths that it is about
}

func (w *world) chance(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

// tagOf is the cache tag of a path.
func tagOf(path string) string { return "dir" + strings.Split(path, "/")[1] }

// Fetch is the origin: it reads the version, takes its time, and answers.
func (w *world) Fetch(ctx context.Context, r *origin.Request) (*origin.Response, error) {
	sent := time.Now()
	w.mu.Lock()
	version := strconv.Itoa(w.versions[r.Target])
	delay := time.Duration(w.rand.IntN(8)) * time.Millisecond
	kind := w.rand.IntN(10)
	w.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return nil, &origin.Error{Kind: origin.Canceled, Origin: r.Origin.Name, Err: ctx.Err()}
	}
	if kind == 0 {
		return nil, &origin.Error{Kind: origin.Connect, Origin: r.Origin.Name, Attempts: 1, Err: io.ErrUnexpectedEOF}
	}
	res := &origin.Response{
		Status: 200, Minor: 1, ContentLength: int64(len(version)), Framing: origin.ContentLength, Attempts: 1,
		RequestTime: sent, ResponseTime: time.Now(), Body: io.NopCloser(strings.NewReader(version)),
	}
	tag := strconv.Quote(version)
	res.Header.Add("ETag", tag)
	res.Header.Add("Cache-Tag", "all, "+tagOf(r.Target))
	// Some answers have to be validated at once, and are stale answers until then.
	res.Header.Add("Cache-Control", []string{"max-age=3600", "max-age=0"}[kind%2])
	if r.Header.Get("If-None-Match") == tag {
		res.Status, res.Framing, res.ContentLength, res.Body = 304, origin.None, -1, io.NopCloser(strings.NewReader(""))
	}
	return res, nil
}

// invalidate changes what lies at some paths and then invalidates them.
func (w *world) invalidate() {
	w.mu.Lock()
	path := w.paths[w.rand.IntN(len(w.paths))]
	m := &configv1.Invalidation{}
	var concerns func(string) bool
	switch w.rand.IntN(4) {
	case 0:
		m.Paths, concerns = []string{path}, func(p string) bool { return p == path }
	case 1:
		dir := path[:strings.LastIndex(path, "/")+1]
		m.Paths, concerns = []string{dir + "*"}, func(p string) bool { return strings.HasPrefix(p, dir) }
	case 2:
		m.Tags, concerns = []string{strings.ToUpper(tagOf(path))}, func(p string) bool { return tagOf(p) == tagOf(path) }
	default:
		m.Paths, concerns = []string{"/*"}, func(string) bool { return true }
	}
	o := order{versions: map[string]int{}}
	for _, p := range w.paths {
		if concerns(p) {
			w.versions[p]++
			o.versions[p] = w.versions[p]
		}
	}
	w.mu.Unlock()
	res, err := w.etcd.Put(w.t.Context(), keys.Invalidation("D", fmt.Sprint("I", rand.Int64())), string(recordOf(w.t, m)))
	if err != nil {
		w.t.Fatal(err)
	}
	o.revision = res.Header.Revision
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orders = append(w.orders, o)
}

// least is the version of a path that nobody may go below who has acknowledged
// everything up to a revision.
func (w *world) least(path string, acknowledged int64) (version int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.orders {
		if o.revision <= acknowledged {
			version = max(version, o.versions[path])
		}
	}
	return version
}

func recordOf(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	v, err := keys.Encode(&storev1.Record{WriteId: 1, Resource: b})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// body is an answer as a viewer has it.
type body struct {
	exchangetest.Silent

	status int
	text   strings.Builder
}

func (b *body) Send(ctx context.Context, a *exchange.Answer) (int64, error) {
	b.status = a.Status
	_, _ = exchangetest.Read(ctx, a.Body, func(p []byte) { b.text.Write(p) })
	return int64(b.text.Len()), nil
}

// look is one viewer request, held against what the edge had acknowledged before.
func (a *actor) look(path string) (status int) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	acknowledged := a.obeyed()
	least := a.least(path, acknowledged)
	got := &body{}
	a.process.pipeline.Serve(a.t.Context(), &exchange.Request{
		Method: "GET", Target: path, Host: promiseHost, Scheme: "http", Major: 1, Minor: 1, Header: header.Fields{},
	}, got)
	if got.status != 200 {
		return got.status
	}
	if version, err := strconv.Atoi(got.text.String()); err != nil || version < least {
		a.t.Errorf("%s serves version %q of %s; with revision %d acknowledged it may not be below %d", a.name, got.text.String(), path, acknowledged, least)
	}
	return got.status
}

// TestPromise is issue 3's: at an edge that has acknowledged an invalidation no request
// that begins afterwards gets an object that was fetched before, whatever happens: fills
// on their way, requests that join, stale answers, kill -9, restarts with and without
// etcd, edges that hear nothing. It is stronger than "after COMPLETED", which is when
// the last live edge has acknowledged.
func TestPromise(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := &world{
		t: t, etcd: etcdtest.Client(t), rand: rand.New(rand.NewPCG(seed, 0)), versions: map[string]int{},
		paths: []string{"/a/1", "/a/2", "/a/b/1", "/c/1", "/c/d/1", "/e/1"},
	}
	write(t, w.etcd, "D", &configv1.Distribution{
		DomainName: "d1.cdn.test",
		Config: &configv1.DistributionConfig{
			Enabled: true, Aliases: []string{promiseHost}, CacheTagHeader: "Cache-Tag",
			Origins: []*configv1.Origin{{Id: "web", Source: &configv1.Origin_Endpoint{Endpoint: &originv1.OriginEndpoint{
				Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
					Host: "127.0.0.1", ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
				}},
			}}}},
			CustomErrorResponses: []*configv1.CustomErrorResponse{
				{ErrorCode: 500, ErrorCachingMinTtl: noTime}, {ErrorCode: 502, ErrorCachingMinTtl: noTime},
				{ErrorCode: 503, ErrorCachingMinTtl: noTime}, {ErrorCode: 504, ErrorCachingMinTtl: noTime},
			},
			DefaultCacheBehavior: &configv1.CacheBehavior{
				TargetOriginId: "web", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
				Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: optimized},
			},
		},
	})
	nowhere, err := etcd.Dial([]string{"127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	actors := make([]*actor, 3)
	for i := range actors {
		actors[i] = &actor{world: w, name: fmt.Sprint("edge-", i), dir: t.TempDir()}
		actors[i].start(w.etcd)
		await(t, actors[i].process.follower.Loaded)
	}
	ctx, enough := context.WithCancel(t.Context())
	var viewers sync.WaitGroup
	var served sync.Map
	for range 8 {
		viewers.Go(func() {
			for ctx.Err() == nil {
				served.Store(actors[w.chance(len(actors))].look(w.paths[w.chance(len(w.paths))]), true)
			}
		})
	}
	for range 150 {
		a := actors[w.chance(len(actors))]
		switch n := w.chance(20); {
		case n < 12:
			w.invalidate()
		case n < 14:
			a.process.gate.set(true)
		case n < 17:
			a.process.gate.set(false)
		default:
			a.mu.Lock()
			a.kill()
			a.start([]*clientv3.Client{w.etcd, w.etcd, nowhere}[n-17])
			a.mu.Unlock()
		}
		time.Sleep(time.Duration(w.chance(20)) * time.Millisecond) // life goes on
	}
	enough()
	viewers.Wait()
	w.invalidate()
	last := w.orders[len(w.orders)-1].revision
	for _, a := range actors {
		a.kill()
		a.start(w.etcd)
		await(t, func() bool { return a.obeyed() >= last })
		for _, path := range w.paths {
			for a.look(path) != 200 { // the origin fails now and then
			}
		}
		a.process.stop()
	}
	statuses := map[any]any{}
	served.Range(func(k, v any) bool { statuses[k] = v; return true })
	if _, ok := statuses[200]; !ok {
		t.Error("nothing was served")
	}
	if w.warm == 0 {
		t.Error("no process has found anything on its disk")
	}
	t.Logf("%d invalidations; statuses %v", len(w.orders), slices.Collect(maps.Keys(statuses)))
}
