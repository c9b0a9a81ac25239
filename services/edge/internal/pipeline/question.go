// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/forward"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/cdnloop"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// question is what a fill asks an origin. It holds all that the fill needs, because
// the fill may outlive the request that began it. It is not changed once it is asked.
type question struct {
	request origin.Request
	name    cachekey.Key
	class   cachekey.Class
	rules   httpcache.Policy
	// wants is what the request that began the fill says of caching, selecting the header
	// by which it selects a variant, vary what the store knew of variants then.
	wants     httpcache.Request
	selecting header.Fields
	vary      httpcache.Vary
	// began is how far the edge had come with the configuration that the request is made
	// by. Whatever it brings bears this, however often the origin has to be asked.
	began invalidation.Moment
	// tags is the name of the response header that holds the cache tags; empty for none.
	tags string
	// object is the stale object to validate, or to fall back on.
	object *store.Object
	// apart: nobody else waits for the answer.
	apart bool
	// slice is the number of the slice that is asked for instead of the whole; -1 for none.
	slice int64
	// partial: the origin has answered with a part, which was the whole.
	partial bool
	traced  bool // the request that began the fill is sampled
}

// question builds the origin request of D15.1–D15.4 and D15.8: what is keyed goes to the
// origin, and what package forward finds beside it.
func (p *Pipeline) question(x *visit, o *snapshot.Origin) *question {
	sent := p.forward(x, o)
	target := o.PathPrefix + x.behavior.Origin.Path + x.path
	if sent.Query != "" {
		target += "?" + sent.Query
	}
	q := &question{
		request: origin.Request{Origin: o, ViewerScheme: x.req.Scheme, Method: x.req.Method, Target: target, Host: sent.Host},
		name:    x.name, class: x.forward.Encoding, rules: x.rules,
		wants: x.wants, selecting: selecting(x.header, &x.forward), vary: x.vary,
		began: invalidation.Moment{Era: x.era, Revision: x.config.Revision}, tags: x.distribution.CacheTagHeader,
		object: x.object, apart: x.apart, traced: x.span != nil, slice: -1,
	}
	q.request.Header = sent.Header
	if !q.request.Header.Has("User-Agent") { // D15.2
		q.request.Header.Add("User-Agent", p.Brand.UserAgent)
	}
	p.addHops(&q.request.Header, x)
	q.request.Viewer = x.req.Viewer.Addr()
	if x.rules.Semantics == httpcache.HTTP {
		q.request.Once = true // what an origin has seen, it has seen
		q.request.CutSurplus = true
		q.request.Interim = x.interims().pass
	}
	return q
}

// forward finds what of the viewer's request goes to an origin. The viewer's own
// conditions and the part that it asks for do only where the answer is this viewer's
// alone (D14.3, D19.13); by the rules of CloudFront, conditions for reading do not where
// cookies are sent as well (D14.4).
func (p *Pipeline) forward(x *visit, o *snapshot.Origin) forward.Sent {
	alone := x.alone
	reading := x.req.Method == "GET" || x.req.Method == "HEAD"
	return forward.Build(&x.policy.Key, x.forward, x.more, &forward.Request{
		Method: x.req.Method, Host: x.req.Host, Query: x.query, Header: x.header, HasBody: x.req.HasBody,
		Stored:     x.behavior.Methods.Caches(x.req.Method),
		Conditions: alone && (!reading || !x.rules.CookiesForwarded || x.rules.Semantics == httpcache.HTTP), Range: alone,
		Upgrade: x.webSocket(), Bucket: o.S3, HidesEncoding: x.config.HidesEncoding(x.behavior.Origin), Viewer: x.viewer(),
	})
}

// addHops adds what tells an origin who asked, through whom (D15.3, D15.4, D22.4).
func (p *Pipeline) addHops(h *header.Fields, x *visit) {
	viewer := x.req.Viewer.Addr().Unmap().WithZone("").String()
	if before, ok := x.header.Joined("X-Forwarded-For", ","); ok && before != "" {
		viewer = before + "," + viewer
	}
	h.Set("X-Forwarded-For", viewer)
	via := p.words.via // of HTTP/1.1
	if x.req.Major != 1 || x.req.Minor != 1 {
		via = p.Brand.Via(fmt.Sprintf("%d.%d", x.req.Major, x.req.Minor), p.pseudonym)
	}
	if before, ok := x.header.Joined("Via", ", "); ok && before != "" {
		via = before + ", " + via
	}
	h.Set("Via", via)
	h.Set(p.Brand.RequestID, x.id)
	h.Set(cdnloop.Field, cdnloop.Append(x.header, p.Brand.ViaDomain))
}

// fillKey names the fill that the question is asked by: that of the variant, where it is
// known by what variants are told apart. The answer to HEAD is no answer to GET.
func (q *question) fillKey() cachekey.Key {
	k := q.variant(q.place(q.name), q.vary)
	if q.slice >= 0 {
		k += cachekey.Key("\x00slice " + strconv.FormatInt(q.slice, 10))
	}
	return k
}

// storeKey names the object that an answer becomes (D11.18), or the mark that leads to
// its variants.
func (q *question) storeKey(h header.Fields) cachekey.Key {
	return q.place(q.name.WithEncoding(cachekey.StoredClass(q.class, h.Get("Content-Encoding"))))
}

func (q *question) place(k cachekey.Key) cachekey.Key {
	if q.request.Method == "HEAD" {
		return headKey(k)
	}
	return k
}

// variant is the key of the variant that the request selects.
func (q *question) variant(k cachekey.Key, v httpcache.Vary) cachekey.Key {
	if v == "" || v == httpcache.VaryAny {
		return k
	}
	return cachekey.Key(v.AppendKey([]byte(k), q.selecting))
}

// search looks for what the store has for the request by now.
func (q *question) search(ctx context.Context, p *Pipeline) *search {
	s := &search{now: p.Now(), wants: &q.wants, header: q.selecting, again: true}
	p.find(ctx, []byte(q.name), q.class, s)
	if s.object != nil {
		s.object = s.object.Own()
	}
	s.room.Release()
	return s
}

// run makes of the question what a fill runs.
func (q *question) run(p *Pipeline) fill.Run[*served] {
	return func(ctx context.Context, f *fill.Fill[*served]) (err error) {
		defer func() {
			if v := recover(); v != nil {
				p.logPanic(ctx, v)
				err = fmt.Errorf("fetch from %s: panic: %v", q.request.Origin.Name, v)
			}
		}()
		return p.ask(ctx, f, *q)
	}
}

// withValidators returns the request with the validators of the stale object (D14.5).
func (q *question) withValidators() (req origin.Request, validating bool) {
	req = q.request
	if q.object == nil || q.object.NoCondition { // D13.18, D14.4
		return req, false
	}
	fields := httpcache.ValidationFields(q.object.Header)
	if len(fields) == 0 {
		return req, false
	}
	req.Header = slices.Concat(req.Header, fields)
	return req, true
}

// unconditional returns a header without the fields of withValidators.
func unconditional(h header.Fields) header.Fields {
	out := h.Clone(0)
	out.Del("If-None-Match")
	out.Del("If-Modified-Since")
	return out
}

// climbs says whether the dot segments of a path lead above its root, for an origin
// that resolves them in any of the ways in use: dots, slashes and backslashes may be
// percent-encoded, empty segments may or may not count, parameters may follow.
func climbs(path string) bool {
	if !strings.Contains(path, "..") && !strings.Contains(path, "%") {
		return false
	}
	plain := strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", "/", "%5C", "/", `\`, "/").Replace(path)
	depth := 0
	for segment := range strings.SplitSeq(plain, "/") {
		segment, _, _ = strings.Cut(segment, ";")
		switch segment {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}
