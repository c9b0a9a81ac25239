// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/internal/viewer"
)

// from says where an answer has to come from.
type from uint8

const (
	anywhere from = iota
	// stored: the origin is not asked.
	stored
	// asked: the origin is asked, and the answer is its own.
	asked
	// validated: the origin is asked with the condition of what is stored, says 304, and
	// the answer is what is stored.
	validated
)

// step is one request of a viewer, and what the origin answers if it gets there. In
// fields, @+N and @-N stand for the date in or before N seconds; in those that are wanted
// they count from the first step.
type step struct {
	method string
	at     string   // appended to the target
	send   []string // fields
	status int      // of the origin; 0: 200
	with   []string // fields of the origin; "-Date" leaves Date out
	body   string   // of the origin; default: its own for each step; "-" is none
	ranges bool     // the origin answers a Range by that part of the body
	cut    bool     // the origin ends the connection in place of an answer
	// interim are heads of interim answers of the origin, without HTTP/1.1 and the end.
	interim []string
	pause   time.Duration

	from       from
	wantStatus int      // 0: that of the origin
	want       []string // fields that the viewer gets: "Name: value", "Name: >number", or "Name:" for any
	lacks      []string // names that the viewer does not get
	wantBody   string   // "": that of the step that the answer comes from; "*": any
	origin     []string // fields that the origin gets, if it is asked
	// wantInterim are the statuses of the interim answers that the viewer gets; nil: any.
	wantInterim []int
}

// cacheCase is a script of steps over one target. Kind is as in the public suites:
// required by RFC 9111, optimal where a cache may do less, check where it is only told.
type cacheCase struct {
	id, kind string
	steps    []step
}

// scripted is an origin that plays the step at which a case is.
type scripted struct {
	listener net.Listener
	all      sync.WaitGroup
	mu       sync.Mutex // guards what follows
	playing  map[string]*play
	conns    map[net.Conn]bool
}

// play is where a case is.
type play struct {
	steps []step
	now   int
	got   []*http.Request // of the step
	date  time.Time
}

func startScripted(t *testing.T) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{listener: l, playing: map[string]*play{}, conns: map[net.Conn]bool{}}
	s.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c] = true
			s.mu.Unlock()
			s.all.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.all.Wait()
	})
	return s
}

func (s *scripted) serve(c net.Conn) {
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		_ = c.Close()
	}()
	in := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		answer := s.answer(req)
		if answer == "" {
			return
		}
		if _, err := c.Write([]byte(answer)); err != nil {
			return
		}
	}
}

// answer notes the request and returns the bytes of the step; none cuts the connection.
func (s *scripted) answer(req *http.Request) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/r/"), "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.playing[id]
	if p == nil {
		return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
	}
	p.got = append(p.got, req)
	st := p.steps[p.now]
	if st.cut {
		return ""
	}
	status, body := st.status, st.content(p.now)
	if status == 0 {
		status = http.StatusOK
	}
	if st.from == validated && (req.Header.Get("If-None-Match") != "" || req.Header.Get("If-Modified-Since") != "") {
		status = http.StatusNotModified
	}
	fields := st.with
	if part, ok := partOf(req.Header.Get("Range"), body); st.ranges && ok {
		status, fields = http.StatusPartialContent, append(slices.Clone(fields), part.field)
		body = part.body
	}
	early := ""
	for _, head := range st.interim {
		early += "HTTP/1.1 " + head + "\r\n\r\n"
	}
	return early + wire(status, fields, body, req.Method, p.date)
}

// part is a range of a body with its Content-Range.
type part struct{ field, body string }

// partOf is what one range asks for (RFC 9110 §14.2).
func partOf(asked, body string) (part, bool) {
	var first, last int
	n, _ := fmt.Sscanf(asked, "bytes=%d-%d", &first, &last)
	if n == 1 {
		last = len(body) - 1
	}
	if last = min(last, len(body)-1); n == 0 || first > last || first < 0 {
		return part{}, false
	}
	return part{fmt.Sprintf("Content-Range: bytes %d-%d/%d", first, last, len(body)), body[first : last+1]}, true
}

// content is the body of a step: unless the script says so, each has its own.
func (st step) content(n int) string {
	if st.body == "-" {
		return ""
	}
	if st.body != "" {
		return st.body
	}
	return fmt.Sprintf("the body of step %d", n+1)
}

// wire is an answer as bytes.
func wire(status int, fields []string, body, method string, now time.Time) string {
	var out strings.Builder
	fmt.Fprintf(&out, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	date, length := true, true
	for _, f := range fields {
		name, _, _ := strings.Cut(strings.ToLower(f), ":")
		date = date && name != "date" && name != "-date"
		length = length && name != "content-length" && name != "transfer-encoding"
		if f != "-Date" {
			out.WriteString(dated(f, now) + "\r\n")
		}
	}
	if date {
		out.WriteString("Date: " + now.UTC().Format(http.TimeFormat) + "\r\n")
	}
	if status == http.StatusNotModified || status == http.StatusNoContent {
		return out.String() + "\r\n"
	}
	if length {
		fmt.Fprintf(&out, "Content-Length: %d\r\n", len(body))
	}
	out.WriteString("\r\n")
	if method != http.MethodHead {
		out.WriteString(body)
	}
	return out.String()
}

var dates = regexp.MustCompile(`@([+-]\d+)`)

// dated puts dates in their places.
func dated(f string, now time.Time) string {
	return dates.ReplaceAllStringFunc(f, func(m string) string {
		n, err := strconv.Atoi(m[1:])
		if err != nil {
			return m
		}
		return now.Add(time.Duration(n) * time.Second).UTC().Format(http.TimeFormat)
	})
}

// at moves a case to a step; took returns what the origin got in it.
func (s *scripted) at(id string, steps []step, n int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.playing[id] = &play{steps: steps, now: n, date: now}
}

func (s *scripted) took(id string) []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.playing[id].got
}

// run plays a case against an edge.
func (c cacheCase) run(s *scripted, address, host string) error {
	v := viewer.New(address)
	defer v.Close()
	source := map[string]int{} // the step whose answer is stored, by target
	began := time.Now()
	for i, st := range c.steps {
		now := time.Now()
		if i == 0 {
			now = began
		}
		s.at(c.id, c.steps, i, now)
		method := st.method
		if method == "" {
			method = http.MethodGet
		}
		var send []string
		for _, f := range st.send {
			send = append(send, dated(f, now))
		}
		target := "/r/" + c.id + "/" + st.at
		a, err := v.Ask(method, host, target, send...)
		if err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		got := s.took(c.id)
		if err := st.check(method, a, got, i, c.steps[source[target]], source[target], began); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		if st.from != stored && st.from != validated && len(got) > 0 && method == http.MethodGet && !st.cut {
			source[target] = i
		}
		time.Sleep(st.pause) // what the origin said grows old
	}
	return nil
}

// check compares what happened in a step with the script; before is the step whose
// answer should be stored.
func (st step) check(method string, a *viewer.Answer, got []*http.Request, n int, before step, beforeN int, began time.Time) error {
	status, body := st.status, st.content(n)
	if st.from == stored || st.from == validated {
		status, body = before.status, before.content(beforeN)
	}
	if status == 0 {
		status = http.StatusOK
	}
	if st.wantStatus != 0 {
		status = st.wantStatus
	}
	switch {
	case st.from == stored && len(got) > 0:
		return fmt.Errorf("the origin was asked")
	case (st.from == asked || st.from == validated) && len(got) == 0:
		return fmt.Errorf("the origin was not asked")
	case st.from == validated && got[0].Header.Get("If-None-Match") == "" && got[0].Header.Get("If-Modified-Since") == "":
		return fmt.Errorf("the origin was asked without a condition")
	case st.cut && st.from == anywhere && st.wantStatus == 0:
		return nil
	case a.Status != status:
		return fmt.Errorf("status %d, want %d", a.Status, status)
	}
	if st.wantInterim != nil && !slices.Equal(a.Interim, st.wantInterim) {
		return fmt.Errorf("interim answers %v, want %v", a.Interim, st.wantInterim)
	}
	for _, f := range st.want {
		name, value, _ := strings.Cut(dated(f, began), ":")
		if value = strings.TrimSpace(value); !fitsField(a.Header.Values(name), value) {
			return fmt.Errorf("%s is %q, want %q", name, a.Header.Values(name), value)
		}
	}
	for _, name := range st.lacks {
		if a.Header.Values(name) != nil {
			return fmt.Errorf("%s is %q, want none", name, a.Header.Values(name))
		}
	}
	for _, f := range st.origin {
		if name, value, _ := strings.Cut(f, ": "); len(got) > 0 && got[0].Header.Get(name) != value {
			return fmt.Errorf("the origin got %s: %q, want %q", name, got[0].Header.Get(name), value)
		}
	}
	if st.wantBody != "" {
		body = st.wantBody
	}
	if method == http.MethodHead || status == http.StatusNotModified || status == http.StatusNoContent || body == "*" {
		return nil
	}
	if string(a.Body) != body && (st.wantStatus == 0 || st.wantStatus < 400) {
		return fmt.Errorf("body %q, want %q", a.Body, body)
	}
	return nil
}

// fitsField says whether the lines of a field are what is wanted.
func fitsField(lines []string, want string) bool {
	got := strings.Join(lines, ", ")
	if least, ok := strings.CutPrefix(want, ">"); ok {
		n, err := strconv.Atoi(got)
		m, badly := strconv.Atoi(least)
		return err == nil && badly == nil && n > m
	}
	return lines != nil && (want == "" || got == want)
}

// caching runs the cases of RFC 9111 and its company.
func caching(t *testing.T, e *edge, r *results) {
	s := startScripted(t)
	host := e.site(t, "caching", s.listener.Addr().String())
	const players = 24
	queue := make(chan cacheCase)
	var all sync.WaitGroup
	for range players {
		all.Go(func() {
			for c := range queue {
				r.add(c.id, c.kind, c.run(s, e.HTTP, host))
			}
		})
	}
	for i, c := range cacheCases() {
		if full() || i%sampleOf == 0 {
			queue <- c
		}
	}
	close(queue)
	all.Wait()
}

func TestCacheCases(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cacheCases() {
		if seen[c.id] || len(c.steps) == 0 {
			t.Errorf("%s: there twice, or without steps", c.id)
		}
		seen[c.id] = true
	}
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	if got, want := dated("Expires: @+60", now), "Expires: Tue, 24 Nov 2026 10:01:00 GMT"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	t.Logf("%d cases", len(seen))
}
