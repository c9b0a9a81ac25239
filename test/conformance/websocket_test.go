// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// socketCase is what a client sends over a WebSocket. What comes back through the edge
// has to be what comes back from the origin itself, byte for byte.
type socketCase struct {
	id     string
	target string        // default /
	fields string        // of the handshake, beside those that all have
	send   []byte        // after the handshake; a close frame follows
	early  bool          // in one write with the handshake
	slices int           // bytes of a write; 0: all at once
	open   bool          // no close frame follows: what is sent ends the connection
	half   bool          // after it the client's side of the connection ends
	pause  time.Duration // between two writes
}

// toEnd closes a connection in the way of RFC 6455 §7.1.1.
func toEnd() []byte { return frame(final|opClose, true, binary.BigEndian.AppendUint16(nil, 1000)) }

func socketCases() []socketCase {
	var out []socketCase
	add := func(id string, frames ...[]byte) {
		out = append(out, socketCase{id: id, send: bytes.Join(frames, nil)})
	}
	text := func(s string) []byte { return frame(final|opText, true, []byte(s)) }
	for _, n := range []int{0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537, 1_000_000} {
		payload := []byte(strings.Repeat("*", n))
		add(fmt.Sprintf("text-%d", n), frame(final|opText, true, payload))
		add(fmt.Sprintf("binary-%d", n), frame(final|opBinary, true, bytes.Repeat([]byte{0xfe}, n)))
		if n > 0 && n < 70_000 {
			out = append(out, socketCase{id: fmt.Sprintf("sliced-%d", n), send: frame(final|opText, true, payload), slices: max(1, n/50)})
		}
	}
	add("binary-8000000", frame(final|opBinary, true, make([]byte, 8_000_000)))
	for _, n := range []int{0, 1, 125} {
		add(fmt.Sprintf("ping-%d", n), frame(final|opPing, true, bytes.Repeat([]byte{0xff}, n)))
	}
	ten := bytes.Repeat(frame(final|opPing, true, []byte("ten")), 10)
	add("ping-10", ten)
	add("ping-126", frame(final|opPing, true, make([]byte, 126)))
	add("pong", frame(final|opPong, true, []byte("unasked")), frame(final|opPing, true, []byte("asked")))
	part := func(op byte, s string) []byte { return frame(op, true, []byte(s)) }
	add("fragments-2", part(opText, "one"), part(final|opContinuation, "two"))
	add("fragments-empty", part(opText, ""), part(opContinuation, ""), part(final|opContinuation, ""))
	add("fragments-ping", part(opText, "one"), frame(final|opPing, true, []byte("between")), part(final|opContinuation, "two"))
	add("fragments-many", part(opText, "x"), bytes.Repeat(part(opContinuation, "y"), 1000), part(final|opContinuation, "z"))
	add("fragments-binary", part(opBinary, strings.Repeat("b", 70_000)), part(final|opContinuation, strings.Repeat("c", 70_000)))
	add("fragment-without-begin", part(final|opContinuation, "x"))
	add("fragment-begun-twice", part(opText, "x"), part(opText, "y"))
	add("ping-fragmented", part(opPing, "x"))
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		add(fmt.Sprintf("opcode-%d", op), part(final|op, "x"))
	}
	for _, bit := range []byte{0x40, 0x20, 0x10} {
		add(fmt.Sprintf("reserved-%x", bit), part(final|bit|opText, "x"))
	}
	add("not-masked", frame(final|opText, false, []byte("x")))
	add("utf8", text("Hello-µ@ßöäüàá-UTF-8!!"), text("\u2000\U0001f30a"))
	add("utf8-split", part(opText, "\xce"), part(final|opContinuation, "\xba"))
	for i, bad := range []string{"\xce", "\xff", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80"} {
		add(fmt.Sprintf("utf8-bad-%d", i+1), text(bad))
	}
	add("messages-500", bytes.Repeat(text("small"), 500))
	add("messages-mixed", bytes.Repeat(append(text(strings.Repeat("m", 3000)), frame(final|opBinary, true, make([]byte, 100))...), 50))
	for _, code := range []uint16{0, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1016, 1100, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65_535} {
		out = append(out, socketCase{id: fmt.Sprintf("close-%d", code), open: true, send: frame(final|opClose, true, binary.BigEndian.AppendUint16(nil, code))})
	}
	out = append(out,
		socketCase{id: "close-empty", open: true, send: frame(final|opClose, true, nil)},
		socketCase{id: "close-one-byte", open: true, send: frame(final|opClose, true, []byte{3})},
		socketCase{id: "close-reason", open: true, send: frame(final|opClose, true, append([]byte{3, 0xe8}, "good bye"...))},
		socketCase{id: "close-reason-long", open: true, send: frame(final|opClose, true, append([]byte{3, 0xe8}, strings.Repeat("x", 123)...))},
		socketCase{id: "close-reason-too-long", open: true, send: frame(final|opClose, true, append([]byte{3, 0xe8}, strings.Repeat("x", 124)...))},
		socketCase{id: "close-reason-utf8", open: true, send: frame(final|opClose, true, []byte{3, 0xe8, 0xff})},
		socketCase{id: "close-then-more", open: true, send: append(toEnd(), text("late")...)},
		socketCase{id: "early", early: true, send: text("before the answer")},
		socketCase{id: "early-large", early: true, send: text(strings.Repeat("e", 100_000))},
		socketCase{id: "greeting", target: "/greet", send: text("hello")},
		socketCase{id: "protocol", fields: "Sec-WebSocket-Protocol: chat, superchat\r\n", send: text("x")},
		socketCase{id: "binary-16777216", send: frame(final|opBinary, true, make([]byte, 16<<20))},
		socketCase{id: "chopped-64", send: frame(final|opText, true, []byte(strings.Repeat("c", 256<<10))), slices: 64},
		socketCase{id: "chopped-1", send: bytes.Repeat(text("octets"), 40), slices: 1},
		socketCase{id: "chopped-slowly", send: bytes.Repeat(text("slow"), 4), slices: 1, pause: 30 * time.Millisecond},
		socketCase{id: "extensions", fields: "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; client_max_window_bits, x-other\r\n", send: text("x")},
		socketCase{id: "extensions-used", fields: "Sec-WebSocket-Extensions: permessage-deflate\r\n", send: part(final|0x40|opText, "\xf2H\xcd\xc9\xc9\x07\x00")},
		socketCase{id: "no-cache", fields: "Pragma: no-cache\r\nCache-Control: no-cache\r\nOrigin: http://other.test\r\nUser-Agent: x\r\n", send: text("x")},
		socketCase{id: "half-closed", half: true, open: true, send: text("last words")},
		socketCase{id: "half-closed-large", half: true, open: true, send: frame(final|opBinary, true, make([]byte, 3_000_000))},
		socketCase{id: "half-closed-in-frame", half: true, open: true, send: text("cut off")[:8]},
		socketCase{id: "half-closed-early", half: true, open: true, early: true, send: text("at once")},
		socketCase{id: "greeting-early", target: "/greet", early: true, send: text("both first")},
		socketCase{id: "refused", target: "/refuse", fields: "Connection: close\r\n", open: true},
	)
	return out
}

const socketBound = 6 * time.Second

// run returns all that comes back: the status line and what the client has to know of
// the handshake, then bytes until the end.
func (c socketCase) run(address, host string) (string, error) {
	conn, err := net.DialTimeout("tcp", address, socketBound)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(socketBound)); err != nil {
		return "", err
	}
	target := c.target
	if target == "" {
		target = "/"
	}
	hello := []byte("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" + c.fields + "\r\n")
	send := c.send
	if !c.open {
		send = append(bytes.Clone(send), toEnd()...)
	}
	if c.early {
		hello, send = append(hello, send...), nil
	}
	var all sync.WaitGroup
	defer all.Wait()
	defer conn.Close()
	if _, err := conn.Write(hello); err != nil && !c.early {
		return "", err
	}
	var got bytes.Buffer
	one := make([]byte, 1)
	for !bytes.HasSuffix(got.Bytes(), []byte("\r\n\r\n")) {
		if _, err := io.ReadFull(conn, one); err != nil {
			return "", fmt.Errorf("the handshake is not answered: %w", err)
		}
		got.Write(one)
	}
	head := handshake(got.String())
	all.Go(func() {
		c.write(conn, send)
		if tcp, ok := conn.(*net.TCPConn); ok && c.half {
			_ = tcp.CloseWrite() // the peer may have ended
		}
	})
	got.Reset()
	_, err = io.Copy(&got, conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", fmt.Errorf("the connection stays open for %v; %d bytes came", socketBound, got.Len())
	}
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		return "", err
	}
	return head + "\n" + got.String(), nil
}

// write sends bytes in slices; the peer may have ended.
func (c socketCase) write(conn net.Conn, b []byte) {
	n := c.slices
	if n == 0 {
		n = max(1, len(b))
	}
	for len(b) > 0 {
		m, err := conn.Write(b[:min(n, len(b))])
		if err != nil {
			return
		}
		b = b[m:]
		time.Sleep(c.pause) // a slow client
	}
}

// handshake is what a client looks at in the answer.
func handshake(head string) string {
	status, rest, _ := strings.Cut(head, "\r\n")
	if f := strings.Fields(status); len(f) > 1 {
		status = f[1]
	}
	out := []string{status}
	for _, line := range strings.Split(rest, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch name = strings.ToLower(name); name {
		case "upgrade", "connection", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions":
			if status == "101" {
				out = append(out, name+": "+strings.ToLower(strings.TrimSpace(value)))
			}
		}
	}
	return strings.Join(slices.Sorted(slices.Values(out)), "\n")
}

func websocket(t *testing.T, e *edge, r *results) {
	origin := startEcho(t)
	host := e.site(t, "websocket", origin.listener.Addr().String())
	const clients = 12
	queue := make(chan socketCase)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for c := range queue {
				r.add(c.id, "", c.compare(origin.listener.Addr().String(), e.HTTP, host))
			}
		})
	}
	for i, c := range socketCases() {
		if full() || i%sampleOf == 0 {
			queue <- c
		}
	}
	close(queue)
	all.Wait()
}

// compare runs a case at the origin itself and through the edge.
func (c socketCase) compare(origin, edge, host string) error {
	want, err := c.run(origin, host)
	if err != nil {
		return fmt.Errorf("at the origin itself: %w", err)
	}
	got, err := c.run(edge, host)
	if err == nil && got != want {
		err = fmt.Errorf("through the edge %d bytes %.100q, from the origin itself %d bytes %.100q", len(got), got, len(want), want)
	}
	return err
}
