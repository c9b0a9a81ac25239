// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/internal/viewer"
)

// answerCase is what an origin says to each request, as bytes. It goes on to read
// requests unless it ends the connection.
type answerCase struct {
	id, raw string
	ends    bool
	// status and body are what the viewer of a GET gets; status 0 is an answer that is cut
	// off, or 502.
	status int
	body   string
}

// planted is an answer that nobody may get.
const planted = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nCache-Control: max-age=100\r\nX-Planted: 1\r\n\r\nplanted"

const (
	fine    = "HTTP/1.1 200 OK\r\n"
	five    = "Content-Length: 5\r\nCache-Control: max-age=100\r\n"
	chunks  = "Transfer-Encoding: chunked\r\n"
	hints   = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	nothing = "HTTP/1.1 204 No Content\r\n"
)

func answerCases() []answerCase {
	var out []answerCase
	add := func(family string, ends bool, status int, body string, raws ...string) {
		for i, raw := range raws {
			out = append(out, answerCase{fmt.Sprintf("%s-%d", family, i+1), raw, ends, status, body})
		}
	}
	add("good", false, 200, "hello",
		fine+five+"\r\nhello", fine+chunks+"\r\n"+chunked5, fine+chunks+"\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", "HTTP/1.1 200\r\n"+five+"\r\nhello", "HTTP/1.1 200 \r\n"+five+"\r\nhello",
		hints+fine+five+"\r\nhello", strings.Repeat(hints, 10)+fine+five+"\r\nhello", "HTTP/1.1 100 Continue\r\n\r\n"+fine+five+"\r\nhello", fine+five+"Connection: Content-Length\r\n\r\nhello", fine+chunks+"Connection: Transfer-Encoding\r\n\r\n"+chunked5,
	)
	add("good-end", true, 200, "hello", fine+"\r\nhello", "HTTP/1.0 200 OK\r\n\r\nhello", fine+"Connection: close\r\n"+five+"\r\nhello")
	add("surplus", false, 200, "hello", fine+five+"\r\nhello"+planted, fine+chunks+"Cache-Control: max-age=100\r\n\r\n"+chunked5+planted)
	add("no-body", false, 204, "", nothing+"\r\n", nothing+five+"\r\n"+planted, nothing+chunks+"\r\n0\r\n\r\n")
	add("status", false, 999, "hello", "HTTP/1.1 999 Odd\r\n"+five+"\r\nhello")
	add("framing", true, 0, "",
		fine+five+chunks+"\r\n"+chunked5, fine+chunks+five+"\r\n"+chunked5, fine+five+"Content-Length: 6\r\n\r\nhello", fine+"Content-Length: 5, 5\r\n\r\nhello", fine+"Content-Length: 5, 6\r\n\r\nhello", fine+"Content-Length: +5\r\n\r\nhello", fine+"Content-Length: -5\r\n\r\nhello", fine+"Content-Length:\r\n\r\nhello",
		fine+"Content-Length: 0x5\r\n\r\nhello", fine+"Content-Length : 5\r\n\r\nhello", fine+"Content-Length:\r\n 5\r\n\r\nhello", fine+"Content-Length: 18446744073709551621\r\n\r\nhello", fine+"Transfer-Encoding: x\r\n\r\nhello", fine+"Transfer-Encoding: gzip, chunked\r\n\r\n"+chunked5, fine+"Transfer-Encoding: chunked, chunked\r\n\r\n"+chunked5,
		fine+"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked5, fine+"Transfer-Encoding: identity\r\n"+five+"\r\nhello", "HTTP/1.0 200 OK\r\n"+chunks+"\r\n"+chunked5, fine+"Transfer-Encoding: \x0bchunked\r\n\r\n"+chunked5,
	)
	add("chunk", true, 0, "",
		fine+chunks+"\r\n5\nhello\n0\n\n", fine+chunks+"\r\n0x5\r\nhello\r\n0\r\n\r\n", fine+chunks+"\r\n-5\r\nhello\r\n0\r\n\r\n", fine+chunks+"\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", fine+chunks+"\r\n5\r\nhelloXX\r\n0\r\n\r\n", fine+chunks+"\r\n4\r\nhello\r\n0\r\n\r\n", fine+chunks+"\r\nhello", fine+chunks+"\r\n5\r\nhello\r\n0\r\n folded\r\n\r\n", fine+chunks+"\r\n5;\x00\r\nhello\r\n0\r\n\r\n",
	)
	add("short", true, 0, "", fine+chunks+"Cache-Control: max-age=100\r\n\r\n5\r\nhello\r\n", fine+"Content-Length: 10\r\nCache-Control: max-age=100\r\n\r\nhello", fine+chunks+"\r\n5\r\nhello\r\n0\r\n", fine+five+"\r\n")
	add("head", true, 0, "",
		"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", fine+"A: b\nContent-Length: 5\r\n\r\nhello", fine+"A: b\rContent-Length: 5\r\n\r\nhello", fine+"A: b\r\n c\r\n"+five+"\r\nhello", fine+five+"A: b\x00c\r\n\r\nhello", fine+five+"A b: c\r\n\r\nhello", fine+five+"Abc\r\n\r\nhello", fine+five+"A\xffb: c\r\n\r\nhello", fine+five+": c\r\n\r\nhello", fine+" A: b\r\n"+five+"\r\nhello",
		"hello\r\n\r\n", "<html>\r\n\r\n", "", "\r\n"+fine+five+"\r\nhello", "HTTP/2 200 OK\r\n"+five+"\r\nhello", "HTTP/1.1 1000 OK\r\n"+five+"\r\nhello", "HTTP/1.1 20 OK\r\n"+five+"\r\nhello", "HTTP/1.1 000 OK\r\n"+five+"\r\nhello", "HTTP/1.1  200 OK\r\n"+five+"\r\nhello", "ICY 200 OK\r\n"+five+"\r\nhello", fine+"X: "+strings.Repeat("x", 100_000)+"\r\n"+five+"\r\nhello",
	)
	add("interim", true, 0, "",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello", strings.Repeat(hints, 40)+fine+five+"\r\nhello", "HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\nabc"+fine+five+"\r\nhello", hints,
	)
	add("not-modified", true, 0, "", "HTTP/1.1 304 Not Modified\r\n"+five+"\r\n"+planted)
	return out
}

// rawOrigin answers each request for a case with its bytes.
type rawOrigin struct {
	listener net.Listener
	cases    map[string]answerCase
	all      sync.WaitGroup
}

var rawCase = regexp.MustCompile(`^/a/([a-z0-9-]+)/`)

func startRaw(t *testing.T, cases []answerCase) *rawOrigin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &rawOrigin{listener: l, cases: map[string]answerCase{}}
	for _, c := range cases {
		o.cases[c.id] = c
	}
	o.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			o.all.Go(func() { o.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close() }) // connections end by themselves
	return o
}

func (o *rawOrigin) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		_ = c.SetReadDeadline(time.Now().Add(2 * viewerBound)) // an edge keeps idle connections
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		f := rawCase.FindStringSubmatch(req.URL.Path)
		if f == nil {
			return
		}
		answer := o.cases[f[1]]
		if _, err := io.WriteString(c, answer.raw); err != nil || answer.ends {
			return
		}
	}
}

// run asks three times, and in the end for something good on the same connections.
func (c answerCase) run(address, host string) error {
	for i, method := range []string{http.MethodGet, http.MethodGet, http.MethodHead} {
		v := viewer.New(address)
		a, err := v.Ask(method, host, "/a/"+c.id+"/x")
		v.Close()
		switch {
		case err == nil && (a.Header.Get("X-Planted") != "" || strings.Contains(string(a.Body), "planted")):
			return fmt.Errorf("request %d: the viewer gets what was planted", i+1)
		case method == http.MethodHead:
		case c.status == 0 && err == nil && a.Status != http.StatusBadGateway:
			return fmt.Errorf("request %d: %d %q, want an error", i+1, a.Status, a.Body)
		case c.status > 0 && err != nil:
			return fmt.Errorf("request %d: %w", i+1, err)
		case c.status > 0 && (a.Status != c.status || string(a.Body) != c.body):
			return fmt.Errorf("request %d: %d %q, want %d %q", i+1, a.Status, a.Body, c.status, c.body)
		}
	}
	return nil
}

// answers runs the cases one after the other, so that each finds the connections that the
// ones before it have left.
func answers(t *testing.T, e *edge, r *results) {
	cases := answerCases()
	host := e.site(t, "answers", startRaw(t, cases).listener.Addr().String())
	for _, c := range cases {
		r.add(c.id, "", c.run(e.HTTP, host))
	}
}
