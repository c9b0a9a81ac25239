// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"sync"
	"time"
)

// pool keeps idle connections, the most recently used first: so few connections
// stay in use and the others can expire.
type pool struct {
	max, perEndpoint int

	// expiries counts armed and running timers, so that close can wait for them.
	expiries sync.WaitGroup

	mu     sync.Mutex // guards the rest and the links of what is kept; no I/O while held
	conns  map[endpoint]kept
	n      int
	closed bool
}

// kept is a list of idle connections to the same place.
type kept struct {
	newest, oldest *conn
	n              int
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
	c := p.conns[e].newest
	if c != nil {
		p.remove(c)
		c.buffer()
	}
	return c
}

// put keeps a connection for at most idle. Where there is no room the longest
// idle one to the same endpoint has to go, or else the new one.
func (p *pool) put(c *conn, idle time.Duration) {
	if c.in.Buffered() > 0 || idle <= 0 {
		c.abort()
		return
	}
	c.unbuffer()
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
	if k := p.conns[c.endpoint]; k.n > 0 && (k.n >= p.perEndpoint || p.n >= p.max) {
		surplus = k.oldest
		p.remove(surplus)
	} else if p.n >= p.max {
		return c
	}
	k := p.conns[c.endpoint]
	c.idle, c.older, c.newer = true, k.newest, nil
	if k.newest != nil {
		k.newest.newer = c
	} else {
		k.oldest = c
	}
	k.newest = c
	k.n++
	p.conns[c.endpoint] = k
	p.n++
	p.expiries.Add(1)
	if c.expiry != nil {
		c.expiry.Reset(idle)
		return surplus
	}
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
	if !c.idle {
		return false
	}
	if c.expiry.Stop() {
		p.expiries.Done()
	}
	k := p.conns[c.endpoint]
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		k.newest = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		k.oldest = c.newer
	}
	c.idle, c.older, c.newer = false, nil, nil
	p.n--
	if k.n--; k.n == 0 {
		delete(p.conns, c.endpoint)
	} else {
		p.conns[c.endpoint] = k
	}
	return true
}

// close closes what is idle, keeps nothing from now on, and waits for timers that
// are running.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var idle []*conn
	for _, k := range p.conns {
		for c := k.newest; c != nil; c = c.older {
			idle = append(idle, c)
		}
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
