// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// backlog is a listener with connections that the system has taken before the server
// has asked for one.
type backlog struct {
	waiting chan net.Conn
	ended   chan struct{} // closed by the deadline
	served  chan struct{} // closed by the test; Accept fails after it
	closed  chan struct{}
}

func (b *backlog) Accept() (net.Conn, error) {
	select {
	case c := <-b.waiting:
		return c, nil
	default:
	}
	<-b.ended
	<-b.served
	return nil, os.ErrDeadlineExceeded
}

func (b *backlog) SetDeadline(time.Time) error { close(b.ended); return nil }
func (b *backlog) Close() error                { close(b.closed); return nil }
func (b *backlog) Addr() net.Addr              { return &net.TCPAddr{} }

// Who has connected before the end is answered, and not reset.
func TestConnectionsThatWaitAtTheEndAreTaken(t *testing.T) {
	const some = 20
	cert, err := OpenCertificate(t.TempDir(), "cdn.test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{
		Handler: answer(exchange.Answer{Status: 204}), Snapshots: config{snapshot.Empty()}, Certificate: cert, Draining: func() bool { return true },
		Log: slog.New(slog.DiscardHandler), Meter: metricnoop.NewMeterProvider(), Grace: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &backlog{waiting: make(chan net.Conn, some), ended: make(chan struct{}), served: make(chan struct{}), closed: make(chan struct{})}
	var viewers []net.Conn
	for range some {
		near, far := net.Pipe()
		viewers = append(viewers, near)
		l.waiting <- far
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the end comes first
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l, listen(t)) }()
	for i, c := range viewers {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != 204 || !res.Close {
			t.Errorf("connection %d: %v, %v", i, res, err)
		}
		_ = c.Close()
	}
	close(l.served)
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-l.closed
}
