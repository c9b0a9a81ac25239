// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// scope names the metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/viewer"

// guard counts connections and refuses those that are too many.
type guard struct {
	most, mostPerAddress int         // 0: no bound
	overloaded           func() bool // may be nil
	refused, failures    metric.Int64Counter
	gauge                metric.Registration

	mu        sync.Mutex // guards the rest
	open      int
	byAddress map[netip.Prefix]int
}

func newGuard(most, mostPerAddress int, overloaded func() bool, provider metric.MeterProvider) (*guard, error) {
	g := &guard{most: most, mostPerAddress: mostPerAddress, overloaded: overloaded, byAddress: map[netip.Prefix]int{}}
	meter := provider.Meter(scope)
	var errs [4]error
	g.refused, errs[0] = meter.Int64Counter("seafront.edge.connections.refused",
		metric.WithDescription("Viewer connections closed at once, by reason: too many in all or from one address, or memory is short."))
	g.failures, errs[1] = meter.Int64Counter("seafront.edge.handshakes.failed",
		metric.WithDescription("TLS handshakes that came to nothing, by reason: time ran out, or what was said."))
	open, err := meter.Int64ObservableGauge("seafront.edge.connections",
		metric.WithDescription("Open viewer connections."))
	errs[2] = err
	g.gauge, errs[3] = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		g.mu.Lock()
		defer g.mu.Unlock()
		to.ObserveInt64(open, int64(g.open))
		return nil
	}, open)
	return g, errors.Join(errs[:]...)
}

func (g *guard) close() { _ = g.gauge.Unregister() }

// group is what counts as one address: in IPv6 whoever has one address has a /64.
func group(addr netip.Addr) netip.Prefix {
	ip := addr.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // of an address that is none
	}
	return p
}

// admit counts a connection in all, or says that there is no room for it.
func (g *guard) admit() bool {
	if g.overloaded != nil && g.overloaded() {
		return g.refuse("memory")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.most > 0 && g.open >= g.most {
		return g.refuse("all")
	}
	g.open++
	return true
}

func (g *guard) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
}

// enter counts a connection of an address, or says that it has too many.
func (g *guard) enter(who netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mostPerAddress > 0 && g.byAddress[who] >= g.mostPerAddress {
		return g.refuse("address")
	}
	g.byAddress[who]++
	return true
}

func (g *guard) leave(who netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byAddress[who]--; g.byAddress[who] == 0 {
		delete(g.byAddress, who)
	}
}

// refuse counts a refusal.
func (g *guard) refuse(reason string) (admitted bool) {
	g.refused.Add(context.Background(), 1, metric.WithAttributes(attribute.String("reason", reason)))
	return false
}

// failed counts a handshake that came to nothing.
func (g *guard) failed(err error) {
	reason := "protocol"
	if errors.Is(err, os.ErrDeadlineExceeded) {
		reason = "timeout"
	}
	g.failures.Add(context.Background(), 1, metric.WithAttributes(attribute.String("reason", reason)))
}
