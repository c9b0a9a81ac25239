// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Origin is a fast origin. The target /N/anything has a body of N bytes that may be
// kept for a day; CountTarget tells how often others were asked for.
//
// It reads requests without a body, trusts whoever asks, and is cheaper than the
// servers that are measured in front of it.
type Origin struct {
	*server
	asked   atomic.Int64
	mu      sync.Mutex // guards answers
	answers map[int][]byte
}

const (
	// CountTarget is answered with the number of other requests so far.
	CountTarget = "/count"
	// maxBody bounds the bodies that can be asked for.
	maxBody = 64 << 20
	// bodyTag is the ETag of all bodies.
	bodyTag = `"seafront-load"`
)

// Tag is the ETag of the bodies of an Origin.
func Tag() string { return bodyTag }

// Listen makes an origin at address. Serve runs it.
func Listen(address string) (*Origin, error) {
	o := &Origin{answers: map[int][]byte{}}
	s, err := listen(address, o.serve)
	if err != nil {
		return nil, err
	}
	o.server = s
	return o, nil
}

func (o *Origin) serve(c net.Conn) error {
	r := bufio.NewReaderSize(c, 16<<10)
	for {
		target, err := readTarget(r)
		if err != nil {
			return err
		}
		b := o.answer(target)
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
}

// readTarget reads the head of a request.
func readTarget(r *bufio.Reader) (string, error) {
	target := ""
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return target, nil
		}
		if target == "" {
			f := strings.Fields(string(line))
			if len(f) != 3 {
				return "", io.ErrUnexpectedEOF
			}
			target = f[1]
		}
	}
}

func (o *Origin) answer(target string) []byte {
	if target == CountTarget {
		n := strconv.FormatInt(o.asked.Load(), 10)
		return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nCache-Control: no-store\r\n\r\n%s", len(n), n)
	}
	o.asked.Add(1)
	number, _, _ := strings.Cut(strings.TrimPrefix(target, "/"), "/")
	size, err := strconv.Atoi(number)
	if err != nil || size < 0 || size > maxBody {
		return []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.answers[size]
	if b == nil {
		b = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nContent-Type: application/octet-stream\r\n"+
			"Content-Length: %d\r\nETag: %s\r\nLast-Modified: Mon, 23 Nov 2026 10:00:00 GMT\r\nCache-Control: max-age=86400\r\n\r\n", size, bodyTag)
		b = append(b, Body(size)...)
		o.answers[size] = b
	}
	return b
}

// Body is what an Origin sends for a size.
func Body(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte('a' + i%26)
	}
	return b
}
