// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// Opcodes of WebSocket frames (RFC 6455 §5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
	final          = 0x80
	maxFrame       = 16 << 20
)

// frame is a frame as bytes; a masked one is a client's. first is the first byte.
func frame(first byte, masked bool, payload []byte) []byte {
	b := []byte{first}
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, mask|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(n))
	}
	if !masked {
		return append(b, payload...)
	}
	key := [4]byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

var errFrame = errors.New("a frame that no client may send")

// readFrame reads a client's frame.
func readFrame(in *bufio.Reader) (first byte, payload []byte, err error) {
	var h [2]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(h[1] & 0x7f)
	switch n {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(in, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(in, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return 0, nil, err
	}
	if h[1]&0x80 == 0 || h[0]&0x70 != 0 || n > maxFrame {
		return 0, nil, errFrame
	}
	var key [4]byte
	if _, err := io.ReadFull(in, key[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(in, payload); err != nil {
		return 0, nil, err
	}
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	return h[0], payload, nil
}

// echo is an origin that sends back every WebSocket message. The target /refuse is
// answered 403; /greet sends a message with the handshake.
type echo struct {
	listener net.Listener
	all      sync.WaitGroup
	mu       sync.Mutex // guards conns
	conns    map[net.Conn]bool
}

func startEcho(t *testing.T) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{listener: l, conns: map[net.Conn]bool{}}
	e.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			e.mu.Lock()
			e.conns[c] = true
			e.mu.Unlock()
			e.all.Go(func() {
				_ = e.serve(c) // a peer that has gone
				_ = c.Close()
				e.mu.Lock()
				delete(e.conns, c)
				e.mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		e.mu.Lock()
		for c := range e.conns {
			_ = c.Close()
		}
		e.mu.Unlock()
		e.all.Wait()
	})
	return e
}

func (e *echo) serve(c net.Conn) error {
	in := bufio.NewReaderSize(c, 64<<10)
	req, err := http.ReadRequest(in)
	if err != nil {
		return err
	}
	if req.URL.Path == "/refuse" || req.Header.Get("Upgrade") == "" {
		_, err := io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		return err
	}
	sum := sha1.Sum([]byte(req.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if p := req.Header.Get("Sec-Websocket-Protocol"); p != "" {
		answer += "Sec-WebSocket-Protocol: " + p + "\r\n"
	}
	if strings.HasPrefix(req.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate;") {
		answer += "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n" // which it does not know
	}
	answer += "\r\n"
	if req.URL.Path == "/greet" {
		answer += string(frame(final|opText, false, []byte("greetings")))
	}
	if _, err := io.WriteString(c, answer); err != nil {
		return err
	}
	return echoMessages(c, in)
}

// echoMessages answers frames until the connection ends or one is wrong.
func echoMessages(c net.Conn, in *bufio.Reader) error {
	var message []byte
	kind := byte(0)
	for {
		first, payload, err := readFrame(in)
		if errors.Is(err, errFrame) {
			return fail(c, 1002)
		}
		if err != nil {
			return err
		}
		op, whole := first&0x0f, first&final != 0
		switch {
		case op >= opClose && (!whole || len(payload) > 125), op == opContinuation && kind == 0, op != opContinuation && op < opClose && kind != 0, op > opPong, op > opBinary && op < opClose:
			return fail(c, 1002)
		case op == opPing:
			_, err = c.Write(frame(final|opPong, false, payload))
		case op == opPong:
		case op == opClose:
			return closing(c, payload)
		default:
			if op != opContinuation {
				kind, message = op, nil
			}
			if message = append(message, payload...); !whole {
				continue
			}
			if kind == opText && !utf8.Valid(message) {
				return fail(c, 1007)
			}
			_, err = c.Write(frame(final|kind, false, message))
			kind = 0
		}
		if err != nil {
			return err
		}
	}
}

// fail ends a connection with a code.
func fail(c net.Conn, code uint16) error {
	_, err := c.Write(frame(final|opClose, false, binary.BigEndian.AppendUint16(nil, code)))
	return err
}

// closing answers a close frame (RFC 6455 §5.5.1, §7.4).
func closing(c net.Conn, payload []byte) error {
	if len(payload) == 0 {
		_, err := c.Write(frame(final|opClose, false, nil))
		return err
	}
	if len(payload) == 1 {
		return fail(c, 1002)
	}
	code := binary.BigEndian.Uint16(payload)
	switch {
	case code < 1000, code >= 1004 && code <= 1006, code >= 1012 && code < 3000, code >= 5000:
		return fail(c, 1002)
	case !utf8.Valid(payload[2:]):
		return fail(c, 1007)
	}
	_, err := c.Write(frame(final|opClose, false, payload[:2]))
	return err
}
