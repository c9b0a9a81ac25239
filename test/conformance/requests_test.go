// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// verdict is what has to become of the bytes of a case.
type verdict uint8

const (
	// accept: the requests that are wanted reach the origin, exactly, and are answered.
	accept verdict = iota + 1
	// refuse: no more than the requests that are wanted reach the origin; then there is
	// an error answer or none, and the connection ends.
	refuse
	// deny: an error answer, and none of it reaches the origin. Where a request ends is
	// plain, so the connection may go on.
	deny
	// last: the requests that are wanted are answered; then the connection ends.
	last
	// either: accept, last, deny or refuse. The RFCs leave it open, or an edge may be stricter.
	either
)

// requestCase is what a viewer sends over one connection. In raw, @ID stands for the
// target prefix of the case and @HOST for the host; a last, good request is added.
type requestCase struct {
	id, rule, raw string
	verdict       verdict
	// want are the requests that are to reach the origin, without the last one. @ID
	// stands for the prefix.
	want []string
	// never are words that no request may have in its fields at the origin.
	never []string
}

const (
	sampleOf     = 12 // of the cases each one is run when not all are
	together     = 6  // connections at once
	viewerBound  = 8 * time.Second
	patienceMore = 700 * time.Millisecond // for peers that wait for the end of a message
)

func (c requestCase) prefix() string { return "/c/" + c.id }

func (c requestCase) end() string { return "GET " + c.prefix() + "/end" }

func (c requestCase) bytes(host string) string {
	last := "GET @ID/end HTTP/1.1\r\nHost: @HOST\r\nConnection: close\r\n\r\n"
	return strings.NewReplacer("@ID", c.prefix(), "@HOST", host).Replace(c.raw + last)
}

func (c requestCase) wanted() []string {
	out := make([]string, len(c.want))
	for i, w := range c.want {
		out[i] = strings.ReplaceAll(w, "@ID", c.prefix())
	}
	return out
}

func requests(t *testing.T, e *edge, r *results) {
	origin := startRecorder(t)
	host := e.site(t, "requests", origin.address())
	queue := make(chan requestCase)
	var all sync.WaitGroup
	for range together {
		all.Go(func() {
			for c := range queue {
				r.add(c.id, "", c.run(e.HTTP, host, origin))
			}
		})
	}
	for i, c := range requestCases() {
		if full() || i%sampleOf == 0 {
			queue <- c
		}
	}
	close(queue)
	all.Wait()
}

// answer is what the viewer of a case got for one request.
type answer struct {
	status  int
	answers string // X-Answers
}

// run sends the bytes and compares what the viewer got and the origin saw.
func (c requestCase) run(address, host string, origin *recorder) error {
	got, err := exchangeBytes(address, c.bytes(host))
	if err != nil {
		return err
	}
	seen, heads, garbage := origin.of(c.id)
	if len(garbage) > 0 {
		return fmt.Errorf("the origin cannot read what it gets: %s", garbage[0])
	}
	for _, h := range heads {
		for _, n := range c.never {
			if strings.Contains(strings.ToLower(h), n) {
				return fmt.Errorf("the origin gets %s: %q", n, h)
			}
		}
	}
	if !c.fits(got, seen) {
		return fmt.Errorf("the origin saw %.300q, of %.300q; answers %v", seen, append(c.wanted(), c.end()), got)
	}
	return nil
}

// fits says whether the verdict is what happened.
func (c requestCase) fits(got []answer, seen []string) bool {
	want := c.wanted()
	whole := append(slices.Clone(want), c.end())
	accepted := slices.Equal(seen, whole) && answered(got, whole)
	failed := slices.ContainsFunc(got, func(a answer) bool { return a.status >= 400 })
	refused := isPrefix(seen, want) && (len(got) == 0 || got[len(got)-1].status >= 400)
	switch c.verdict {
	case accept:
		return accepted
	case last:
		return slices.Equal(seen, want) && answered(got, want)
	case refuse:
		return refused
	case deny:
		return refused || failed && slices.Equal(seen, whole[len(want):])
	case either:
		ended := slices.Equal(seen, want) && answered(got, want)
		return accepted || ended || refused || failed && isSubsequence(seen, whole)
	}
	return false
}

func isPrefix(a, of []string) bool { return len(a) <= len(of) && slices.Equal(a, of[:len(a)]) }

func isSubsequence(a, of []string) bool {
	for _, s := range of {
		if len(a) > 0 && a[0] == s {
			a = a[1:]
		}
	}
	return len(a) == 0
}

// answered says whether each request got its own answer.
func answered(got []answer, want []string) bool {
	return slices.EqualFunc(got, want, func(a answer, w string) bool {
		return a.status == http.StatusOK && a.answers == strings.Fields(w)[1]
	})
}

// exchangeBytes sends bytes and reads answers until the server ends the connection. A
// server that waits for more is told that there is none.
func exchangeBytes(address, raw string) ([]answer, error) {
	conn, err := net.DialTimeout("tcp", address, viewerBound)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("%T is not a TCP connection", conn)
	}
	if err := conn.SetDeadline(time.Now().Add(viewerBound)); err != nil {
		return nil, err
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	defer conn.Close() // ends a sender whose bytes nobody reads
	sending.Go(func() { _, _ = io.WriteString(conn, raw) })
	more := time.AfterFunc(patienceMore, func() { _ = tcp.CloseWrite() })
	defer more.Stop()
	var got []answer
	in := bufio.NewReader(conn)
	for {
		a, last, err := readAnswer(in)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
			return got, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return got, fmt.Errorf("the connection stays open for %v; answers %v", viewerBound, got)
		case err != nil:
			return got, fmt.Errorf("the answer cannot be read: %w", err)
		}
		if a.status >= 200 {
			got = append(got, a)
		}
		if last {
			return got, nil
		}
	}
}

func readAnswer(in *bufio.Reader) (a answer, last bool, err error) {
	if _, err := in.Peek(1); err != nil {
		return a, false, io.EOF
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return a, false, err
	}
	defer res.Body.Close()
	a = answer{res.StatusCode, res.Header.Get("X-Answers")}
	if _, err = io.Copy(io.Discard, res.Body); err != nil && a.status >= 400 {
		return a, true, nil // an error page may be cut, and HEAD has none
	}
	return a, res.Close, err
}

func TestFits(t *testing.T) {
	c := requestCase{id: "x", want: []string{"GET @ID/1"}}
	first, end, bad := "GET /c/x/1", "GET /c/x/end", "GET /c/x/smuggled"
	ok1, okEnd, no := answer{200, "/c/x/1"}, answer{200, "/c/x/end"}, answer{400, ""}
	for _, tt := range []struct {
		seen []string
		got  []answer
		fits []verdict
	}{
		{[]string{first, end}, []answer{ok1, okEnd}, []verdict{accept, either}},
		{[]string{first, end}, []answer{okEnd, ok1}, nil},
		{[]string{first}, []answer{ok1}, []verdict{last, either}},
		{nil, []answer{no}, []verdict{refuse, deny, either}},
		{nil, nil, []verdict{refuse, deny, either}},
		{[]string{end}, []answer{no, okEnd}, []verdict{deny, either}},
		{[]string{first}, []answer{ok1, no}, []verdict{refuse, deny, either}},
		{[]string{bad}, []answer{no}, nil},
		{[]string{first, bad, end}, []answer{ok1, okEnd}, nil},
	} {
		for _, v := range []verdict{accept, last, refuse, deny, either} {
			if c.verdict = v; c.fits(tt.got, tt.seen) != slices.Contains(tt.fits, v) {
				t.Errorf("verdict %d of %q, %v: %v", v, tt.seen, tt.got, !slices.Contains(tt.fits, v))
			}
		}
	}
}
