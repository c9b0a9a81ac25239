// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// misbehave answers requests in all the ways in which an origin may, good and bad.
// A good body repeats the target that was asked for.
func misbehave(t *testing.T, random *rand.Rand) func(*peer) {
	var mu sync.Mutex
	dice := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	return func(p *peer) {
		if dice(10) == 0 {
			return // closed before anything was asked
		}
		if dice(20) == 0 {
			p.reply("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
			p.hang()
			return
		}
		for {
			target, ok := p.takes(t, dice(4))
			if !ok {
				return
			}
			body := strings.Repeat(target, 1+dice(200))
			length := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
			switch dice(16) {
			case 0:
				return
			case 1:
				p.reply(length + body[:len(body)/2])
				return
			case 2:
				p.reply(length + body + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			case 3:
				p.reply("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			case 4:
				p.reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n")
			case 5:
				p.reply("HTTP/1.0 200 OK\r\n\r\n" + body)
				return
			case 6:
				p.reply("HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil")
			case 7:
				p.reply("garbage")
				p.hang()
				return
			case 8, 9:
				p.reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				for _, part := range strings.SplitAfter(body, "/") {
					if part != "" {
						p.reply(fmt.Sprintf("%x;a=b\r\n%s\r\n", len(part), part))
					}
				}
				p.reply("0\r\nA: b\r\n\r\n")
			case 10:
				p.hang()
				return
			case 11:
				p.reply("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
				_, _ = io.Copy(p, p.in)
				return
			case 12:
				p.reply(strings.Repeat("HTTP/1.1 103 \r\n\r\n", 40))
			default:
				p.reply("HTTP/1.1 103 Early Hints\r\n\r\n" + length + body)
			}
		}
	}
}

// takes reads a request and some quarters of its body, and returns the target. A
// body is the target again and again: anything else is a mixture of requests.
func (p *peer) takes(t *testing.T, quarters int) (target string, ok bool) {
	req, err := http.ReadRequest(p.in)
	if err != nil {
		return "", false
	}
	limit := int64(math.MaxInt64)
	if quarters < 3 {
		limit = int64(quarters) * 20000
	}
	b, err := io.ReadAll(io.LimitReader(req.Body, limit))
	if rest := strings.ReplaceAll(string(b), req.RequestURI, ""); err == nil && quarters == 3 && rest != "" {
		t.Errorf("%s came with a body of %.60q", req.RequestURI, rest)
	}
	return req.RequestURI, err == nil
}

// TestStress: whatever origins do and whenever callers leave, each answer is that to
// its own request or none, no slot or connection is lost, and nothing runs on.
func TestStress(t *testing.T) {
	const workers, each = 8, 60
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	port := listen(t, plain, misbehave(t, rand.New(rand.NewPCG(seed, 1))))
	c := NewClient(Config{MaxConcurrent: 3, MaxQueue: 3, QueueTimeout: 50 * time.Millisecond, MaxIdle: 2})
	var wg sync.WaitGroup
	for w := range workers {
		random := rand.New(rand.NewPCG(seed, uint64(w+2)))
		wg.Go(func() {
			for n := range each {
				o := originAt(port)
				o.ReadTimeout, o.Family = 20*time.Millisecond, snapshot.IPv4
				if random.IntN(3) == 0 {
					o.CompletionTimeout = time.Duration(random.IntN(20)+1) * time.Millisecond
				}
				r := get(o)
				r.Target = fmt.Sprintf("/%d-%d", w, n)
				r.Viewer = netip.AddrFrom4([4]byte{192, 0, 2, byte(w % 3)})
				switch random.IntN(5) {
				case 0:
					r.Method, r.Length = "POST", -1
					r.Body = io.NopCloser(strings.NewReader(strings.Repeat(r.Target, random.IntN(20000))))
				case 1:
					body := strings.Repeat(r.Target, 1+random.IntN(20000))
					r.Method, r.Body, r.Length = "PUT", strings.NewReader(body), int64(len(body))
				case 2:
					r.Upgrade = "websocket"
				}
				if err := stressOne(t.Context(), random, c, r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s := c.Stats(); s.Active != 0 || s.Queued != 0 || s.Tunnels != 0 || s.Idle > 2 {
		t.Errorf("left over: %+v", s)
	}
	c.Close()
	if s := c.Stats(); s != (Stats{}) {
		t.Errorf("left over after Close: %+v", s)
	}
}

// stressOne makes a request that may be given up at any point. The answers that an
// origin sends before it is asked, on a connection of its own, are its own fault.
func stressOne(ctx context.Context, random *rand.Rand, c *Client, r *Request) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if random.IntN(4) == 0 {
		defer time.AfterFunc(time.Duration(random.IntN(10000))*time.Microsecond, cancel).Stop()
	}
	res, err := c.Fetch(ctx, r)
	if err != nil {
		if _, ok := errors.AsType[*Error](err); !ok {
			return fmt.Errorf("%s: %w is no *Error", r.Target, err)
		}
		return nil
	}
	defer func() { _ = res.Body.Close() }()
	if res.Tunnel != nil {
		return stressTunnel(res.Tunnel, r.Target)
	}
	if random.IntN(5) == 0 {
		return nil // not read
	}
	b, err := io.ReadAll(res.Body)
	text := string(b)
	if text == "early" && !res.Reused {
		return nil
	}
	if rest := strings.ReplaceAll(text, r.Target, ""); err == nil && rest != "" {
		return fmt.Errorf("%s got the answer %.60q", r.Target, text)
	}
	return nil
}

// stressTunnel sends something and gets it back, or the tunnel is over.
func stressTunnel(tunnel Tunnel, text string) error {
	defer func() { _ = tunnel.Close() }()
	if _, err := io.WriteString(tunnel, text); err != nil {
		return nil
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(tunnel, b); err == nil && string(b) != text {
		return fmt.Errorf("%s: the tunnel brought %.60q", text, b)
	}
	return nil
}
