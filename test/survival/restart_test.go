// SPDX-License-Identifier: Apache-2.0

package survival

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/test/internal/balancer"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/fleet"
	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
)

// drainDelay is what edges are told: many times what the balancer takes to notice.
const drainDelay = 3 * time.Second

// site is an origin that counts who asks for what.
type site struct {
	address string

	mu    sync.Mutex // guards asked
	asked map[string]int
}

// startSite serves bodies of the length that stands behind the last slash, or of 2,000
// bytes, until the test ends.
func startSite(t *testing.T) *site {
	t.Helper()
	s := &site{asked: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[r.URL.Path]++
		s.mu.Unlock()
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Etag", `"1"`)
		http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(content(r.URL.Path)))
	}))
	t.Cleanup(server.Close)
	s.address = server.Listener.Addr().String()
	return s
}

func (s *site) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// content is the body of a path. No two are alike.
func content(path string) []byte {
	size, err := strconv.Atoi(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		size = 2000
	}
	line := []byte("content of " + path + "\n")
	return bytes.Repeat(line, size/len(line)+1)[:size]
}

// large is a long object that every edge has before the first restart, known are short ones.
const large = "/large/6000000"

func known() []string {
	var out []string
	for i := range 20 {
		out = append(out, fmt.Sprintf("/known/%d/%d", i, 1000*(i+1)))
	}
	return out
}

// TestRestartIsNotNoticed restarts two edges in turn by SIGTERM, several times, while
// clients ask through a balancer that goes by /readyz. Not one request fails or is cut,
// and an edge that has restarted has from its disk what it had.
func TestRestartIsNotNoticed(t *testing.T) {
	t.Parallel()
	origin, cdn := startSite(t), fleet.Start(t, 0)
	var edges []*fleet.Edge
	for _, id := range []string{"first", "second"} {
		edges = append(edges, cdn.Edge(t, fleet.Spec{ID: id, Env: []string{
			"SEAFRONT_DRAIN_DELAY=" + drainDelay.String(), "SEAFRONT_DRAIN_GRACE=1m", "SEAFRONT_ACCESS_LOG=off", "SEAFRONT_CACHE_BYTES=67108864",
			"SEAFRONT_DISK_CACHE_BYTES=268435456", "SEAFRONT_ORIGIN_CONCURRENCY_PER_VIEWER=100",
		}}))
	}
	host := cdn.Site(t, "restarts", control.Site(fleet.Origin(t, origin.address)))
	for _, e := range edges {
		for _, path := range append(known(), large) {
			viewer.Want(t, path, viewer.Get(t, e.HTTP, host, path), 200, "Miss")
		}
	}
	before := origin.count(large)
	between := balancer.Start(t, balancer.Target{HTTP: edges[0].HTTP, Admin: edges[0].Admin}, balancer.Target{HTTP: edges[1].HTTP, Admin: edges[1].Admin})
	load := startLoad(t, between.Address, host)
	for range 3 {
		for i, e := range edges {
			load.until(t, "the edge is asked", between.Answered, i)
			restart(t, e, host)
			checkWarm(t, e, host)
			load.until(t, "the edge is asked again", between.Answered, i)
		}
	}
	load.stop(t)
	if n := between.Failed(); n > 0 {
		t.Errorf("%d requests had no answer of an edge", n)
	}
	for _, path := range known() {
		if n := origin.count(path); n != len(edges) {
			t.Errorf("%s was asked of the origin %d times by %d edges", path, n, len(edges))
		}
	}
	if n := origin.count(large); n != before {
		t.Errorf("%s was asked of the origin %d times after the restarts, %d before", large, n, before)
	}
	t.Logf("%d answers, %d by one edge and %d by the other", load.answers.Load(), between.Answered(0), between.Answered(1))
}

// restart restarts an edge. While it drains it answers on connections that are there and
// on new ones, and ends them.
func restart(t *testing.T, e *fleet.Edge, host string) {
	t.Helper()
	there := dial(t, e.HTTP)
	if res, err := there.get(host, known()[0]); err != nil || res.Close {
		t.Fatalf("before the restart: %v, %v", res, err)
	}
	e.Terminate(t)
	program.Await(t, "the edge is no longer ready", drainDelay, func(ctx context.Context) error {
		if program.Page(ctx, "http://"+e.Admin+"/readyz") == nil {
			return errors.New("it is")
		}
		return nil
	})
	for what, c := range map[string]*connection{"kept": there, "new": dial(t, e.HTTP)} {
		if res, err := c.get(host, known()[0]); err != nil || res.StatusCode != 200 || !res.Close {
			t.Errorf("on a %s connection while it drains: %v, %v", what, res, err)
		}
	}
	e.Restart(t)
}

// connection is a connection to an edge on which nothing is repeated.
type connection struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, address string) *connection {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &connection{c, bufio.NewReader(c)}
}

func (c *connection) get(host, path string) (*http.Response, error) {
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return res, err
}

// checkWarm asks an edge that has just started for all that it had.
func checkWarm(t *testing.T, e *fleet.Edge, host string) {
	t.Helper()
	for _, path := range append(known(), large) {
		a := viewer.Get(t, e.HTTP, host, path)
		viewer.Want(t, "after the restart, "+path, a, 200, "Hit")
		if !bytes.Equal(a.Body, content(path)) {
			t.Errorf("after the restart, %s: %d bytes, and not those of the origin", path, len(a.Body))
		}
	}
}

// load is clients that ask until it is stopped. The first that gets no whole, right answer
// ends it.
type load struct {
	answers atomic.Int64
	end     context.CancelFunc
	wait    func() error
	failed  <-chan struct{}
}

// startLoad has clients ask for what is kept, for what nobody has asked for before, for
// the large object slowly, and each of them over a connection of their own for each
// request or all.
func startLoad(t *testing.T, address, host string) *load {
	t.Helper()
	l := &load{}
	going, end := context.WithCancel(context.Background())
	t.Cleanup(end)
	all, failed := errgroup.WithContext(going)
	l.end, l.wait, l.failed = end, all.Wait, failed.Done()
	var fresh atomic.Int64
	short := known()
	for i := range 12 {
		c := client{address: address, host: host, transport: &http.Transport{DisableCompression: true, DisableKeepAlives: i%4 == 3}}
		t.Cleanup(c.transport.CloseIdleConnections)
		path, slow := func(n int) string { return short[n%len(short)] }, false
		switch i % 3 {
		case 1:
			path = func(int) string { return fmt.Sprintf("/fresh/%d/5000", fresh.Add(1)) }
		case 2:
			path, slow = func(int) string { return large }, true
		}
		all.Go(func() error {
			for n := 0; failed.Err() == nil; n++ {
				if err := c.get(path(n), slow); err != nil {
					return err
				}
				l.answers.Add(1)
				time.Sleep(5 * time.Millisecond) // leaves something of the machine to others
			}
			return nil
		})
	}
	return l
}

// until waits until clients have had some more answers of edge i.
func (l *load) until(t *testing.T, what string, answered func(i int) int64, i int) {
	t.Helper()
	const some = 20
	from := answered(i)
	program.Await(t, what, time.Minute, func(context.Context) error {
		select {
		case <-l.failed:
			t.Fatal(l.wait())
		default:
		}
		if n := answered(i) - from; n < some {
			return fmt.Errorf("it has given %d answers", n)
		}
		return nil
	})
}

// stop lets the clients have their last answers.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.end()
	if err := l.wait(); err != nil {
		t.Error(err)
	}
}

// client asks one thing after the other.
type client struct {
	address, host string
	transport     *http.Transport
}

// get wants the whole answer of the origin. It takes a slow one's bytes in portions, with
// pauses.
func (c *client) get(path string, slow bool) error {
	req, err := http.NewRequest(http.MethodGet, "http://"+c.address+path, http.NoBody)
	if err != nil {
		return err
	}
	req.Host = c.host
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer res.Body.Close()
	var body bytes.Buffer
	for err == nil {
		if slow {
			time.Sleep(50 * time.Millisecond) // a reader that is slower than the edge
		}
		_, err = io.CopyN(&body, res.Body, 200_000)
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s is cut after %d bytes: %w", path, body.Len(), err)
	}
	if want := content(path); res.StatusCode != 200 || !bytes.Equal(body.Bytes(), want) {
		return fmt.Errorf("%s: %s, %d bytes of %d, or others than those: %.200q", path, res.Status, body.Len(), len(want), body.Bytes())
	}
	return nil
}
