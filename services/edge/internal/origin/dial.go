// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

const (
	// headStart is how long one address is tried before the next joins in
	// (RFC 8305 §5 recommends it).
	headStart = 250 * time.Millisecond
	// maxAddresses is how many addresses of a name are tried.
	maxAddresses = 8
)

// dialer makes connections below TLS.
type dialer struct {
	resolver Resolver
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
}

// connect finds the addresses of the endpoint and connects to one of them.
func (d *dialer) connect(ctx context.Context, e endpoint) (net.Conn, netip.AddrPort, error) {
	found, err := d.addresses(ctx, e.host, e.family)
	if err != nil {
		return nil, netip.AddrPort{}, fault(DNS, "look up %s: %w", e.host, err)
	}
	addrs := make([]netip.AddrPort, len(found))
	for i, a := range found {
		addrs[i] = netip.AddrPortFrom(a, uint16(e.port))
	}
	r := race{dialer: d, addrs: addrs, results: make(chan dialed, len(addrs))}
	return r.run(ctx)
}

var errNoAddress = errors.New("no address in the family asked for")

// addresses returns where a host may be reached, in the order in which to try
// (D16.1): a literal is its own address, localhost and names below it are this
// machine whatever DNS says (RFC 6761 §6.3), anything else is looked up.
func (d *dialer) addresses(ctx context.Context, host string, f snapshot.Family) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ordered([]netip.Addr{a}, f)
	}
	if isLocalhost(host) {
		return ordered([]netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}, f)
	}
	network := "ip4"
	switch f {
	case snapshot.IPv6:
		network = "ip6"
	case snapshot.DualStack:
		network = "ip"
	}
	found, err := d.resolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, err
	}
	return ordered(found, f)
}

func isLocalhost(host string) bool {
	h := strings.ToLower(strings.TrimSuffix(host, "."))
	return h == "localhost" || strings.HasSuffix(h, ".localhost")
}

// ordered keeps the addresses of the family, IPv4 unless told otherwise. For both
// it takes turns, beginning with IPv6 (RFC 8305 §4).
func ordered(found []netip.Addr, f snapshot.Family) ([]netip.Addr, error) {
	var four, six []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); a.Is4() {
			four = append(four, a)
		} else if a.IsValid() {
			six = append(six, a)
		}
	}
	switch f {
	case snapshot.IPv6:
		four = nil
	case snapshot.DualStack:
	default:
		six = nil
	}
	out := make([]netip.Addr, 0, len(four)+len(six))
	for i := range max(len(four), len(six)) {
		if i < len(six) {
			out = append(out, six[i])
		}
		if i < len(four) {
			out = append(out, four[i])
		}
	}
	if len(out) == 0 {
		return nil, errNoAddress
	}
	return out[:min(len(out), maxAddresses)], nil
}

// race connects to several addresses with staggered starts (RFC 8305 §5). The
// first connection wins; a failure starts the next address at once.
type race struct {
	dialer  *dialer
	addrs   []netip.AddrPort
	results chan dialed // has room for all
	started int
	wg      sync.WaitGroup
}

type dialed struct {
	conn net.Conn
	addr netip.AddrPort
	err  error
}

func (r *race) run(ctx context.Context) (net.Conn, netip.AddrPort, error) {
	if len(r.addrs) == 1 {
		nc, err := r.dialer.dial(ctx, "tcp", r.addrs[0].String())
		if err != nil {
			return nil, r.addrs[0], connectFault(ctx, err)
		}
		return nc, r.addrs[0], nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer r.closeLosers()
	defer cancel()
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	r.start(ctx)
	var failures []error
	for {
		select {
		case won := <-r.results:
			if won.err == nil {
				return won.conn, won.addr, nil
			}
			failures = append(failures, won.err)
			if len(failures) == len(r.addrs) {
				return nil, won.addr, connectFault(ctx, errors.Join(failures...))
			}
		case <-timer.C:
		}
		if r.started < len(r.addrs) {
			r.start(ctx)
			timer.Reset(headStart)
		}
	}
}

// start begins with the next address.
func (r *race) start(ctx context.Context) {
	addr := r.addrs[r.started]
	r.started++
	r.wg.Go(func() {
		nc, err := r.dialer.dial(ctx, "tcp", addr.String())
		r.results <- dialed{nc, addr, err}
	})
}

// closeLosers waits for what is still being dialled and closes what comes of it.
func (r *race) closeLosers() {
	r.wg.Wait()
	close(r.results)
	for late := range r.results {
		if late.err == nil {
			_ = late.conn.Close()
		}
	}
}

// connectFault says what a failed connection means (D16.13): refused or reset is
// one thing; silence, or no way to the host, another.
func connectFault(ctx context.Context, err error) error {
	kind := Connect
	switch {
	case ctx.Err() != nil:
		kind = ConnectTimeout
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT),
		errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		kind = ConnectTimeout
	}
	return fault(kind, "%w", err)
}
