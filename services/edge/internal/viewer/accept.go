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
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// Pauses after a connection could not be taken, as when files have run out.
const (
	leastPause = 5 * time.Millisecond
	mostPause  = time.Second
)

// accept has each connection served in a goroutine of its own until l is closed.
// Serve closes it. A connection that cannot be taken ends nothing: the next may be.
func (s *Server) accept(ctx context.Context, l net.Listener, serve func(context.Context, net.Conn)) error {
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			pause = min(max(2*pause, leastPause), mostPause)
			s.cfg.Log.WarnContext(ctx, "connection is not taken", slog.String("listener", l.Addr().String()), slog.Any("error", err))
			time.Sleep(pause)
			continue
		}
		pause = 0
		who := group(nc.RemoteAddr())
		if !s.guard.admit(who) {
			_ = nc.Close() // refused
			continue
		}
		s.conns.Go(func() {
			defer s.guard.release(who)
			serve(ctx, nc)
		})
	}
}

// serve serves a connection without TLS.
func (s *Server) serve(ctx context.Context, nc net.Conn) {
	s.http1.ServeConn(ctx, nc, exchange.Peer{Address: address(nc)})
}

// shake returns what serves a connection by TLS.
func (s *Server) shake(config *tls.Config) func(context.Context, net.Conn) {
	return func(ctx context.Context, nc net.Conn) {
		secure := tls.Server(nc, config)
		if err := s.handshake(ctx, nc, secure); err != nil {
			s.guard.failed(err)
			_ = nc.Close() // there is nothing to end in order
			return
		}
		state := secure.ConnectionState()
		peer := exchange.Peer{Address: address(nc), Secure: true, ServerName: state.ServerName}
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
