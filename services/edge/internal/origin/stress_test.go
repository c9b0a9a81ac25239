// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// misbehave answers requests in all the ways in which an origin may, good and bad.
// A good body repeats the target that was asked for.
func misbehave(random *rand.Rand) func(*peer) {
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
			head := p.request()
			if head == "" {
				return
			}
			target := strings.Fields(head)[1]
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
			default:
				p.reply("HTTP/1.1 103 Early Hints\r\n\r\n" + length + body)
			}
		}
	}
}

// TestStress: whatever origins do and whenever callers leave, each answer is that to
// its own request or none, no slot or connection is lost, and nothing runs on.
func TestStress(t *testing.T) {
	const workers, each = 8, 60
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	port := listen(t, plain, misbehave(rand.New(rand.NewPCG(seed, 1))))
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
				if err := stressOne(t.Context(), random, c, r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s := c.Stats(); s.Active != 0 || s.Queued != 0 || s.Idle > 2 {
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
