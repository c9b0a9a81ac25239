// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// recorder is an origin that reads requests strictly, byte by byte as RFC 9112 has
// them, and remembers what it saw for each case. Targets of cases begin with /c/ID/.
type recorder struct {
	listener net.Listener
	all      sync.WaitGroup
	mu       sync.Mutex // guards what follows
	conns    map[net.Conn]bool
	seen     map[string][]string // by case: method, target and body of each request
	heads    map[string][]string // by case: the field lines
	garbage  map[string][]string // by case: what could not be read
}

func startRecorder(t *testing.T) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{listener: l, conns: map[net.Conn]bool{}, seen: map[string][]string{}, heads: map[string][]string{}, garbage: map[string][]string{}}
	r.all.Go(r.accept)
	t.Cleanup(r.close)
	return r
}

func (r *recorder) address() string { return r.listener.Addr().String() }

func (r *recorder) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.conns[c] = true
		r.mu.Unlock()
		r.all.Go(func() { r.serve(c) })
	}
}

func (r *recorder) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.all.Wait()
}

func (r *recorder) serve(c net.Conn) {
	defer func() {
		r.mu.Lock()
		delete(r.conns, c)
		r.mu.Unlock()
		_ = c.Close()
	}()
	var raw bytes.Buffer // of the message that is being read
	in := bufio.NewReader(io.TeeReader(oneByte{c}, &raw))
	for {
		raw.Reset()
		m, err := readRequest(in)
		if err != nil {
			r.complain(raw.String(), err)
			return
		}
		r.note(m)
		if _, err := io.WriteString(c, m.answer()); err != nil {
			return
		}
	}
}

// oneByte keeps the buffer from reading beyond a message, so that raw is exact enough.
type oneByte struct{ r io.Reader }

// Read is part of io.Reader.
func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

func (r *recorder) note(m *request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := m.id()
	r.seen[id] = append(r.seen[id], m.String())
	r.heads[id] = append(r.heads[id], strings.Join(m.lines, "\n"))
}

var caseID = regexp.MustCompile(`/c/([a-z0-9-]+)/`)

// complain notes what could not be read under every case that it names. What ends in the
// middle is no request, and no harm.
func (r *recorder) complain(raw string, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range caseID.FindAllStringSubmatch(raw, -1) {
		if text := fmt.Sprintf("%v: %.300q", err, raw); !slices.Contains(r.garbage[m[1]], text) {
			r.garbage[m[1]] = append(r.garbage[m[1]], text)
		}
	}
}

// of is what was seen for a case.
func (r *recorder) of(id string) (seen, heads, garbage []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen[id]), slices.Clone(r.heads[id]), slices.Clone(r.garbage[id])
}

// request is one that was read.
type request struct {
	method, target string
	lines          []string // of fields
	body           string
	close          bool
}

func (m *request) id() string {
	if f := caseID.FindStringSubmatch(m.target); f != nil {
		return f[1]
	}
	return ""
}

// String is the form in which cases say what they want.
func (m *request) String() string {
	s := m.method + " " + m.target
	if m.body != "" {
		s += " " + m.body
	}
	return s
}

// answer names the request, so that a viewer can tell whose answer it got.
func (m *request) answer() string {
	body := m.method + " " + m.target
	head := "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nX-Answers: " + m.target + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	if m.method == "HEAD" {
		return head
	}
	return head + body
}

var (
	requestLine = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\\x00-\\x20\\x7f]+) HTTP/1\\.1$")
	fieldLine   = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\\x00-\\x08\\x0a-\\x1f\\x7f]*?)[ \t]*$")
	chunkLine   = regexp.MustCompile(`^[0-9A-Fa-f]{1,8}$`)
	digits      = regexp.MustCompile(`^[0-9]{1,10}$`)
)

const maxLine = 100_000

// readLine reads a line that ends with CRLF and has no other CR or LF.
func readLine(in *bufio.Reader) (string, error) {
	var b []byte
	for len(b) < maxLine {
		c, err := in.ReadByte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			line, ended := bytes.CutSuffix(b, []byte("\r"))
			if !ended || bytes.ContainsRune(line, '\r') {
				return "", errors.New("a line with a bare CR or LF")
			}
			return string(line), nil
		}
		b = append(b, c)
	}
	return "", errors.New("a line without end")
}

// readRequest is the strict reading: an edge sends nothing that is open to another one.
func readRequest(in *bufio.Reader) (*request, error) {
	line, err := readLine(in)
	if err != nil {
		return nil, err
	}
	f := requestLine.FindStringSubmatch(line)
	if f == nil {
		return nil, errors.New("not a request line")
	}
	m := &request{method: f[1], target: f[2]}
	var lengths, codings, hosts []string
	for {
		if line, err = readLine(in); err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		f := fieldLine.FindStringSubmatch(line)
		if f == nil {
			return nil, fmt.Errorf("not a field line: %q", line)
		}
		m.lines = append(m.lines, line)
		switch strings.ToLower(f[1]) {
		case "content-length":
			lengths = append(lengths, f[2])
		case "transfer-encoding":
			codings = append(codings, f[2])
		case "host":
			hosts = append(hosts, f[2])
		}
	}
	switch {
	case len(hosts) != 1:
		return nil, fmt.Errorf("%d Host fields", len(hosts))
	case len(lengths)+len(codings) > 1:
		return nil, errors.New("more than one framing")
	case len(codings) == 1:
		if codings[0] != "chunked" {
			return nil, fmt.Errorf("Transfer-Encoding: %q", codings[0])
		}
		m.body, err = readChunks(in)
	case len(lengths) == 1:
		if !digits.MatchString(lengths[0]) {
			return nil, fmt.Errorf("Content-Length: %q", lengths[0])
		}
		n, _ := strconv.Atoi(lengths[0])
		b := make([]byte, min(n, 1<<20))
		_, err = io.ReadFull(in, b)
		m.body = string(b)
	}
	return m, err
}

func readChunks(in *bufio.Reader) (string, error) {
	var body strings.Builder
	for {
		line, err := readLine(in)
		if err != nil {
			return "", err
		}
		if !chunkLine.MatchString(line) {
			return "", fmt.Errorf("not the size of a chunk: %q", line)
		}
		n, err := strconv.ParseUint(line, 16, 32)
		if err != nil {
			return "", err
		}
		if n > 0 {
			if _, err := io.CopyN(&body, in, int64(n)); err != nil {
				return "", err
			}
		}
		if line, err = readLine(in); err != nil {
			return "", err
		}
		if line != "" {
			return "", fmt.Errorf("not the end of a chunk: %q", line)
		}
		if n == 0 {
			return body.String(), nil
		}
	}
}

func TestReadRequest(t *testing.T) {
	for in, want := range map[string]string{
		"GET /c/a/1 HTTP/1.1\r\nHost: a\r\n\r\n":                                                   "GET /c/a/1",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi":                                "POST / hi",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n":     "POST / hi",
		"GET / HTTP/1.1\nHost: a\r\n\r\n":                                                          "",
		"GET / HTTP/1.1\r\n\r\n":                                                                   "",
		"GET / HTTP/1.1\r\nHost: a\r\n x\r\n\r\n":                                                  "",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi":           "",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n0\r\n\r\n":   "",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi0\r\n\r\n":         "",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked, x\r\n\r\n2\r\nhi\r\n0\r\n\r\n":  "",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi5": "",
	} {
		m, err := readRequest(bufio.NewReader(strings.NewReader(in)))
		if got := fmt.Sprint(m); err == nil && got != want || err != nil && want != "" {
			t.Errorf("%q: %s, %v; want %q", in, got, err, want)
		}
	}
}
