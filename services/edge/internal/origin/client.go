// SPDX-License-Identifier: Apache-2.0

// Package origin asks origins for content. It is an HTTP/1.1 client of its own,
// because an edge must send a path byte for byte as it was asked for, must know
// why an answer failed, and must decide itself what is tried again.
//
// It promises: an answer has exactly one framing or is refused; no answer is
// reused for another request; what has begun ends within the time-outs of the
// origin; per origin, and there per viewer, the number of requests under way is
// bounded; a body is sent as it is read and never twice. It does not keep bodies,
// follow redirects, decode content, cache, or make spans: what a span needs is in
// Response and Error.
package origin

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// Defaults of Config.
const (
	DefaultMaxConcurrent      = 100
	DefaultMaxQueue           = 1000
	DefaultQueueTimeout       = 10 * time.Second
	DefaultMaxHeaderBytes     = 32768 // D17.13
	DefaultMaxIdle            = 1024
	DefaultMaxIdlePerEndpoint = 100
	DefaultMaxTunnels         = 10000
	DefaultTunnelTimeout      = 10 * time.Minute // D24.4
)

// sessionsKept is how many TLS sessions are remembered over all origins. With a
// forwarded Host the viewer's choice of name is part of what tells sessions
// apart, so they have to be bounded in all.
const sessionsKept = 1024

// Resolver finds the addresses of a name. The network is "ip4", "ip6" or "ip" for
// both. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config holds the limits of a Client. Its zero value is useful: each zero field
// has the default that it names.
type Config struct {
	// MaxConcurrent is how many requests to one origin, by Origin.Name, are under
	// way at a time. A request counts until its body is closed. Default 100.
	MaxConcurrent int
	// MaxQueue is how many further requests to one origin may wait, first come
	// first served; one more fails at once with Overloaded. Default 1000; below
	// zero nobody waits.
	MaxQueue int
	// QueueTimeout is how long a request may wait there before it fails with
	// Overloaded. Default 10 s.
	QueueTimeout time.Duration
	// MaxPerViewer is how many requests to one origin may be under way for one viewer,
	// an IPv4 address or an IPv6 /64; more wait, and have no larger part of the queue.
	// Default half of MaxConcurrent; as much as that, and there is no such limit.
	MaxPerViewer int
	// MaxTunnels is how many connections to one origin may have switched protocols
	// (D24.3), half of them for one viewer; one more fails at once with Overloaded. They
	// do not count in MaxConcurrent. Default 10000.
	MaxTunnels int
	// TunnelTimeout is how long such a connection may be without a byte from the origin,
	// or refuse to take one. Default 10 min (D24.4).
	TunnelTimeout time.Duration
	// MaxHeaderBytes bounds the head of an answer, status line and last line break
	// included, the interim answers before it together, and the trailers after it. Default 32768 (D17.13).
	MaxHeaderBytes int
	// MaxIdle is how many idle connections are kept in all, MaxIdlePerEndpoint how
	// many of them to the same place. Defaults 1024 and 100.
	MaxIdle, MaxIdlePerEndpoint int
	// Resolver looks names up. Default net.DefaultResolver.
	Resolver Resolver
	// Dial connects to an address literal and must heed ctx. Default is that of a
	// zero net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client sends requests to origins. It is safe for concurrent use.
type Client struct {
	limits        *limits
	tunnels       *limits
	tunnelTimeout time.Duration
	idle          *pool
	dialer        *dialer
	maxHead       int
	sessions      tls.ClientSessionCache
}

// NewClient returns a Client. It starts nothing.
func NewClient(cfg Config) *Client {
	d := &dialer{resolver: cfg.Resolver, dial: cfg.Dial}
	if d.resolver == nil {
		d.resolver = net.DefaultResolver
	}
	if d.dial == nil {
		d.dial = new(net.Dialer).DialContext
	}
	return &Client{
		limits: newLimits(cmp.Or(cfg.MaxConcurrent, DefaultMaxConcurrent), cmp.Or(cfg.MaxQueue, DefaultMaxQueue),
			cfg.MaxPerViewer, cmp.Or(cfg.QueueTimeout, DefaultQueueTimeout)),
		tunnels:       newLimits(cmp.Or(cfg.MaxTunnels, DefaultMaxTunnels), 0, 0, 0),
		tunnelTimeout: cmp.Or(cfg.TunnelTimeout, DefaultTunnelTimeout),
		idle: &pool{
			max:         cmp.Or(cfg.MaxIdle, DefaultMaxIdle),
			perEndpoint: cmp.Or(cfg.MaxIdlePerEndpoint, DefaultMaxIdlePerEndpoint),
			conns:       make(map[endpoint]kept),
		},
		dialer:   d,
		maxHead:  cmp.Or(cfg.MaxHeaderBytes, DefaultMaxHeaderBytes),
		sessions: tls.NewLRUClientSessionCache(sessionsKept),
	}
}

// Close closes idle connections and returns when nothing of the Client runs in
// the background. Later calls of Fetch fail with Overloaded; those under way go
// on, and their connections are closed instead of kept.
func (c *Client) Close() {
	c.limits.close()
	c.tunnels.close()
	c.idle.close()
}

// Stats is what a Client does at one moment, over all origins.
type Stats struct {
	// Active requests hold a slot of their origin, Queued ones wait for it.
	Active, Queued int
	// Idle connections are kept for a next request.
	Idle int
	// Tunnels are connections that have switched protocols, or may be about to.
	Tunnels int
}

// Stats returns the present numbers, for gauges.
func (c *Client) Stats() Stats {
	active, queued := c.limits.count()
	tunnels, _ := c.tunnels.count()
	return Stats{Active: active, Queued: queued, Idle: c.idle.count(), Tunnels: tunnels}
}
