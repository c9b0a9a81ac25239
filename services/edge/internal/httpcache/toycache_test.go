// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// toyCache is a cache that asks the questions of this package in their order, and so
// shows what the answers amount to. It has one thread and no size.
type toyCache struct {
	policy  Policy
	now     time.Time
	vary    map[string]Vary // by path
	objects map[string]*toyObject
}

type toyObject struct {
	response Response
	span     Span
}

// step is one request, and what the origin says if it is asked.
type step struct {
	method string // GET if empty
	path   string // "/" if empty
	ask    header.Fields
	// status is 200 if 0; dead is an origin that does not answer.
	status int
	dead   bool
	answer header.Fields
	// body is left out: the toy knows an answer by the number of the step that made it.

	// after is how long passes before the step, took how long the origin takes.
	after, took time.Duration

	// want is hit, miss, refresh (a hit, and the origin is asked meanwhile), stale (in
	// place of an error), error, or etag or date for a validation by these.
	want string
	// wantStatus is checked if set; has and lacks are fields of the answer, "Name: value"
	// or a name.
	wantStatus int
	has, lacks []string
}

// play runs the steps and checks what comes of each.
func play(t *testing.T, p Policy, steps []step) {
	t.Helper()
	c := &toyCache{policy: p, now: received, vary: map[string]Vary{}, objects: map[string]*toyObject{}}
	for i, s := range steps {
		c.now = c.now.Add(s.after)
		if s.method == "" {
			s.method = "GET"
		}
		if s.path == "" {
			s.path = "/"
		}
		if s.status == 0 {
			s.status = 200
		}
		s.answer = c.dated(s.answer)
		s.ask = c.dated(s.ask)
		got, r := c.serve(s)
		if got != s.want {
			t.Fatalf("step %d: %s, want %s", i+1, got, s.want)
		}
		if s.wantStatus != 0 && r.Status != s.wantStatus {
			t.Fatalf("step %d: status %d, want %d", i+1, r.Status, s.wantStatus)
		}
		for _, line := range s.has {
			name, value, exact := strings.Cut(line, ": ")
			if v, ok := r.Header.Lookup(name); !ok || exact && v != value {
				t.Fatalf("step %d: no %q in %v", i+1, line, r.Header)
			}
		}
		for _, name := range s.lacks {
			if r.Header.Has(name) {
				t.Fatalf("step %d: %s in %v", i+1, name, r.Header)
			}
		}
	}
}

// dated replaces "@n" by the date n seconds from now.
func (c *toyCache) dated(h header.Fields) header.Fields {
	h = h.Clone(0)
	for i := range h {
		if n, ok := strings.CutPrefix(h[i].Value, "@"); ok {
			seconds, _ := strconv.Atoi(n)
			h[i].Value = FormatDate(c.now.Add(time.Duration(seconds) * time.Second))
		}
	}
	return h
}

// serve answers a request and says how.
func (c *toyCache) serve(s step) (string, Response) {
	req := ParseRequest(s.method, s.ask, c.policy)
	if !req.Uses(c.policy) {
		return c.forward(s, req)
	}
	key := c.key(s, c.vary[s.path])
	o := c.objects[key]
	use := Absent(req)
	if o != nil {
		use = Decide(o.span, req, c.now)
	}
	switch use {
	case Serve:
		return "hit", c.deliver(s, o)
	case ServeAndRefresh:
		answer := c.deliver(s, o)
		c.validate(s, req, o)
		return "refresh", answer
	case Validate:
		return c.validate(s, req, o)
	case Unavailable:
		return "error", Response{Status: 504}
	default:
		return c.fetch(s, req, "miss")
	}
}

// key is where the variant for a request lies. Answers to HEAD have places of their own.
func (c *toyCache) key(s step, v Vary) string {
	return s.path + "\n" + string(v.AppendKey(nil, s.ask))
}

// validate asks the origin about a stored answer.
func (c *toyCache) validate(s step, req Request, o *toyObject) (string, Response) {
	conditions := ValidationFields(o.response.Header)
	how := "miss"
	switch {
	case conditions.Has("If-None-Match"):
		how = "etag"
	case conditions.Has("If-Modified-Since"):
		how = "date"
	}
	failure, failed := Unreachable, s.dead
	if !failed {
		failure, failed = Failing, c.policy.Failed(s.status)
	}
	if failed && StaleOnError(o.span, failure, c.now) {
		return "stale", c.deliver(s, o)
	}
	if s.dead || s.status != 304 {
		return c.fetch(s, req, how)
	}
	if !Confirms(o.response.Header, s.answer) {
		return "other", Response{}
	}
	r := c.origin(s)
	r.Status = o.response.Status
	r.Header = Merge(o.response.Header, ViewerHeader(r.Header, c.policy), c.policy)
	return how, c.deliver(s, c.keep(s, req, r))
}

// fetch asks the origin without a condition of ours.
func (c *toyCache) fetch(s step, req Request, how string) (string, Response) {
	if s.dead {
		return "error", Response{Status: 502}
	}
	r := c.origin(s)
	r.Header = ViewerHeader(r.Header, c.policy)
	c.keep(s, req, r)
	return how, r
}

// forward is a request that the cache has no part in.
func (c *toyCache) forward(s step, _ Request) (string, Response) {
	r := c.origin(s)
	target := Target{Scheme: "http", Host: "a.test", Path: s.path}
	for _, path := range Invalidated(s.method, target, s.status, s.answer, c.policy) {
		for key := range c.objects {
			if strings.HasPrefix(key, path+"\n") {
				delete(c.objects, key)
			}
		}
	}
	return "miss", r
}

func (c *toyCache) origin(s step) Response {
	asked := c.now
	c.now = c.now.Add(s.took)
	return Response{Status: s.status, Header: s.answer, RequestTime: asked, ResponseTime: c.now}
}

// keep stores an answer if it may, and drops what it replaces if not.
func (c *toyCache) keep(s step, req Request, r Response) *toyObject {
	a := Assess(req, r, c.policy)
	o := &toyObject{Response{
		Status: r.Status, Header: StoredHeader(r.Header, c.policy), RequestTime: r.RequestTime, ResponseTime: r.ResponseTime,
	}, a.Span(r)}
	if s.method == "HEAD" {
		return o
	}
	if !a.Storable {
		if a.Vary != VaryAny {
			delete(c.objects, c.key(s, a.Vary))
		}
		return o
	}
	c.vary[s.path] = a.Vary
	c.objects[c.key(s, a.Vary)] = o
	return o
}

// deliver is a stored answer as a viewer gets it.
func (c *toyCache) deliver(s step, o *toyObject) Response {
	r := o.response
	if c.policy.AnswersConditions() {
		switch Evaluate(s.method, s.ask, r) {
		case NotModified:
			r.Status, r.Header = 304, NotModifiedHeader(r.Header)
		case PreconditionFailed:
			return Response{Status: 412}
		}
	}
	r.Header = r.Header.Clone(1)
	r.Header.Set("Age", strconv.Itoa(int(Age(o.span.InitialAge, o.span.ResponseTime, c.now)/time.Second)))
	return r
}
