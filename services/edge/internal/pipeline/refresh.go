// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// refresh asks the origin about the object that has answered though it is stale
// (D13.24): once for each key, and for nobody in particular. The viewer has its answer.
func (p *Pipeline) refresh(ctx context.Context, x *visit) {
	o, ok := x.config.Origin(x.behavior.Origin)
	if !ok || p.keep(ctx, x) {
		return
	}
	x.rules.S3 = o.S3
	q := p.question(x, o)
	q.request.Interim = nil
	key := q.fillKey()
	p.fills.Start(ctx, fill.Place{Key: key, Began: q.began, Fence: p.Invalidations.Fence(key)}, q.run(p))
}

// changed does away with what is stored of the targets that a request may have changed
// at the origin (RFC 9111 §4.4), and sees to it that what is under way is not stored.
func (p *Pipeline) changed(x *visit, res *origin.Response) {
	targets := httpcache.Invalidated(x.req.Method, httpcache.Target{
		Scheme: x.req.Scheme, Host: x.req.Host, Path: x.req.Target,
	}, res.Status, res.Header, x.rules)
	for _, target := range targets {
		path, query, _ := strings.Cut(target, "?")
		if path == "/" && x.distribution.RootObject != "" {
			path = x.distribution.RootObject
		}
		key, _ := x.policy.Key.Build(cachekey.Parts{
			Distribution: x.distribution.ID, Method: "GET", Path: path, Query: query, Header: p.keyFields(x),
		})
		for _, class := range cachekey.Classes() {
			for _, k := range [...]cachekey.Key{key.WithEncoding(class), headKey(key.WithEncoding(class))} {
				p.fills.Outdate(k)
				p.Store.Delete(k) // with the mark that leads to them, variants are out of reach
			}
		}
	}
}

// freshen lets the answer to a HEAD request speak of the stored answer to GET (RFC 9111
// §4.3.5).
func (p *Pipeline) freshen(ctx context.Context, q *question, res *origin.Response) {
	if q.request.Method != "HEAD" || q.rules.Semantics != httpcache.HTTP {
		return
	}
	s := q.search(ctx, p)
	if s.object == nil || s.object.Head {
		return
	}
	old := s.object
	head := httpcache.Response{
		Status: res.Status, Header: httpcache.ViewerHeader(res.Header, q.rules),
		RequestTime: res.RequestTime, ResponseTime: res.ResponseTime,
	}
	switch httpcache.Freshen(httpcache.Response{
		Status: old.Status, Header: old.Header, RequestTime: old.RequestTime, ResponseTime: old.ResponseTime,
	}, head, q.rules) {
	case httpcache.HeadUpdates:
		if next, a := q.renewed(old, head); a.Storable {
			p.Store.Replace(old, next)
		}
	case httpcache.HeadOutdates:
		next := *old
		next.Lifetime, next.Windows = 0, httpcache.Windows{}
		p.Store.Replace(old, &next)
	}
}

// renewed is a stored object with the header of an answer that has confirmed it, and a
// new lifetime (D14.6, RFC 9111 §4.3.4).
func (q *question) renewed(old *store.Object, by httpcache.Response) (*store.Object, httpcache.Assessment) {
	merged := httpcache.Merge(old.Header, by.Header, q.rules)
	wants := q.wants
	wants.Method = "GET" // what is judged is the stored answer, whatever was asked
	a := httpcache.Assess(wants, httpcache.Response{
		Status: old.Status, Header: merged, RequestTime: by.RequestTime, ResponseTime: by.ResponseTime,
	}, q.rules)
	next := *old
	next.Header = httpcache.StoredHeader(merged, q.rules)
	next.RequestTime, next.ResponseTime = by.RequestTime, by.ResponseTime
	next.Live(a)
	next.RetryAfter, next.Stamp = time.Time{}, q.began.Stamp()
	next.Prepare(httpcache.NotModifiedHeader)
	return &next, a
}
