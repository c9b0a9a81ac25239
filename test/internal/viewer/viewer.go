// SPDX-License-Identifier: Apache-2.0

// Package viewer asks edges as curl would: over HTTP/1.1, with the host and the raw
// target that a test names, whatever address the edge has.
//
// It promises that the target goes out byte for byte. It follows no redirect,
// decompresses nothing and keeps one connection.
package viewer

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// timeout bounds one request with its body.
const timeout = time.Minute

// Answer is a whole response.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Interim are the statuses of the interim answers before it.
	Interim []int
}

// Cache is the first word of X-Cache, for example Hit or Miss.
func (a *Answer) Cache() string {
	word, _, _ := strings.Cut(a.Header.Get("X-Cache"), " ")
	return word
}

// Viewer has one connection to an edge. It is not safe for concurrent use.
type Viewer struct {
	address string
	conn    net.Conn
	r       *bufio.Reader
}

// New returns a viewer of the edge, or any server, at address. Close it.
func New(address string) *Viewer { return &Viewer{address: address} }

// Close ends the connection.
func (v *Viewer) Close() {
	if v.conn != nil {
		_ = v.conn.Close()
		v.conn = nil
	}
}

// Get asks for a raw target of a host. Fields are header lines without line end.
func (v *Viewer) Get(host, target string, fields ...string) (*Answer, error) {
	return v.Ask(http.MethodGet, host, target, fields...)
}

// Ask sends a request without a body.
func (v *Viewer) Ask(method, host, target string, fields ...string) (*Answer, error) {
	reused := v.conn != nil
	a, err := v.ask(method, host, target, fields)
	if err != nil && reused { // the server may have closed the idle connection
		a, err = v.ask(method, host, target, fields)
	}
	if err != nil {
		return nil, fmt.Errorf("%s http://%s%s at %s: %w", method, host, target, v.address, err)
	}
	return a, nil
}

func (v *Viewer) ask(method, host, target string, fields []string) (a *Answer, err error) {
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	if v.conn == nil {
		if v.conn, err = net.DialTimeout("tcp", v.address, timeout); err != nil {
			return nil, err
		}
		v.r = bufio.NewReader(v.conn)
	}
	if err := v.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host)
	for _, f := range fields {
		head.WriteString(f + "\r\n")
	}
	head.WriteString("\r\n")
	if _, err := io.WriteString(v.conn, head.String()); err != nil {
		return nil, err
	}
	var interim []int
	res, err := http.ReadResponse(v.r, &http.Request{Method: method})
	for err == nil && res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
		interim = append(interim, res.StatusCode)
		res, err = http.ReadResponse(v.r, &http.Request{Method: method})
	}
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.Close {
		v.Close()
	}
	return &Answer{res.StatusCode, res.Header, body, interim}, nil
}

// Get asks once over a connection of its own, and fails the test when there is no
// answer.
func Get(t testing.TB, address, host, target string, fields ...string) *Answer {
	t.Helper()
	v := New(address)
	defer v.Close()
	a, err := v.Get(host, target, fields...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Want fails the test when an answer does not have the status and the word of
// X-Cache.
func Want(t testing.TB, what string, a *Answer, status int, cache string) {
	t.Helper()
	if a.Status != status || a.Cache() != cache {
		t.Errorf("%s: got %d %q, want %d %q\n%.200s", what, a.Status, a.Header.Get("X-Cache"), status, cache, a.Body)
	}
}
