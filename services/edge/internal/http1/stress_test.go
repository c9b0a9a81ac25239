// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// unruly answers in every way there is: it reads the body or does not, in another
// goroutine or its own, waits or does not, and sends bytes, streams or half of one. What
// it sends begins with the target, so that viewers can tell whose answer they have.
func unruly(ctx context.Context, req *exchange.Request, to exchange.Sender) {
	var reading sync.WaitGroup
	defer reading.Wait()
	target := []byte(req.Target)
	switch how := rand.IntN(4); {
	case how == 0 && req.HasBody:
		_, _ = io.Copy(io.Discard, req.Body)
	case how == 1 && req.HasBody:
		some := io.LimitReader(req.Body, rand.Int64N(5000)) // ends, or the viewer leaves
		reading.Go(func() { _, _ = io.Copy(io.Discard, some) })
	case how == 2:
		watched, stop := to.Watch(ctx)
		select {
		case <-time.After(time.Duration(rand.IntN(2000)) * time.Microsecond):
		case <-watched.Done():
		}
		stop()
	case how == 3:
		_ = to.Interim(103, fields("Link", "</x>"))
	}
	body := exchange.Bytes(append(target, make([]byte, rand.IntN(100000))...))
	switch rand.IntN(8) {
	case 0, 1:
		body = exchange.Body{Stream: &pieces{pieces: cut(body.Bytes, 30000), end: io.EOF}, Size: -1}
	case 2:
		body = exchange.Body{Stream: &pieces{pieces: cut(body.Bytes, 30000), end: errOrigin}, Size: body.Size + 1}
	case 3:
		body = exchange.Bytes(target)
	}
	_, _ = to.Send(ctx, &exchange.Answer{Status: 200, Body: body, Close: rand.IntN(20) == 0})
}

// Whatever happens on connections, no viewer gets the answer to another request, and
// nothing is left behind.
func TestStress(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		s := listen(t, secure, unruly, func(c *Config) { c.LeaveGrace = 10 * time.Millisecond })
		var viewers sync.WaitGroup
		for v := range 10 {
			viewers.Go(func() {
				for n := range 8 {
					if err := visit(t, s, fmt.Sprintf("/%d/%d/", v, n)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		viewers.Wait()
	})
}

// visit sends some requests at once on one connection, and reads some of the answers.
func visit(t *testing.T, s *site, path string) error {
	c, r := s.dial(t)
	defer c.Close()
	var all strings.Builder
	const requests = 5
	for i := range requests {
		content := strings.Repeat("a", rand.IntN(20000))
		switch rand.IntN(3) {
		case 0:
			fmt.Fprintf(&all, "GET %s%d. HTTP/1.1\r\nHost: h\r\n\r\n", path, i)
		case 1:
			fmt.Fprintf(&all, "POST %s%d. HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", path, i, len(content), content)
		case 2:
			fmt.Fprintf(&all, "POST %s%d. HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", path, i, len(content)+1, content+"a")
		}
	}
	said := all.String()
	if rand.IntN(4) == 0 {
		said = said[:rand.IntN(len(said))] // breaks off
	}
	var saying sync.WaitGroup
	defer saying.Wait()
	defer c.Close()
	saying.Go(func() {
		_, _ = io.WriteString(c, said)
		_ = c.(interface{ CloseWrite() error }).CloseWrite() // it may be cut already
	})
	for i := range rand.IntN(requests + 1) {
		got, err := readAnswer(r)
		if err != nil {
			return nil // cut, as it may be
		}
		if want := fmt.Sprintf("%s%d.", path, i); len(got) > 0 && !bytes.HasPrefix(got, []byte(want)) {
			return fmt.Errorf("the answer to %s begins with %.40q", want, got)
		}
	}
	return nil
}
