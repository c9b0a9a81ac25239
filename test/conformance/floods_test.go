// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seafront-cdn/seafront/test/internal/viewer"
)

// Bounds of what a peer that means harm may bring about.
const (
	floodTime   = 3 * time.Second
	closedIn    = 2 * time.Second
	mostCPU     = 0.5      // of a processor, by a flood that is not ended
	mostMemory  = 64 << 20 // that the edge may grow by
	slowBound   = 32 * time.Second
	goodPause   = 50 * time.Millisecond
	leastServed = 0.999
)

// attacker is the client side of one HTTP/2 connection.
type attacker struct {
	conn   *tls.Conn
	framer *http2.Framer
	encode *hpack.Encoder
	head   bytes.Buffer
	host   string
	out    *buffered
	stream uint32
}

// buffered gathers frames into writes of some size, as a flood does.
type buffered struct {
	w io.Writer
	b []byte
}

// Write is part of io.Writer.
func (b *buffered) Write(p []byte) (int, error) {
	if b.b = append(b.b, p...); len(b.b) < 16<<10 {
		return len(p), nil
	}
	return len(p), b.flush()
}

func (b *buffered) flush() error {
	_, err := b.w.Write(b.b)
	b.b = b.b[:0]
	return err
}

func newAttacker(e *edge, host string, settings ...http2.Setting) (*attacker, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: closedIn}, "tcp", e.HTTPS, &tls.Config{InsecureSkipVerify: true, ServerName: host, NextProtos: []string{"h2"}})
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(slowBound)); err != nil {
		return nil, err
	}
	a := &attacker{conn: conn, host: host, out: &buffered{w: conn}, stream: 1}
	a.framer = http2.NewFramer(a.out, nil)
	a.framer.AllowIllegalWrites = true
	a.encode = hpack.NewEncoder(&a.head)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return nil, err
	}
	return a, a.framer.WriteSettings(settings...)
}

// fields is a header block for a GET.
func (a *attacker) fields(target string) []byte {
	a.head.Reset()
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", a.host}, {":path", target}} {
		_ = a.encode.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // to memory
	}
	return a.head.Bytes()
}

// get opens a stream.
func (a *attacker) get(target string) error {
	err := a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: a.stream, BlockFragment: a.fields(target), EndStream: true, EndHeaders: true})
	a.stream += 2
	return err
}

// flood is a thing to do over and over; once, when set, comes first.
type flood struct {
	id       string
	settings []http2.Setting
	once     func(a *attacker) error
	again    func(a *attacker) error // nil: nothing
	deaf     bool                    // the attacker reads nothing
}

func floods() []flood {
	const target = "/1000/flood"
	garbage := func(a *attacker) error {
		return a.framer.WriteContinuation(1, false, bytes.Repeat([]byte{0x00, 0x01, 'a', 0x01, 'b'}, 200))
	}
	return []flood{
		{id: "rapid-reset", again: func(a *attacker) error {
			if err := a.get(target); err != nil {
				return err
			}
			return a.framer.WriteRSTStream(a.stream-2, http2.ErrCodeCancel)
		}},
		{id: "ping", again: func(a *attacker) error { return a.framer.WritePing(false, [8]byte{1}) }},
		{id: "ping-deaf", deaf: true, again: func(a *attacker) error { return a.framer.WritePing(false, [8]byte{1}) }},
		{id: "settings", again: func(a *attacker) error {
			return a.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65535})
		}},
		{id: "empty-data", once: func(a *attacker) error {
			err := a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.fields(target), EndHeaders: true})
			return err
		}, again: func(a *attacker) error { return a.framer.WriteData(1, false, nil) }},
		{id: "continuation", once: func(a *attacker) error {
			return a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.fields(target)})
		}, again: garbage},
		{id: "continuation-empty", once: func(a *attacker) error {
			return a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.fields(target)})
		}, again: func(a *attacker) error { return a.framer.WriteContinuation(1, false, nil) }},
		{id: "priority", again: func(a *attacker) error {
			a.stream += 2
			return a.framer.WritePriority(a.stream, http2.PriorityParam{StreamDep: 1, Weight: 3})
		}},
		{id: "window-update", again: func(a *attacker) error { return a.framer.WriteWindowUpdate(0, 1) }},
		{id: "unknown-frames", again: func(a *attacker) error { return a.framer.WriteRawFrame(0x77, 0, 0, nil) }},
		{id: "hpack-bomb", once: func(a *attacker) error {
			_ = a.fields(target)
			_ = a.encode.WriteField(hpack.HeaderField{Name: "x", Value: string(make([]byte, 3900))})
			return a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.head.Bytes(), EndStream: true, EndHeaders: true})
		}, again: func(a *attacker) error {
			a.stream += 2
			block := append(bytes.Clone(a.fields(target)), bytes.Repeat([]byte{0x80 | 62}, 8000)...)
			return a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: a.stream, BlockFragment: block, EndStream: true, EndHeaders: true})
		}},
		{id: "zero-window", settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}, once: func(a *attacker) error {
			for range 100 {
				if err := a.get("/1000000/zero"); err != nil {
					return err
				}
			}
			return nil
		}},
		{id: "streams", again: func(a *attacker) error {
			err := a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: a.stream, BlockFragment: a.fields(target), EndHeaders: true})
			a.stream += 2
			return err
		}},
	}
}

// run attacks for a while, and returns how long the first connection lived.
func (f flood) run(e *edge, host string) (lived time.Duration, err error) {
	began := time.Now()
	for time.Since(began) < floodTime {
		a, err := newAttacker(e, host, f.settings...)
		if err != nil {
			if lived > 0 {
				break // the edge has had enough of this address
			}
			return 0, err
		}
		f.attack(a, began)
		if lived == 0 {
			lived = time.Since(began)
		}
	}
	return lived, nil
}

// attack uses one connection until it ends or time is up.
func (f flood) attack(a *attacker, began time.Time) {
	var all sync.WaitGroup
	defer all.Wait()
	defer a.conn.Close()
	ended := make(chan struct{})
	if !f.deaf {
		all.Go(func() {
			_, _ = io.Copy(io.Discard, a.conn)
			close(ended)
		})
	}
	stop := time.AfterFunc(floodTime-time.Since(began), func() { _ = a.conn.Close() })
	defer stop.Stop()
	if f.once != nil && f.once(a) != nil {
		return
	}
	if a.out.flush() != nil {
		return
	}
	if f.again == nil {
		if f.deaf {
			time.Sleep(floodTime)
			return
		}
		<-ended
		return
	}
	for f.again(a) == nil {
		select {
		case <-ended:
			return
		default:
		}
	}
}

// goodViewer asks all the while, and returns its share of good answers when stopped.
func goodViewer(address, host string) (stop func() float64) {
	var asked, served atomic.Int64
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		v := viewer.New(address)
		defer v.Close()
		for {
			asked.Add(1)
			if a, err := v.Get(host, "/1000/good"); err == nil && a.Status == 200 && len(a.Body) == 1000 {
				served.Add(1)
			}
			select {
			case <-done:
				return
			case <-time.After(goodPause):
			}
		}
	})
	return func() float64 {
		close(done)
		all.Wait()
		return float64(served.Load()) / float64(asked.Load())
	}
}

// attacks runs floods one after the other, and slow peers all at once.
func attacks(t *testing.T, e *edge, r *results) {
	host := e.site(t, "attacks", startOrigin(t))
	for _, f := range floods() {
		before, cpu, began := e.held(t), e.CPU(t), time.Now()
		stop := goodViewer(e.HTTP, host)
		lived, err := f.run(e, host)
		served, took := stop(), time.Since(began)
		cpu, grown := e.CPU(t)-cpu, e.held(t)-before
		share := cpu.Seconds() / took.Seconds()
		switch {
		case err != nil:
		case lived > closedIn && share > mostCPU:
			err = fmt.Errorf("not ended within %v, and it takes %.0f %% of a processor", closedIn, 100*share)
		case grown > mostMemory:
			err = fmt.Errorf("memory grew by %.0f MB", grown/1e6)
		case served < leastServed:
			err = fmt.Errorf("a good viewer had %.1f %% of its answers", 100*served)
		}
		t.Logf("flood %s: the first connection lived %v, %.0f %% of a processor, %+.0f MB, good viewer %.1f %%", f.id, lived.Round(time.Millisecond), 100*share, grown/1e6, 100*served)
		r.add("flood-"+f.id, "", err)
	}
	slow(t, e, r, host)
}

func (e *edge) held(t *testing.T) float64 {
	anonymous, shared := e.Held(t)
	return anonymous + shared
}

// slowPeer sends begin, then drip every second. It has to be gone in time.
type slowPeer struct {
	id          string
	begin, drip string
	secure      bool // the bytes are not even those of TLS
}

func slowPeers() []slowPeer {
	return []slowPeer{
		{id: "idle"},
		{id: "idle-tls", secure: true},
		{id: "slow-tls", secure: true, begin: "\x16", drip: "\x03"},
		{id: "slow-line", begin: "G", drip: "E"},
		{id: "slow-head", begin: "GET /1000/slow HTTP/1.1\r\nHost: @HOST\r\n", drip: "X: y\r\n"},
		{id: "slow-body", begin: "POST /1000/slow HTTP/1.1\r\nHost: @HOST\r\nContent-Length: 1000\r\n\r\n"},
		{id: "slow-chunks", begin: "POST /1000/slow HTTP/1.1\r\nHost: @HOST\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{id: "kept-idle", begin: "GET /1000/slow HTTP/1.1\r\nHost: @HOST\r\n\r\n"},
	}
}

func slow(t *testing.T, e *edge, r *results, host string) {
	before := e.held(t)
	stop := goodViewer(e.HTTP, host)
	const each = 20
	var all sync.WaitGroup
	for _, p := range slowPeers() {
		all.Go(func() {
			var group sync.WaitGroup
			errs := make([]error, each)
			for i := range each {
				group.Go(func() { errs[i] = p.run(e, host) })
			}
			group.Wait()
			r.add("slow-"+p.id, "", errors.Join(errs...))
		})
	}
	all.Wait()
	served, grown := stop(), e.held(t)-before
	var err error
	if grown > mostMemory || served < leastServed {
		err = fmt.Errorf("memory grew by %.0f MB, a good viewer had %.1f %% of its answers", grown/1e6, 100*served)
	}
	r.add("slow-all-at-once", "", err)
}

// run returns nil when the edge ends the connection in time.
func (p slowPeer) run(e *edge, host string) error {
	address := e.HTTP
	if p.secure {
		address = e.HTTPS
	}
	conn, err := net.DialTimeout("tcp", address, closedIn)
	if err != nil {
		return err
	}
	defer conn.Close()
	began := time.Now()
	if err := conn.SetDeadline(began.Add(slowBound)); err != nil {
		return err
	}
	var all sync.WaitGroup
	defer all.Wait()
	ended := make(chan struct{})
	all.Go(func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, conn)
	})
	if _, err := conn.Write(bytes.ReplaceAll([]byte(p.begin), []byte("@HOST"), []byte(host))); err != nil {
		return err
	}
	for {
		select {
		case <-ended:
			if took := time.Since(began); took >= slowBound-100*time.Millisecond {
				return fmt.Errorf("still there after %v", slowBound)
			}
			return nil
		case <-time.After(time.Second):
			_, _ = io.WriteString(conn, p.drip) // the edge may be gone: then ended tells
		}
	}
}
