// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"bytes"
	"context"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

func TestOverloadRefusesStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var overloaded atomic.Bool
		var handled atomic.Int32
		s := newServer(t, func(ctx context.Context, _ *exchange.Request, to exchange.Sender) {
			handled.Add(1)
			_, _ = to.Send(ctx, &exchange.Answer{Status: 204}) // the viewer's side is looked at
		}, func(c *Config) { c.Overloaded, c.Limits.Streams = overloaded.Load, 3 })
		v := connect(t, s)
		v.ask(1, true, request()...)
		if head, _, _ := v.answer(); head.status() != "204" {
			t.Fatalf("before: %v", head)
		}
		overloaded.Store(true)
		for stream := uint32(3); stream <= 7; stream += 2 {
			v.ask(stream, true, request()...)
			if head, _, code := v.answer(); head.status() != "" || code != http2.ErrCodeRefusedStream {
				t.Errorf("RFC 9113 §8.7: stream %d gets %v, reset %v", stream, head, code)
			}
		}
		overloaded.Store(false)
		v.ask(9, true, request()...)
		if head, _, _ := v.answer(); head.status() != "204" {
			t.Errorf("after: %v", head)
		}
		overloaded.Store(true)
		v.ask(11, true, request()...)
		if head, _, code := v.answer(); head.status() != "503" || code != http2.ErrCodeNo {
			t.Errorf("who goes on gets %v, reset %v", head, code)
		}
		if code, _ := v.farewell(); code != http2.ErrCodeNo {
			t.Errorf("closed with %v", code)
		}
		if n := handled.Load(); n != 2 {
			t.Errorf("%d requests reached the handler", n)
		}
	})
}

// A reset of another stream, and one of a stream that was processed, keep their code,
// and what was refused is found in any pieces.
func TestRefusalsInPieces(t *testing.T) {
	wire := frames(func(f *http2.Framer) {
		_ = f.WriteRSTStream(1, http2.ErrCodeInternal)
		_ = f.WriteRSTStream(3, http2.ErrCodeInternal)
		_ = f.WriteRSTStream(5, http2.ErrCodeStreamClosed)
	})
	wire = bytes.TrimPrefix(wire, []byte(http2.ClientPreface))
	for size := 1; size <= len(wire); size++ {
		var a answered
		a.refused.given.Store(2)
		a.refused.streams = map[uint32]struct{}{3: {}, 5: {}}
		var out []byte
		given := bytes.Clone(wire)
		for p := given; len(p) > 0; p = p[min(size, len(p)):] {
			out = append(out, a.sent(p[:min(size, len(p))])...)
		}
		if !bytes.Equal(given, wire) {
			t.Fatalf("pieces of %d: the caller's bytes were changed", size)
		}
		f := http2.NewFramer(nil, bytes.NewReader(out))
		for _, want := range []http2.ErrCode{http2.ErrCodeInternal, http2.ErrCodeRefusedStream, http2.ErrCodeStreamClosed} {
			got, err := f.ReadFrame()
			if reset, ok := got.(*http2.RSTStreamFrame); !ok || reset.ErrCode != want {
				t.Errorf("pieces of %d: %v, %v, want %v", size, got, err, want)
			}
		}
	}
}

func TestNoStreamOfOtherWriters(t *testing.T) {
	if id, ok := streamOf(httptest.NewRecorder()); ok {
		t.Errorf("stream %d", id)
	}
}
