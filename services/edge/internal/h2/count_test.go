// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// frames is what write sends, a preface before it.
func frames(write func(f *http2.Framer)) []byte {
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	write(f)
	return b.Bytes()
}

var block = []byte{0x82, 0x87, 0x84} // GET https /

// floodLimits are the default but for what would take long.
var floodLimits = Limits{Tiny: Budget{1000, 20}}

var floods = []struct {
	name  string
	want  Reason
	start func(f *http2.Framer)
	one   func(f *http2.Framer, i uint32) error
	// least is how many must pass, most how many may.
	least, most int
}{
	{"CVE-2023-44487 rapid reset", resets, nil, func(f *http2.Framer, i uint32) error {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block, EndStream: true, EndHeaders: true}) // to memory
		return f.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
	}, 1000, 1001},
	{"CVE-2019-9512 PING", pings, nil, func(f *http2.Framer, _ uint32) error { return f.WritePing(false, [8]byte{}) }, 500, 501},
	{"PING acknowledged unasked", pings, nil, func(f *http2.Framer, _ uint32) error { return f.WritePing(true, [8]byte{}) }, 500, 501},
	{"CVE-2019-9515 SETTINGS", settings, nil, func(f *http2.Framer, _ uint32) error { return f.WriteSettings() }, 99, 101},
	{"CVE-2019-9518 empty DATA", empty, opened, func(f *http2.Framer, _ uint32) error { return f.WriteData(1, false, nil) }, 500, 501},
	{"padding for DATA", tiny, opened, func(f *http2.Framer, _ uint32) error { return f.WriteDataPadded(1, false, nil, make([]byte, 255)) }, 1000, 1001},
	{"DATA of a byte", tiny, opened, func(f *http2.Framer, _ uint32) error { return f.WriteData(1, false, []byte{1}) }, 1000, 1001},
	{"empty HEADERS", empty, nil, func(f *http2.Framer, i uint32) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, EndHeaders: true, EndStream: true})
	}, 500, 501},
	{"CVE-2024-27316 empty CONTINUATION", continuations, unended, func(f *http2.Framer, _ uint32) error { return f.WriteContinuation(1, false, nil) }, 32, 33},
	{"CVE-2024-27316 CONTINUATION", headerBytes, unended, func(f *http2.Framer, _ uint32) error { return f.WriteContinuation(1, false, make([]byte, 8<<10)) }, 9, 10},
	{"CVE-2019-9513 PRIORITY", priorities, nil, func(f *http2.Framer, i uint32) error {
		return f.WritePriority(2*i+1, http2.PriorityParam{Weight: 7})
	}, 1000, 1001},
	{"PRIORITY_UPDATE", priorities, nil, func(f *http2.Framer, i uint32) error { return f.WritePriorityUpdate(2*i+1, "u=1") }, 1000, 1001},
	{"CVE-2019-9511 WINDOW_UPDATE", windowUpdates, nil, func(f *http2.Framer, _ uint32) error { return f.WriteWindowUpdate(0, 1) }, 2000, 2001},
	{"unknown frames", unknown, nil, func(f *http2.Framer, _ uint32) error { return f.WriteRawFrame(0xb, 0, 0, nil) }, 500, 501},
	{"GOAWAY", unknown, nil, func(f *http2.Framer, _ uint32) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) }, 500, 501},
}

// opened begins a request with a body, unended one whose header goes on.
func opened(f *http2.Framer) {
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true}) // to memory
}

func unended(f *http2.Framer) {
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true}) // to memory
}

func TestFloodsAreTold(t *testing.T) {
	limits := floodLimits.withDefaults()
	for _, tt := range floods {
		t.Run(tt.name, func(t *testing.T) {
			c, now := newCounter(&limits, new(answered)), time.Now()
			begin := frames(func(f *http2.Framer) {
				_ = f.WriteSettings() // to memory
				if tt.start != nil {
					tt.start(f)
				}
			})
			if r := c.received(begin, now); r != none {
				t.Fatalf("before the flood: %v", r)
			}
			for i := range tt.most + 1 {
				p := frames(func(f *http2.Framer) { _ = tt.one(f, uint32(i)) })[len(http2.ClientPreface):]
				switch r := c.received(p, now); {
				case r == none && i >= tt.most:
					t.Fatalf("%d frames pass", i+1)
				case r != none && i < tt.least:
					t.Fatalf("ended after %d frames: %v", i, r)
				case r != none && r != tt.want:
					t.Fatalf("ended for %v, want %v", r, tt.want)
				case r != none:
					return
				}
			}
		})
	}
}

// What takes longer than the rate of its budget is no flood, however much it is.
func TestSlowFramesAreNoFlood(t *testing.T) {
	limits := floodLimits.withDefaults()
	for _, tt := range floods {
		if tt.want >= sorts {
			continue // bounds of one header block
		}
		t.Run(tt.name, func(t *testing.T) {
			c, now := newCounter(&limits, new(answered)), time.Now()
			c.scanner.skip = 0
			rate := limits.budgets()[tt.want].PerSecond
			for i := range 3 * tt.most {
				p := frames(func(f *http2.Framer) { _ = tt.one(f, uint32(i)) })[len(http2.ClientPreface):]
				if r := c.received(p, now); r != none {
					t.Fatalf("ended after %d frames: %v", i, r)
				}
				now = now.Add(time.Second/time.Duration(rate) + time.Microsecond)
			}
		})
	}
}

// RFC 9113 §10.5: a viewer that asks for much sends many frames of all sorts, and is
// answered.
func TestBusyViewerIsNoFlood(t *testing.T) {
	limits := Limits{}.withDefaults()
	out := new(answered)
	c, now := newCounter(&limits, out), time.Now()
	c.scanner.skip = 0
	for i := range uint32(50000) {
		in := frames(func(f *http2.Framer) {
			id := 2*i + 1
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: true, EndHeaders: true, Priority: http2.PriorityParam{Weight: 200}})
			_ = f.WritePriorityUpdate(id, "u=3,i")
			_ = f.WriteWindowUpdate(0, 1<<14)
			_ = f.WriteWindowUpdate(id, 1<<14)
			_ = f.WritePing(false, [8]byte{})
			if i%4 > 0 {
				_ = f.WriteRSTStream(id, http2.ErrCodeCancel)
			}
		})[len(http2.ClientPreface):]
		if r := c.received(in, now); r != none {
			t.Fatalf("ended after %d requests: %v", i, r)
		}
		out.sent(frames(func(f *http2.Framer) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: []byte{0x88}, EndHeaders: true})
			_ = f.WriteData(2*i+1, true, []byte("hello"))
		})[len(http2.ClientPreface):])
	}
}

// CVE-2019-9511: windows that are opened byte by byte for an answer are a flood, those
// that are opened as it comes are not.
func TestWindowsAreOpenedForBytes(t *testing.T) {
	limits := Limits{}.withDefaults()
	for _, tt := range []struct {
		size int
		want Reason
	}{{1, windowUpdates}, {64, windowUpdates}, {512, none}, {16384, none}} {
		out := new(answered)
		c, now := newCounter(&limits, out), time.Now()
		c.scanner.skip = 0
		got := none
		for range 20000 {
			out.sent(frames(func(f *http2.Framer) { _ = f.WriteData(1, false, make([]byte, tt.size)) })[len(http2.ClientPreface):])
			in := frames(func(f *http2.Framer) {
				_ = f.WriteWindowUpdate(0, 1)
				_ = f.WriteWindowUpdate(1, 1)
			})[len(http2.ClientPreface):]
			if got = c.received(in, now); got != none {
				break
			}
		}
		if got != tt.want {
			t.Errorf("DATA of %d bytes: %v, want %v", tt.size, got, tt.want)
		}
	}
}

// CVE-2025-8671: streams that the edge has to reset count like those that the viewer
// resets; answers that broke off do not.
func TestFaultsAreCounted(t *testing.T) {
	limits := Limits{}.withDefaults()
	for code, want := range map[http2.ErrCode]Reason{
		http2.ErrCodeProtocol: faults, http2.ErrCodeStreamClosed: faults, http2.ErrCodeFlowControl: faults, http2.ErrCodeRefusedStream: faults,
		http2.ErrCodeNo: none, http2.ErrCodeInternal: none,
	} {
		out := new(answered)
		c := newCounter(&limits, out)
		now := time.Now()
		got := none
		for i := range uint32(1001) {
			out.sent(frames(func(f *http2.Framer) { _ = f.WriteRSTStream(2*i+1, code) })[len(http2.ClientPreface):])
			if got = c.received([]byte{'P'}, now); got != none {
				break
			}
		}
		if got != want {
			t.Errorf("%v: %v, want %v", code, got, want)
		}
	}
}

// FuzzCounter holds that the pieces in which bytes come change nothing.
func FuzzCounter(f *testing.F) {
	for i, tt := range floods {
		f.Add(frames(func(f *http2.Framer) {
			if tt.start != nil {
				tt.start(f)
			}
			for i := range uint32(40) {
				_ = tt.one(f, i)
			}
		}), uint64(i))
	}
	small := Limits{Continuations: 2, HeaderBytes: 1 << 10}
	for _, b := range small.budgets() {
		*b = Budget{Burst: 5, PerSecond: 1}
	}
	f.Fuzz(func(t *testing.T, p []byte, seed uint64) {
		now := time.Now()
		whole := newCounter(&small, new(answered))
		want := whole.received(p, now)
		split, random := newCounter(&small, new(answered)), rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // not for secrets
		got := none
		for rest := p; len(rest) > 0 && got == none; {
			n := 1 + random.IntN(min(len(rest), 20))
			got, rest = split.received(rest[:n], now), rest[n:]
		}
		if got != want {
			t.Fatalf("in pieces %v, whole %v", got, want)
		}
		if want == none && (whole.inHeaders() != split.inHeaders() || whole.buckets != split.buckets) {
			t.Fatalf("in pieces %+v, whole %+v", split, whole)
		}
		new(answered).sent(p)
	})
}
