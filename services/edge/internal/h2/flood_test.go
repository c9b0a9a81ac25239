// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"golang.org/x/net/http2"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// upload answers when all of the body is there.
func upload(ctx context.Context, req *exchange.Request, to exchange.Sender) {
	for buf := make([]byte, 1<<10); req.Body != nil; {
		if _, err := req.Body.Read(buf); err != nil {
			break
		}
	}
	hello(ctx, req, to)
}

// Each flood ends its connection within 2 s, told by GOAWAY and counted, and other
// viewers do not notice.
func TestFloodsAreClosed(t *testing.T) {
	for _, tt := range floods {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reader := metric.NewManualReader()
				s := newServer(t, handler(upload), func(c *Config) {
					c.Meter, c.Limits = metric.NewMeterProvider(metric.WithReader(reader)), floodLimits
				})
				good := connect(t, s)
				bad := connect(t, s)
				if tt.start != nil {
					tt.start(bad.Framer)
				}
				began, sent := time.Now(), 0
				for i := range uint32(100 * tt.most) {
					if tt.one(bad.Framer, i) != nil {
						break
					}
					sent++
				}
				code, told := bad.farewell()
				// x/net itself ends what breaks the protocol sooner, and takes leave at a
				// viewer's GOAWAY.
				if !told || code == http2.ErrCodeNo && tt.name != "GOAWAY" {
					t.Errorf("GOAWAY %v, told %v", code, told)
				}
				if sent > 2*tt.most+100 || time.Since(began) > 2*time.Second {
					t.Errorf("closed after %d frames and %v", sent, time.Since(began))
				}
				if code == http2.ErrCodeEnhanceYourCalm {
					if got := reasons(t, reader); got[tt.want.String()] != 1 || len(got) != 1 {
						t.Errorf("metric %v, want one of %v", got, tt.want)
					}
				}
				good.ask(1, true, request()...)
				if head, body, _ := good.answer(); head.status() != "200" || body != "hello" {
					t.Errorf("another viewer gets %v %q", head, body)
				}
			})
		})
	}
}

// reasons is the metric of closed connections.
func reasons(t *testing.T, reader metric.Reader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != "seafront.edge.http2.closed" {
				continue
			}
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				reason, _ := p.Attributes.Value("reason")
				out[reason.AsString()] = p.Value
			}
		}
	}
	return out
}

// A viewer that takes nothing, not even its GOAWAY, is closed all the same.
func TestFloodWithoutReadingIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, hello)
		client, done := serve(t, s)
		defer client.Close()
		go func() {
			p := frames(func(f *http2.Framer) {
				_ = f.WriteSettings()
				for range 10000 {
					_ = f.WritePriority(1, http2.PriorityParam{})
				}
			})
			_, _ = client.Write(p) // it is cut
		}()
		first := make([]byte, 100)
		_, _ = client.Read(first) // so that x/net gets past its own SETTINGS
		began := time.Now()
		<-done
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("closed after %v", d)
		}
	})
}

// RFC 9113 §6.10: a header block has its time, whether it stops between frames or
// within one.
func TestSlowHeaderIsCut(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(v *viewer) error
	}{
		{"between frames", func(v *viewer) error {
			return v.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: v.encode(request()...), EndStream: true})
		}},
		{"in a frame", func(v *viewer) error {
			_, err := v.conn.Write([]byte{0, 0, 100, typeHeaders, flagEndHeaders, 0, 0, 0, 1, 0x82})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := connect(t, newServer(t, hello))
				began := time.Now()
				if err := tt.send(v); err != nil {
					t.Fatal(err)
				}
				if code, told := v.farewell(); !told || code != http2.ErrCodeEnhanceYourCalm {
					t.Errorf("GOAWAY %v, told %v", code, told)
				}
				if d := time.Since(began); d < DefaultHeaderTimeout || d > DefaultHeaderTimeout+2*time.Second {
					t.Errorf("closed after %v", d)
				}
			})
		})
	}
}

// A header in several frames that comes in time leaves no deadline behind.
func TestHeaderInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := connect(t, newServer(t, hello))
		b := bytes.Clone(v.encode(request("x", "y")...))
		if err := v.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:2], EndStream: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(DefaultHeaderTimeout / 2)
		if err := v.WriteContinuation(1, true, b[2:]); err != nil {
			t.Fatal(err)
		}
		if head, body, _ := v.answer(); head.status() != "200" || body != "hello" {
			t.Errorf("%v %q", head, body)
		}
		time.Sleep(DefaultIdleTimeout - time.Second)
		v.ask(3, true, request()...)
		if head, body, _ := v.answer(); head.status() != "200" || body != "hello" {
			t.Errorf("after the header's deadline: %v %q", head, body)
		}
	})
}

func TestIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := connect(t, newServer(t, hello))
		began := time.Now()
		if code, told := v.farewell(); !told || code != http2.ErrCodeNo {
			t.Errorf("GOAWAY %v, told %v", code, told)
		}
		if d := time.Since(began); d < DefaultIdleTimeout || d > DefaultIdleTimeout+2*time.Second {
			t.Errorf("closed after %v", d)
		}
	})
}

// More streams than announced are reset one by one, and the others go on.
func TestTooManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newServer(t, handler(func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
			<-release
			hello(ctx, req, to)
		}), func(c *Config) { c.Limits.Streams = 10 })
		v := connect(t, s)
		for i := range uint32(11) {
			v.ask(2*i+1, true, request()...)
		}
		if e, _ := v.next(); e.kind != http2.FrameRSTStream || e.stream != 21 {
			t.Errorf("the stream too many gets %+v", e)
		}
		close(release)
		for range 10 {
			if head, body, _ := v.answer(); head.status() != "200" && body != "hello" {
				t.Errorf("%v %q", head, body)
			}
		}
	})
}
