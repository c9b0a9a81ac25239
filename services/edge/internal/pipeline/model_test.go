// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// The TTLs and the error caching minimum of the model.
const (
	modelDefault = 60 * time.Second
	modelMax     = 120 * time.Second
	modelError   = 10 * time.Second
)

// resource is what an origin has at a path.
type resource struct {
	version int
	tagged  bool
	control string
	mode    string // "ok", "404", "500", "down"
}

func (r resource) tag() string { return fmt.Sprintf(`"v%d"`, r.version) }

func (r resource) body() string { return strings.Repeat(fmt.Sprintf("v%d ", r.version), 20) }

func (r resource) page(req *origin.Request) page {
	var fields []string
	if r.control != "" {
		fields = append(fields, "Cache-Control", r.control)
	}
	switch r.mode {
	case "404":
		return text(404, "none", fields...)
	case "500":
		return text(500, "oops", fields...)
	case "down":
		return failure(origin.Connect)
	}
	if r.tagged {
		fields = append(fields, "ETag", r.tag())
		if req.Header.Get("If-None-Match") == r.tag() {
			return text(304, "", fields...)
		}
	}
	return text(200, r.body(), fields...)
}

// entry is what the model says is stored at a path.
type entry struct {
	status     int
	body, tag  string
	control    string
	at         time.Time
	life, kept time.Duration
	retry      time.Time
	strict     bool // never stale on error
}

// lifeOf is the model's own reading of D13.1 for these policies.
func lifeOf(control string) (life time.Duration, storable bool) {
	switch control {
	case "private", "no-store":
		return 0, false
	case "no-cache", "max-age=0":
		return 0, true
	case "max-age=20", "max-age=20, must-revalidate":
		return 20 * time.Second, true
	case "max-age=3600":
		return modelMax, true
	default:
		return modelDefault, true
	}
}

// model is a cache as a map, without concurrency.
type model map[string]*entry

// get returns what a viewer must get and how often the origin is asked.
func (m model) get(path string, r resource, now time.Time) (status int, body, word string, asked int) {
	e := m[path]
	if e != nil && now.Sub(e.at) >= e.kept {
		e = nil
	}
	if e != nil && (now.Sub(e.at) < e.life || now.Before(e.retry)) {
		return e.status, e.body, "Hit", 0
	}
	confirmed := r.mode == "ok" && e != nil && r.tagged && e.tag == r.tag()
	if confirmed && r.control == "" {
		r.control = e.control // a 304 without the field leaves it as it is (D14.6)
	}
	life, storable := lifeOf(r.control)
	next := &entry{
		status: 200, body: r.body(), control: r.control, at: now, life: life, kept: modelMax,
		strict: strings.Contains(r.control, "must-revalidate"),
	}
	if r.tagged {
		next.tag = r.tag()
	}
	word = "Miss"
	switch {
	case (r.mode == "500" || r.mode == "down") && e != nil && !e.strict:
		e.retry = now.Add(modelError) // D13.21
		return e.status, e.body, "RefreshHit", 1
	case r.mode == "500":
		return m.fail(path, 500, "oops", r.control, now)
	case r.mode == "down":
		return m.fail(path, 502, "", "", now)
	case r.mode == "404" && (!storable || r.control == "no-cache"):
		delete(m, path) // D18.4, D13.22
		return 404, "none", "Error", 1
	case r.mode == "404":
		return m.fail(path, 404, "none", r.control, now)
	case confirmed:
		word = "RefreshHit"
	}
	m[path] = next
	if !storable {
		delete(m, path)
	}
	return 200, next.body, word, 1
}

// fail stores an error (D18.1).
func (m model) fail(path string, status int, body, control string, now time.Time) (int, string, string, int) {
	life := modelError
	if l, ok := lifeOf(control); ok && strings.HasPrefix(control, "max-age") {
		life = max(life, l)
	}
	m[path] = &entry{status: status, body: body, at: now, life: life, kept: life, strict: true}
	return status, body, "Error", 1
}

// act is one step of a history: a request, a time that passes, or a change of what the
// origin has.
type act struct {
	path   string
	wait   time.Duration
	change *resource
	bump   bool // the change brings a new version
}

func drawActs(t *rapid.T) []act {
	acts := make([]act, rapid.IntRange(5, 40).Draw(t, "steps"))
	for i := range acts {
		a := &acts[i]
		a.path = rapid.SampledFrom([]string{"/a", "/b"}).Draw(t, "path")
		switch rapid.SampledFrom([]string{"get", "get", "wait", "change"}).Draw(t, "step") {
		case "wait":
			a.wait = time.Duration(rapid.SampledFrom([]int{1, 5, 9, 10, 19, 60, 119, 200}).Draw(t, "seconds")) * time.Second
		case "change":
			a.bump = rapid.Bool().Draw(t, "bump")
			a.change = &resource{
				tagged: rapid.Bool().Draw(t, "tagged"),
				mode:   rapid.SampledFrom([]string{"ok", "ok", "ok", "404", "500", "down"}).Draw(t, "mode"),
				control: rapid.SampledFrom([]string{
					"", "max-age=20", "max-age=3600", "max-age=20, must-revalidate", "max-age=0", "no-cache", "private", "no-store",
				}).Draw(t, "control"),
			}
		}
	}
	return acts
}

// TestModel compares the edge with the model, one request after the other.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		acts, wrong := drawActs(rt), ""
		synctest.Test(t, func(t *testing.T) { wrong = follow(t, acts) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// follow plays a history and returns the first difference.
func follow(t *testing.T, acts []act) string {
	e := newEdge(t, options{policy: policyOf(0, modelDefault, modelMax)})
	has := map[string]resource{"/a": {mode: "ok"}, "/b": {mode: "ok"}}
	e.origin.set(func(r *origin.Request) page { return has[r.Target].page(r) })
	m := model{}
	for i, a := range acts {
		switch {
		case a.wait > 0:
			time.Sleep(a.wait)
			continue
		case a.change != nil:
			next := *a.change
			next.version = has[a.path].version
			if a.bump {
				next.version++
			}
			has[a.path] = next
			continue
		}
		status, body, word, asked := m.get(a.path, has[a.path], time.Now())
		if status >= 400 {
			word = "Error"
		}
		g := e.get(a.path)
		if status == 502 {
			body = g.body // a page that names the request
		}
		if n := len(e.origin.requests()); g.status != status || g.body != body || g.xcache() != word || n != asked {
			return fmt.Sprintf("step %d, %s %+v: got %d %.9q %q, asked %d; want %d %.9q %q, asked %d",
				i, a.path, has[a.path], g.status, g.body, g.xcache(), n, status, body, word, asked)
		}
	}
	return ""
}

// caller is one viewer of a crowd.
type caller struct {
	method, target  string
	delay, patience time.Duration
}

// TestCrowd lets viewers of several paths come, wait and leave while a slow origin
// changes: what is served is always one whole thing that the origin served for that
// path, and no older than its rules allow.
func TestCrowd(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		callers := make([]caller, rapid.IntRange(5, 30).Draw(rt, "viewers"))
		for i := range callers {
			callers[i] = caller{
				method:   rapid.SampledFrom([]string{"GET", "GET", "GET", "HEAD"}).Draw(rt, "method"),
				target:   rapid.SampledFrom([]string{"/a", "/b"}).Draw(rt, "path"),
				delay:    time.Duration(rapid.IntRange(0, 60_000).Draw(rt, "delay")) * time.Millisecond,
				patience: time.Duration(rapid.SampledFrom([]int{100, 400, 100_000}).Draw(rt, "patience")) * time.Millisecond,
			}
		}
		var wrong []string
		synctest.Test(t, func(t *testing.T) { wrong = gather(t, callers) })
		if len(wrong) > 0 {
			rt.Fatal(strings.Join(wrong, "\n"))
		}
	})
}

// slowly is an origin that takes 300 ms, has a new version every 7 s, and remembers
// when it last served a body or said that it holds.
type slowly struct {
	began time.Time
	mu    sync.Mutex
	seen  map[string]time.Time
}

func (o *slowly) answer(r *origin.Request) page {
	time.Sleep(300 * time.Millisecond)
	v := int(time.Since(o.began) / (7 * time.Second))
	res := resource{version: v, tagged: v%2 == 0, control: "max-age=20", mode: "ok"}
	p := res.page(r)
	body := r.Target + " " + res.body()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen[body] = time.Now()
	if p.status == 200 {
		p.text = body
	}
	return p
}

// gather lets the callers come and returns what was wrong.
func gather(t *testing.T, callers []caller) []string {
	e := newEdge(t, options{policy: policyOf(0, modelDefault, modelMax)})
	o := &slowly{began: time.Now(), seen: map[string]time.Time{}}
	e.origin.set(o.answer)
	var wg sync.WaitGroup
	var wrong []string
	for i, c := range callers {
		wg.Go(func() {
			time.Sleep(c.delay)
			ctx, cancel := context.WithTimeout(t.Context(), c.patience)
			defer cancel()
			r := ask(c.target)
			r.Method = c.method
			g := &got{}
			e.Serve(ctx, r, g)
			if ctx.Err() != nil {
				return
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			at, known := o.seen[g.body]
			switch {
			case g.status != 200 || g.err != nil:
				wrong = append(wrong, fmt.Sprintf("viewer %d: %d, %v", i, g.status, g.err))
			case c.method == "HEAD":
			case !known || !strings.HasPrefix(g.body, c.target+" "):
				wrong = append(wrong, fmt.Sprintf("viewer %d of %s: the origin never served %.9q there", i, c.target, g.body))
			case time.Since(at) > 20*time.Second+300*time.Millisecond:
				wrong = append(wrong, fmt.Sprintf("viewer %d of %s: served by the origin %v ago", i, c.target, time.Since(at)))
			}
		})
	}
	wg.Wait()
	time.Sleep(time.Second) // for fills that nobody waits for any more
	synctest.Wait()
	if s := e.fills.Stats(); s.Fills != 0 || s.Bytes != 0 {
		wrong = append(wrong, fmt.Sprintf("left over: %+v", s))
	}
	return wrong
}
