// SPDX-License-Identifier: Apache-2.0

// Package proxyproto learns the address of a viewer from the balancer before the edge,
// by the PROXY protocol in its versions 1 and 2.
//
// It promises: the header is asked of listed networks and of nobody else, and from
// those it is asked of each connection, since whoever may leave it out may also invent
// one. Not a byte is read past the header, so that the connection goes on as it is.
// A header has a bound in bytes and in time. It looks at nothing but the address of the
// source.
package proxyproto

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// scope names the metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/proxyproto"

// DefaultTimeout is that of Config.
const DefaultTimeout = 5 * time.Second

// Config is what a Reader needs.
type Config struct {
	// Networks are those whose connections begin with a PROXY header. None: no
	// connection does.
	Networks []netip.Prefix
	// Timeout bounds the time for a header; 0 is DefaultTimeout.
	Timeout time.Duration
	Meter   metric.MeterProvider
}

// Reader reads PROXY headers. It is safe for concurrent use.
type Reader struct {
	networks []netip.Prefix
	timeout  time.Duration
	headers  metric.Int64Counter
}

// New returns a Reader.
func New(cfg Config) (*Reader, error) {
	r := &Reader{timeout: cmp.Or(cfg.Timeout, DefaultTimeout)}
	for _, p := range cfg.Networks {
		r.networks = append(r.networks, p.Masked())
	}
	var err error
	r.headers, err = cfg.Meter.Meter(scope).Int64Counter("seafront.edge.proxy_protocol.headers",
		metric.WithDescription("Connections from networks that send PROXY headers, by outcome: address, none, bad, slow, gone."))
	if err != nil {
		return nil, fmt.Errorf("metrics of the PROXY protocol: %w", err)
	}
	return r, nil
}

// Expects says whether connections from peer begin with a header.
func (r *Reader) Expects(peer netip.Addr) bool {
	peer = peer.Unmap().WithZone("")
	return slices.ContainsFunc(r.networks, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// Viewer returns who the viewer on c is: peer, whose connection it is, or whom the
// header of a listed peer names. It then has read the header, and waited for it. After
// an error the connection is to be closed.
func (r *Reader) Viewer(c net.Conn, peer netip.AddrPort) (netip.AddrPort, error) {
	if !r.Expects(peer.Addr()) {
		return peer, nil
	}
	if err := c.SetReadDeadline(time.Now().Add(r.timeout)); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read PROXY header: %w", err)
	}
	source, err := read(c)
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}
	r.headers.Add(context.Background(), 1, metric.WithAttributes(attribute.String("outcome", outcome(source, err))))
	switch {
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("PROXY header of %s: %w", peer, err)
	case !source.IsValid(): // a connection of the balancer's own
		return peer, nil
	}
	return source, nil
}

func outcome(source netip.AddrPort, err error) string {
	switch {
	case errors.Is(err, errHeader):
		return "bad"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "slow"
	case err != nil:
		return "gone"
	case !source.IsValid():
		return "none"
	}
	return "address"
}

// errHeader is what is wrong with every header that is refused.
var errHeader = errors.New("malformed")

func malformed(what string) error { return fmt.Errorf("%w: %s", errHeader, what) }

// read reads a header of either version and returns its source; an invalid one means
// that it names none.
func read(from io.Reader) (netip.AddrPort, error) {
	var b [max(v1Most, v2Head)]byte
	begin := b[:v1Least] // shorter than any header
	if _, err := io.ReadFull(from, begin); err != nil {
		return netip.AddrPort{}, err
	}
	switch {
	case bytes.HasPrefix(begin, []byte(v1Signature)):
		return readV1(from, &b)
	case bytes.HasPrefix(begin, []byte(v2Signature)):
		return readV2(from, &b)
	}
	return netip.AddrPort{}, malformed("no signature")
}

// readV1 reads the rest of a line byte by byte: what follows it is not the header's.
func readV1(from io.Reader, b *[v1Most]byte) (netip.AddrPort, error) {
	n := v1Least
	for !bytes.HasSuffix(b[:n], []byte("\r\n")) {
		if n == v1Most {
			return netip.AddrPort{}, malformed("line too long")
		}
		if _, err := io.ReadFull(from, b[n:n+1]); err != nil {
			return netip.AddrPort{}, err
		}
		n++
	}
	return parseV1(string(b[:n-2]))
}

func readV2(from io.Reader, b *[v1Most]byte) (netip.AddrPort, error) {
	if _, err := io.ReadFull(from, b[v1Least:v2Head]); err != nil {
		return netip.AddrPort{}, err
	}
	length := int(binary.BigEndian.Uint16(b[v2Head-2:]))
	if length > v2Most {
		return netip.AddrPort{}, malformed("too long")
	}
	rest := make([]byte, length)
	if _, err := io.ReadFull(from, rest); err != nil {
		return netip.AddrPort{}, err
	}
	return parseV2(b[12], b[13], rest)
}
