// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/sni"
)

// Pauses after a connection could not be taken, as when files have run out.
const (
	leastPause = 5 * time.Millisecond
	mostPause  = time.Second
)

// serving serves a connection of a viewer, and closes it.
type serving func(ctx context.Context, nc net.Conn, viewer netip.AddrPort)

// lastAccept is how long connections are still taken when no more are wanted: closing
// a listener resets those that the system has taken for it and nobody else yet.
const lastAccept = 50 * time.Millisecond

// endAccepting lets accept take what waits, and then end.
func endAccepting(l net.Listener) error {
	if d, ok := l.(interface{ SetDeadline(t time.Time) error }); ok && d.SetDeadline(time.Now().Add(lastAccept)) == nil {
		return nil
	}
	return l.Close()
}

// accept has each connection served in a goroutine of its own until l is closed or its
// deadline has come; then it closes l. A connection that cannot be taken ends nothing:
// the next may be.
func (s *Server) accept(ctx context.Context, l net.Listener, serve serving) error {
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return l.Close()
		case err != nil:
			pause = min(max(2*pause, leastPause), mostPause)
			s.cfg.Log.WarnContext(ctx, "connection is not taken", slog.String("listener", l.Addr().String()), slog.Any("error", err))
			time.Sleep(pause)
			continue
		}
		pause = 0
		if !s.guard.admit() {
			_ = nc.Close() // refused
			continue
		}
		s.conns.Go(func() {
			defer s.guard.release()
			s.take(ctx, nc, serve)
		})
	}
}

// take has a connection served if its viewer has not too many.
func (s *Server) take(ctx context.Context, nc net.Conn, serve serving) {
	viewer, err := s.source(ctx, nc)
	if err != nil {
		_ = nc.Close() // there is nothing to end in order
		return
	}
	who := group(viewer.Addr())
	if !s.guard.enter(who) {
		_ = nc.Close() // refused
		return
	}
	defer s.guard.leave(who)
	serve(ctx, nc, viewer)
}

// source returns who the viewer on a connection is: its far end, or whom a balancer in
// one of the listed networks names.
func (s *Server) source(ctx context.Context, nc net.Conn) (netip.AddrPort, error) {
	peer := address(nc)
	if !s.proxies.Expects(peer.Addr()) {
		return peer, nil
	}
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	return s.proxies.Viewer(nc, peer)
}

// serve serves a connection without TLS.
func (s *Server) serve(ctx context.Context, nc net.Conn, viewer netip.AddrPort) {
	s.http1.ServeConn(ctx, nc, exchange.Peer{Address: viewer})
}

// shake returns what serves a connection by TLS.
func (s *Server) shake(names *sni.Chooser) serving {
	config := names.TLS()
	return func(ctx context.Context, nc net.Conn, viewer netip.AddrPort) {
		secure := tls.Server(nc, config)
		if err := s.handshake(ctx, nc, secure); err != nil {
			s.guard.failed(err)
			_ = nc.Close() // there is nothing to end in order
			return
		}
		state := secure.ConnectionState()
		peer := exchange.Peer{Address: viewer, Secure: true, ServerName: state.ServerName, Fronts: names.Fronts(state.ServerName)}
		if state.NegotiatedProtocol == "h2" {
			s.http2.ServeConn(ctx, secure, peer)
			return
		}
		s.http1.ServeConn(ctx, secure, peer)
	}
}

// handshake bounds a handshake in time, and ends it with ctx.
func (s *Server) handshake(ctx context.Context, nc net.Conn, secure *tls.Conn) error {
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	if err := nc.SetDeadline(time.Now().Add(s.cfg.HeaderTimeout)); err != nil {
		return err
	}
	err := secure.HandshakeContext(context.WithoutCancel(ctx))
	var other tls.RecordHeaderError
	if errors.As(err, &other) && other.Conn != nil && isRequest(other.RecordHeader[:]) {
		_, _ = io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"+
			"This port is for HTTPS, and the request came by HTTP.\n") // it is closed in any case
	}
	if err != nil {
		return err
	}
	return nc.SetDeadline(time.Time{})
}

// isRequest says whether the first bytes of what should be a TLS record are those of a
// request.
func isRequest(b []byte) bool {
	for _, method := range []string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH"} {
		if bytes.HasPrefix(b, []byte(method)) {
			return true
		}
	}
	return false
}

// address is the address of the far end.
func address(nc net.Conn) netip.AddrPort {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
