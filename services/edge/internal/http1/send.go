// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

var (
	errTwice  = errors.New("request is answered twice")
	errLength = errors.New("body is not as long as announced")
	errStatus = errors.New("status cannot be sent")
	errTunnel = errors.New("viewer has not asked for another protocol")
)

var _ exchange.Sender = (*conn)(nil)

// Send sends the answer.
func (c *conn) Send(ctx context.Context, a *exchange.Answer) (sent int64, err error) {
	if a.Body.Stream != nil {
		defer a.Body.Stream.Close()
	}
	if err := c.begin(a); err != nil {
		return 0, fmt.Errorf("send answer: %w", err)
	}
	if a.Tunnel != nil {
		sent, err = c.tunnel(ctx, a)
	} else {
		sent, err = c.send(ctx, a)
	}
	if err != nil {
		return sent, fmt.Errorf("send answer: %w", err)
	}
	c.answer.whole = true
	return sent, nil
}

// begin checks the answer, decides its framing, and ends interim answers.
func (c *conn) begin(a *exchange.Answer) error {
	switch {
	case c.answer.begun:
		return errTwice
	case a.Tunnel != nil && (a.Status != 101 || c.Upgrade == ""):
		return errors.Join(errTunnel, a.Tunnel.Close())
	case a.Tunnel == nil && (a.Status < 200 || a.Status > 999):
		return fmt.Errorf("%w: %d", errStatus, a.Status)
	case a.Body.Stream == nil && a.Body.Size != int64(len(a.Body.Bytes)) && c.Method != "HEAD":
		return fmt.Errorf("%w: %d of %d bytes", errLength, len(a.Body.Bytes), a.Body.Size)
	}
	if c.HasBody {
		c.answer.mu.Lock()
		defer c.answer.mu.Unlock()
	}
	c.answer.begun = true
	c.frame(a)
	return nil
}

func (c *conn) send(ctx context.Context, a *exchange.Answer) (sent int64, err error) {
	head := c.appendHead(c.work.out[:0], a)
	switch {
	case c.answer.framing == noBody:
		return 0, c.putHead(head)
	case a.Body.Stream == nil:
		return c.put(head, a.Body.Bytes, nil)
	}
	sent, err = c.stream(ctx, head, a.Body)
	c.quiet = c.now() // an answer that took its time is not idleness
	return sent, err
}

// stream sends each piece at once. The head does not wait for the first, unless that
// is there.
func (c *conn) stream(ctx context.Context, head []byte, body exchange.Body) (sent int64, err error) {
	if !exchange.Ready(body.Stream) {
		if err := c.putHead(head); err != nil {
			return 0, err
		}
		head = nil
	}
	for {
		piece, err := body.Stream.Next(ctx)
		if errors.Is(err, io.EOF) {
			return sent, c.endStream(head, sent, body.Size)
		}
		if err != nil {
			return sent, err
		}
		if body.Size >= 0 && piece.Size() > body.Size-sent {
			// None of it goes out: with it, the viewer would take the answer for whole.
			return sent, fmt.Errorf("%w: more than %d bytes", errLength, body.Size)
		}
		n, err := c.putPiece(head, piece)
		sent += n
		if err != nil {
			return sent, err
		}
		head = nil
	}
}

// endStream sends what is left to send after the last piece.
func (c *conn) endStream(head []byte, sent, size int64) error {
	if size >= 0 && sent != size {
		return fmt.Errorf("%w: %d of %d bytes", errLength, sent, size)
	}
	if c.answer.framing == byChunks {
		head = append(head, "0\r\n\r\n"...)
	}
	if len(head) == 0 {
		return nil
	}
	return c.putHead(head)
}

// putPiece sends a piece behind a head or nothing.
func (c *conn) putPiece(head []byte, p exchange.Piece) (sent int64, err error) {
	var tail []byte
	if c.answer.framing == byChunks {
		if head == nil {
			head = c.work.out[:0]
		}
		head = strconv.AppendInt(head, p.Size(), 16)
		head = append(head, "\r\n"...)
		tail = []byte("\r\n")
	}
	if p.File == nil {
		return c.put(head, p.Bytes, tail)
	}
	if sent, err = c.putFile(head, p); err == nil && tail != nil {
		_, err = c.write(tail)
	}
	return sent, err
}

// Interim passes an interim answer on (RFC 9110 §15.2).
func (c *conn) Interim(status int, h header.Fields) error {
	if status < 102 || status > 199 || c.Minor == 0 {
		return nil
	}
	b := appendStatus(c.work.out[:0], status)
	for i := range h {
		if owned(h[i].Name) == notOwn {
			b = exchange.AppendLine(b, h[i].Name, h[i].Value)
		}
	}
	return c.interim(append(b, "\r\n"...))
}

// goOn tells a viewer that waits with its body to send it. The writing goroutine may
// be another one, so that nothing of c.work is used.
func (c *conn) goOn() error { return c.interim([]byte("HTTP/1.1 100 Continue\r\n\r\n")) }

// interim sends an interim answer, unless the answer has begun.
func (c *conn) interim(b []byte) error {
	if c.HasBody {
		c.answer.mu.Lock()
		defer c.answer.mu.Unlock()
	}
	if c.answer.begun {
		return nil
	}
	if _, err := c.write(b); err != nil {
		return fmt.Errorf("send interim answer: %w", err)
	}
	return nil
}
