// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// scope names the metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/viewer"

// guard counts connections and refuses those that are too many.
type guard struct {
	most, mostPerAddress int // 0: no bound
	refused              metric.Int64Counter
	gauge                metric.Registration

	mu        sync.Mutex // guards the rest
	open      int
	byAddress map[netip.Prefix]int
}

func newGuard(most, mostPerAddress int, provider metric.MeterProvider) (*guard, error) {
	g := &guard{most: most, mostPerAddress: mostPerAddress, byAddress: map[netip.Prefix]int{}}
	meter := provider.Meter(scope)
	var errs [3]error
	g.refused, errs[0] = meter.Int64Counter("seafront.edge.connections.refused",
		metric.WithDescription("Viewer connections closed at once because there were too many."))
	open, err := meter.Int64ObservableGauge("seafront.edge.connections",
		metric.WithDescription("Open viewer connections."))
	errs[1] = err
	g.gauge, errs[2] = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		g.mu.Lock()
		defer g.mu.Unlock()
		to.ObserveInt64(open, int64(g.open))
		return nil
	}, open)
	return g, errors.Join(errs[:]...)
}

func (g *guard) close() { _ = g.gauge.Unregister() }

// group is what counts as one address: in IPv6 whoever has one address has a /64.
func group(addr net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := at.Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func (g *guard) admit(who netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.most > 0 && g.open >= g.most || g.mostPerAddress > 0 && g.byAddress[who] >= g.mostPerAddress {
		return false
	}
	g.open++
	g.byAddress[who]++
	return true
}

func (g *guard) release(who netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	if g.byAddress[who]--; g.byAddress[who] == 0 {
		delete(g.byAddress, who)
	}
}

// listen puts the guard before a listener.
func (g *guard) listen(l net.Listener) net.Listener { return &guardedListener{l, g} }

type guardedListener struct {
	net.Listener
	guard *guard
}

// Accept returns the next connection that is not one too many.
func (l *guardedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		who := group(c.RemoteAddr())
		if l.guard.admit(who) {
			return &guarded{Conn: c, release: sync.OnceFunc(func() { l.guard.release(who) })}, nil
		}
		l.guard.refused.Add(context.Background(), 1)
		_ = c.Close() // refused
	}
}

// guarded is a connection that is counted until it is closed.
type guarded struct {
	net.Conn
	release func()
}

// Close closes the connection.
func (c *guarded) Close() error {
	c.release()
	return c.Conn.Close()
}

// CloseWrite ends the sending half, so that what was sent is read before the end.
func (c *guarded) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// reset makes Close break the connection instead of ending it.
func (c *guarded) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the viewer sees an orderly end, at worst
	}
}

// linger waits until the viewer has read everything or sends nothing more.
func linger(conn net.Conn) {
	w, ok := conn.(interface{ CloseWrite() error })
	if !ok || w.CloseWrite() != nil || conn.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, conn, lingerBytes) // ends with the deadline at the latest
}
