// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
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
	listener net.Listener
	asked    atomic.Int64
	mu       sync.Mutex // guards answers and conns
	answers  map[int][]byte
	conns    map[net.Conn]bool
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
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &Origin{listener: l, answers: map[int][]byte{}, conns: map[net.Conn]bool{}}, nil
}

// Address is where the origin listens.
func (o *Origin) Address() string { return o.listener.Addr().String() }

// Serve answers until ctx ends.
func (o *Origin) Serve(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	stop := context.AfterFunc(ctx, o.end)
	defer stop()
	for {
		c, err := o.listener.Accept()
		if errors.Is(err, net.ErrClosed) && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		o.mu.Lock()
		o.conns[c] = true
		o.mu.Unlock()
		all.Go(func() {
			_ = o.serve(c) // its peer has left, or was told what is wrong
			o.mu.Lock()
			delete(o.conns, c)
			o.mu.Unlock()
			_ = c.Close()
		})
	}
}

func (o *Origin) end() {
	_ = o.listener.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.conns {
		_ = c.Close()
	}
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
