// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/load"
)

// row is one thing to measure. Each run adds lines to the table.
type row struct {
	id  string
	run func(t *testing.T, b *bench)
}

// allRows are the rows in the order of the table.
func allRows() []row {
	var out []row
	for _, w := range workloads() {
		out = append(out, row{w.id, w.run})
	}
	return append(out,
		row{"latency", latency}, row{"collapse", collapse}, row{"memory", objectMemory}, row{"idle", idleMemory}, row{"restart", restart}, row{"allocations", allocations})
}

// measure is a request that a subject is asked over and over.
type measure struct {
	subject    string
	target     string // # is a number that was not used before
	method     string
	fields     []string
	secure, h2 bool
	own        bool // asked by package load, for what wrk cannot
	status     int
	first, n   int // of a range; n 0 is all
}

func (m measure) methodOr() string { return cmp.Or(m.method, http.MethodGet) }
func (m measure) statusOr() int    { return cmp.Or(m.status, http.StatusOK) }

func (m measure) size() int {
	number, _, _ := strings.Cut(m.target[1:], "/")
	n, err := strconv.Atoi(number)
	if err != nil {
		panic("a target of the origin begins with a size: " + m.target)
	}
	return n
}

func (m measure) length() int64 {
	if m.n > 0 {
		return int64(m.n)
	}
	return int64(m.size())
}

// body is what the answer must have.
func (m measure) body() []byte {
	if m.method == http.MethodHead || m.status == http.StatusNotModified {
		return nil
	}
	b := load.Body(m.size())
	if m.n > 0 {
		return b[m.first : m.first+m.n]
	}
	return b
}

// against is what the edge is compared with: bar is to be reached, goal is where we go.
type against struct {
	measure
	bar, goal float64
}

// workload compares the edge's answers in a second with those of others.
type workload struct {
	id, what string
	edge     measure
	peers    []against
}

const (
	oneKB = "/1024/a"
	tenKB = "/10240/a"
)

func workloads() []workload {
	at := func(subject string, m measure) measure {
		m.subject = subject
		return m
	}
	hits := func(id, what, target string) workload {
		m := measure{target: target}
		return workload{id, what, at(seafront, m), []against{
			{at(nginxLogged, m), 1.5, 2}, {at(nginxSilent, m), 1.1, 1.25}, {at(varnish, m), 2.2, 2.5}, {at(haproxy, m), 0.9, 1}, {at(floor, m), 0, 0},
		}}
	}
	one := func(id, what string, m measure, peer string, bar, goal float64) workload {
		return workload{id, what, at(seafront, m), []against{{at(peer, m), bar, goal}}}
	}
	plain := measure{subject: seafront, target: oneKB, own: true}
	like := func(id, what string, change func(*measure)) workload {
		m := plain
		change(&m)
		return workload{id, what, m, []against{{plain, 1, 1}}}
	}
	return []workload{
		hits("hit-1k", "hits, 1 KB, HTTP/1.1", oneKB),
		hits("hit-10k", "hits, 10 KB, HTTP/1.1", tenKB),
		one("tls", "hits, 1 KB, TLS 1.3, HTTP/1.1", measure{target: oneKB, secure: true}, nginxLogged, 1, 1.15),
		one("h2", "hits, 1 KB, HTTP/2, 10 streams a connection", measure{target: oneKB, secure: true, h2: true}, nginxLogged, 0, 2),
		one("body-100k", "hits, 100 KB", measure{target: "/100000/a"}, nginxFiles, 0.9, 1),
		one("body-1m", "hits, 1 MB", measure{target: "/1000000/a"}, nginxFiles, 1, 1.1),
		one("body-10m", "hits, 10 MB", measure{target: "/10000000/a"}, nginxFiles, 1, 1.1),
		like("304", "If-None-Match, 304, beside a plain hit", func(m *measure) {
			m.fields, m.status = []string{"If-None-Match: " + load.Tag()}, http.StatusNotModified
		}),
		like("head", "HEAD, beside a plain hit", func(m *measure) { m.method = http.MethodHead }),
		like("range", "one range of 1,000 bytes, beside a plain hit", func(m *measure) {
			m.fields, m.status, m.first, m.n = []string{"Range: bytes=10-1009"}, http.StatusPartialContent, 10, 1000
		}),
		one("miss", "misses, 1 KB, each stored", measure{target: "/1024/#", own: true}, nginxLogged, 1, 1),
	}
}

func (w workload) run(t *testing.T, b *bench) {
	all := []measure{w.edge}
	for _, p := range w.peers {
		all = append(all, p.measure)
	}
	for i, m := range all {
		if w.misses() {
			m.target = strings.Replace(m.target, "#", "check", 1)
		}
		if m.subject == floor { // the edge, which is first, has its answer now
			b.startFloor(t, m.target)
		}
		if err := b.check(t, m); err != nil {
			t.Error(err)
			if i == 0 {
				b.failed(w, err)
				return
			}
		}
	}
	samples := make([][]sample, len(all))
	for range b.rounds {
		for i, m := range all {
			s, err := b.ask(t, m, w.misses())
			if err != nil {
				t.Error(err)
				b.failed(w, err)
				return
			}
			samples[i] = append(samples[i], s)
		}
	}
	for i, p := range w.peers {
		l := w.compare(p, samples[0], samples[i+1])
		if p.subject == floor {
			l.note += fmt.Sprintf("; it has %s of the rate of %s", optional(w.compare(w.peers[0], samples[i+1], samples[1]).ratio), w.peers[0].subject)
		}
		b.add(t, l)
	}
}

func (w workload) misses() bool { return strings.Contains(w.edge.target, "#") }

// ask takes one sample, and fails unless the origin was asked as often as it should.
func (b *bench) ask(t testing.TB, m measure, misses bool) (sample, error) {
	s, before := b.subjects[m.subject], b.asked(t)
	got, err := observed(t, s, func() (float64, float64, error) {
		switch {
		case m.own:
			r, err := ask(t, load.Plan{
				Address: s.http, Host: b.host, Method: m.method, Target: m.target, Fields: m.fields, First: b.unique,
				Connections: connections, Duration: b.round, Status: m.statusOr(), Length: m.length(),
			})
			if misses {
				b.unique += r.Requests
			}
			return float64(r.Requests), r.PerSecond(), err
		case m.h2:
			return h2load(s.https, b.host, m.target, b.round)
		case m.secure:
			return wrk(b.host, "https://"+s.https+m.target, b.round, m.fields...)
		}
		return wrk(b.host, "http://"+s.http+m.target, b.round, m.fields...)
	})
	if err != nil {
		return got, fmt.Errorf("%s: %w", m.subject, err)
	}
	switch n := b.asked(t) - before; {
	case misses && n < int(got.requests):
		return got, fmt.Errorf("%s: %d requests to the origin for %.0f answers", m.subject, n, got.requests)
	case !misses && n > 0:
		return got, fmt.Errorf("%s: %d requests to the origin while only hits were wanted", m.subject, n)
	}
	return got, nil
}

// saturated is the share of its processor above which a server is at its limit.
const saturated = 0.9

// compare makes the line of a comparison: the median over the rounds of the quotient
// of answers in a second, where both servers were at their limit, and otherwise of the
// quotient of answers in a second of their processor.
func (w workload) compare(p against, edge, peer []sample) line {
	pick := func(get func(sample) float64, s []sample) []float64 {
		var out []float64
		for _, x := range s {
			out = append(out, get(x))
		}
		return out
	}
	busy := func(s sample) float64 { return s.busy }
	cost := func(s []sample) string { return micros(1e6 / median(pick(sample.perCore, s))) }
	rate, note := func(s sample) float64 { return s.perSecond }, fmt.Sprintf("an answer takes %s and %s µs of processor", cost(edge), cost(peer))
	if min(median(pick(busy, edge)), median(pick(busy, peer))) < saturated {
		rate = sample.perCore
		note += fmt.Sprintf("; per second of its processor: busy %.0f %% and %.0f %%", 100*median(pick(busy, edge)), 100*median(pick(busy, peer)))
	}
	a, b := pick(rate, edge), pick(rate, peer)
	quotients := make([]float64, len(a))
	for i := range a {
		quotients[i] = a[i] / b[i]
	}
	name := p.subject
	if name == seafront {
		name = "plain hit"
	}
	return line{
		id: w.id, what: w.what, peer: name, edge: count(median(a)), theirs: count(median(b)),
		ratio: median(quotients), bar: p.bar, goal: p.goal, note: note,
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v)%2 == 1 {
		return v[len(v)/2]
	}
	return (v[len(v)/2-1] + v[len(v)/2]) / 2
}

func TestCompare(t *testing.T) {
	at := func(rate, busy float64) []sample { // for a second
		return []sample{{rate, busy, rate, time.Duration(busy * float64(time.Second))}}
	}
	for _, tt := range []struct {
		name       string
		edge, peer []sample
		ratio      float64
		note       string
	}{
		{"both at their limit", at(100_000, 1), at(50_000, 1), 2, "an answer takes 10.0 and 20.0 µs of processor"},
		{"one waits for its client", at(100_000, 0.5), at(50_000, 1), 4, "an answer takes 5.0 and 20.0 µs of processor; per second of its processor: busy 50 % and 100 %"},
	} {
		if got := (workload{}).compare(against{}, tt.edge, tt.peer); got.ratio != tt.ratio || got.note != tt.note {
			t.Errorf("%s: %v, %q; want %v, %q", tt.name, got.ratio, got.note, tt.ratio, tt.note)
		}
	}
}
