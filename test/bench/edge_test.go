// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/fleet"
	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/load"
)

// Processors, counted from 1: all servers share one and are asked in turn; what asks
// them, the origin and this test have the other.
const (
	serverCore = 1
	clientCore = 2
)

const startTimeout = time.Minute

// The subjects.
const (
	seafront    = "Seafront"
	nginxLogged = "nginx"
	nginxSilent = "nginx without a log"
	nginxFiles  = "nginx with sendfile"
	floor       = "a server that only reads and writes"
	varnish     = "Varnish"
	haproxy     = "HAProxy"
)

// subject is a server under test.
type subject struct {
	name        string
	process     *program.Process
	http, https string // addresses
}

// bench is a run.
type bench struct {
	control  *fleet.Control
	origin   string // address
	host     string // of the distribution
	subjects map[string]*subject
	core     int // of the servers; 0 is any
	rounds   int
	round    time.Duration
	scale    int // divides the numbers of objects and connections
	unique   int // numbers of targets that were used
	lines    []line
}

// TestEdge is the benchmark when SEAFRONT_BENCH=edge. ROWS names rows to measure, with
// commas; QUICK=1 takes one short round of each, to see that everything works; WRITE=1
// puts the table into docs/performance.md. Otherwise it is a rehearsal: the edge
// alone, a few requests of each row.
func TestEdge(t *testing.T) {
	b := &bench{subjects: map[string]*subject{}, rounds: 3, round: 3 * time.Second, scale: 1}
	full := os.Getenv("SEAFRONT_BENCH") == "edge"
	if os.Getenv("QUICK") == "1" || !full {
		b.rounds, b.round, b.scale = 1, time.Second, 50
	}
	if !full {
		b.scale = 250
	}
	if n, err := strconv.Atoi(os.Getenv("ROUNDS")); err == nil && n > 0 {
		b.rounds = n
	}
	if !full {
		b.rehearse(t)
		return
	}
	if _, n := processors(); n < clientCore {
		t.Fatalf("%d processors are needed", clientCore)
	}
	b.start(t)
	rows := strings.FieldsFunc(os.Getenv("ROWS"), func(r rune) bool { return r == ',' || r == ' ' })
	for _, r := range allRows() {
		if len(rows) > 0 && !slices.Contains(rows, r.id) {
			continue
		}
		t.Run(r.id, func(t *testing.T) { r.run(t, b) })
	}
	b.report(t)
}

// start runs every server.
func (b *bench) start(t testing.TB) {
	if _, err := load.Raise(250_000); err != nil {
		t.Fatal(err)
	}
	b.startSeafront(t, serverCore, clientCore)
	b.startNginx(t)
	b.subjects[varnish] = b.startVarnish(t, "1G")
	b.startHAProxy(t)
}

// edgeFlags are those of every edge here. It logs requests and keeps metrics, as it
// does by default.
func edgeFlags(more ...string) []string {
	return append([]string{
		"SEAFRONT_CACHE_BYTES=2147483648", "SEAFRONT_MAX_CONNECTIONS=250000", "SEAFRONT_MAX_CONNECTIONS_PER_ADDRESS=250000", "SEAFRONT_IDLE_TIMEOUT=10m",
	}, more...)
}

func (b *bench) startSeafront(t testing.TB, edgeCore, otherCore int) {
	b.core = edgeCore
	origin := program.Start(t, program.Spec{Name: "origin", Path: program.Product(t, "load"), Args: []string{"origin"}, Core: otherCore})
	b.origin = told(t, origin)
	b.control = fleet.Start(t, otherCore)
	e := b.startEdge(t, "bench", edgeCore)
	b.host = b.control.Site(t, "bench", control.Site(fleet.Origin(t, b.origin)))
	b.subjects[seafront] = e
}

// told is the address that a server of package load prints.
func told(t testing.TB, p *program.Process) string {
	address := ""
	program.Await(t, "the server listens", startTimeout, func(context.Context) error {
		address = strings.TrimSpace(p.Log())
		_, _, err := net.SplitHostPort(address)
		return err
	})
	return address
}

// edgeSpec is an edge like every one here.
func edgeSpec(t testing.TB, id string, core int, flags ...string) fleet.Spec {
	return fleet.Spec{ID: id, Core: core, Output: filepath.Join(memoryDir(t), "log"), Env: edgeFlags(flags...)}
}

func (b *bench) startEdge(t testing.TB, id string, core int, flags ...string) *subject {
	e := b.control.Edge(t, edgeSpec(t, id, core, flags...))
	return &subject{name: seafront, process: e.Process, http: e.HTTP, https: e.HTTPS}
}

// rehearse shows that the rows of the edge alone work, without other programs.
func (b *bench) rehearse(t *testing.T) {
	b.startSeafront(t, 0, 0)
	for _, target := range []string{"/1024/a", "/10240/a", "/1000000/a"} {
		if err := b.check(t, measure{subject: seafront, target: target}); err != nil {
			t.Error(err)
		}
	}
	b.startFloor(t, tenKB)
	if err := b.check(t, measure{subject: floor, target: tenKB}); err != nil {
		t.Error(err)
	}
	restart(t, b)
	got, err := load.Run(load.Plan{Address: b.subjects[seafront].http, Host: b.host, Target: "/1024/a", Connections: 2, Count: 100, Status: 200, Length: 1024})
	if err != nil || got.Requests != 100 {
		t.Errorf("%v, %v", got, err)
	}
}

// asked is how many requests have reached the origin.
func (b *bench) asked(t testing.TB) int {
	t.Helper()
	res, err := http.Get("http://" + b.origin + load.CountTarget)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// check asks twice, and returns nil when both answers are right and the second one did
// not need the origin.
func (b *bench) check(t testing.TB, m measure) error {
	t.Helper()
	s := b.subjects[m.subject]
	address, scheme := s.http, "http"
	if m.secure {
		address, scheme = s.https, "https"
	}
	var protocols http.Protocols
	protocols.SetHTTP1(!m.h2)
	protocols.SetHTTP2(m.h2)
	transport := &http.Transport{
		Protocols: &protocols, DisableCompression: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	defer transport.CloseIdleConnections()
	before := 0
	for i := range 3 { // HAProxy stores after it has answered
		if i == 2 {
			before = b.asked(t)
		}
		if err := m.checkOnce(transport, scheme, b.host); err != nil {
			return fmt.Errorf("%s, answer %d to %s: %w", m.subject, i+1, m.target, err)
		}
	}
	if n := b.asked(t) - before; n > 0 {
		return fmt.Errorf("%s does not keep %s: it asked the origin again", m.subject, m.target)
	}
	return nil
}

func (m measure) checkOnce(transport *http.Transport, scheme, host string) error {
	req, err := http.NewRequest(m.methodOr(), scheme+"://"+host+m.target, nil)
	if err != nil {
		return err
	}
	for _, f := range m.fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Set(name, value)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != m.statusOr() {
		return fmt.Errorf("status %d, want %d", res.StatusCode, m.statusOr())
	}
	want := m.body()
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the body has %d bytes, or others than those of the origin; want %d", len(got), len(want))
	}
	if res.StatusCode != http.StatusNotModified && res.ContentLength != m.length() {
		return fmt.Errorf("Content-Length %d, want %d", res.ContentLength, m.length())
	}
	return nil
}
