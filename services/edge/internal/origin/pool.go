// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"slices"
	"sync"
	"time"
)

// pool keeps idle connections, the most recently used first: so few connections
// stay in use and the others can expire.
type pool struct {
	max, perEndpoint int

	// expiries counts armed and running timers, so that close can wait for them.
	expiries sync.WaitGroup

	mu     sync.Mutex           // guards the rest; no I/O while held
	conns  map[endpoint][]*conn // longest idle first
	n      int
	closed bool
}

// take returns a connection that is still good, or nil.
func (p *pool) take(e endpoint) *conn {
	for {
		c := p.pop(e)
		if c == nil || c.alive() {
			return c
		}
		c.abort()
	}
}

func (p *pool) pop(e endpoint) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.conns[e]
	if len(kept) == 0 {
		return nil
	}
	c := kept[len(kept)-1]
	p.remove(c)
	return c
}

// put keeps a connection for at most idle. Where there is no room the longest
// idle one to the same endpoint has to go, or else the new one.
func (p *pool) put(c *conn, idle time.Duration) {
	if c.in.Buffered() > 0 || idle <= 0 {
		c.abort()
		return
	}
	if surplus := p.push(c, idle); surplus != nil {
		_ = surplus.Close()
	}
}

// push returns the connection to close, if any.
func (p *pool) push(c *conn, idle time.Duration) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return c
	}
	var surplus *conn
	if kept := p.conns[c.endpoint]; len(kept) > 0 && (len(kept) >= p.perEndpoint || p.n >= p.max) {
		surplus = kept[0]
		p.remove(surplus)
	} else if p.n >= p.max {
		return c
	}
	p.conns[c.endpoint] = append(p.conns[c.endpoint], c)
	p.n++
	p.expiries.Add(1)
	c.expiry = time.AfterFunc(idle, func() {
		defer p.expiries.Done()
		p.expire(c)
	})
	return surplus
}

// expire closes a connection if it is idle. A timer that fires while the
// connection is being taken, used and put back may end it early, never in use.
func (p *pool) expire(c *conn) {
	p.mu.Lock()
	idle := p.remove(c)
	p.mu.Unlock()
	if idle {
		_ = c.Close()
	}
}

// remove takes c out and disarms its timer, with the lock held.
func (p *pool) remove(c *conn) bool {
	kept := p.conns[c.endpoint]
	i := slices.Index(kept, c)
	if i < 0 {
		return false
	}
	if c.expiry.Stop() {
		p.expiries.Done()
	}
	p.n--
	if kept = slices.Delete(kept, i, i+1); len(kept) == 0 {
		delete(p.conns, c.endpoint)
	} else {
		p.conns[c.endpoint] = kept
	}
	return true
}

// close closes what is idle, keeps nothing from now on, and waits for timers that
// are running.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var idle []*conn
	for _, kept := range p.conns {
		idle = append(idle, kept...)
	}
	for _, c := range idle {
		p.remove(c)
	}
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
	p.expiries.Wait()
}

func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}
