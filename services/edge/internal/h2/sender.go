// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// maxWrite is how many bytes a viewer has to take within the stall time.
const maxWrite = 64 << 10

var (
	errLength = errors.New("body is not as long as announced")
	errStatus = errors.New("status cannot be sent")
)

// sender puts one answer on the wire.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	head    bool // the method is HEAD
	stall   time.Duration
	armed   time.Time // until when the deadline is
	// draining, when not nil, says whether the connection is to end with this answer.
	draining func() bool
	// whole says that the viewer has the answer, or will have it when ServeHTTP
	// returns.
	whole bool
}

var _ exchange.Sender = (*sender)(nil)

// Send sends the answer.
func (s *sender) Send(ctx context.Context, a *exchange.Answer) (sent int64, err error) {
	if a.Body.Stream != nil {
		defer a.Body.Stream.Close()
	}
	if a.Status < 200 || a.Status > 999 {
		return 0, fmt.Errorf("%w: %d", errStatus, a.Status)
	}
	if sent, err = s.send(ctx, a); err != nil {
		return sent, fmt.Errorf("send answer: %w", err)
	}
	s.whole = true
	return sent, nil
}

func (s *sender) send(ctx context.Context, a *exchange.Answer) (sent int64, err error) {
	s.fields(a)
	s.w.WriteHeader(a.Status)
	switch {
	case !s.bodyFor(a.Status):
		return 0, nil // no window is needed
	case a.Body.Stream != nil:
		return s.stream(ctx, a.Body)
	}
	if sent, err = s.write(a.Body.Bytes); err != nil {
		return sent, err
	}
	return complete(sent, a.Body.Size)
}

// stream sends each piece at once.
func (s *sender) stream(ctx context.Context, body exchange.Body) (sent int64, err error) {
	if err := s.control.Flush(); err != nil {
		return 0, err
	}
	for {
		piece, err := body.Stream.Next(ctx)
		if errors.Is(err, io.EOF) {
			return complete(sent, body.Size)
		}
		if err != nil {
			return sent, err
		}
		if body.Size >= 0 && piece.Size() > body.Size-sent {
			return sent, fmt.Errorf("%w: more than %d bytes", errLength, body.Size)
		}
		n, err := s.writePiece(piece)
		sent += n
		if err != nil {
			return sent, err
		}
	}
}

func complete(sent, size int64) (int64, error) {
	if size >= 0 && sent != size {
		return sent, fmt.Errorf("%w: %d of %d bytes", errLength, sent, size)
	}
	return sent, nil
}

// buffers are for pieces that lie in files.
var buffers = sync.Pool{New: func() any { return new([maxWrite]byte) }} //nolint:gochecknoglobals // memory that nobody owns

// writePiece sends a piece of a stream.
func (s *sender) writePiece(p exchange.Piece) (sent int64, err error) {
	if p.File == nil {
		for chunk := range slices.Chunk(p.Bytes, maxWrite) {
			n, err := s.writeThrough(chunk)
			sent += n
			if err != nil {
				return sent, err
			}
		}
		return sent, nil
	}
	buf := buffers.Get().(*[maxWrite]byte) //nolint:errcheck // the pool has nothing else
	defer buffers.Put(buf)
	for sent < p.Length {
		chunk := buf[:min(p.Length-sent, maxWrite)]
		if _, err := p.File.ReadAt(chunk, p.Offset+sent); err != nil {
			return sent, fmt.Errorf("read body: %w", err)
		}
		n, err := s.writeThrough(chunk)
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// writeThrough sends a chunk and returns when it is on its way. The stream is reset if
// that takes longer than the stall time. The time between two chunks does not count: a
// deadline of x/net would go on while an origin is waited for.
func (s *sender) writeThrough(chunk []byte) (int64, error) {
	reset := make(chan struct{})
	timer := time.AfterFunc(s.stall, func() {
		defer close(reset)
		_ = s.control.SetWriteDeadline(time.Unix(1, 0)) // one in the past resets the stream at once
	})
	n, err := s.w.Write(chunk)
	if err == nil {
		err = s.control.Flush()
	}
	if !timer.Stop() {
		<-reset // it must not outlive the exchange
	}
	return int64(n), err
}

// write sends what is all there, in parts that each have the stall time.
func (s *sender) write(chunk []byte) (sent int64, err error) {
	for part := range slices.Chunk(chunk, maxWrite) {
		s.arm()
		n, err := s.w.Write(part)
		sent += int64(n)
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// arm gives the viewer the stall time from now on, or at least half of it: a deadline
// costs a message to the goroutine of the connection. It holds for what x/net sends
// after the handler too.
func (s *sender) arm() {
	if now := time.Now(); s.armed.Sub(now) < s.stall/2 {
		s.armed = now.Add(s.stall)
		_ = s.control.SetWriteDeadline(s.armed) // when it fails the next write does too
	}
}

// bodyFor says whether the answer has a body on the wire (D22.10, D22.11).
func (s *sender) bodyFor(status int) bool {
	return !s.head && status != http.StatusNoContent && status != http.StatusNotModified
}

// fields fills x/net's header with what the answer holds and nothing else. The strings
// are copies: x/net may still be encoding them when the stream was reset and the answer
// is given back.
func (s *sender) fields(a *exchange.Answer) {
	h := s.w.Header()
	h["Date"], h["Content-Type"] = nil, nil // keeps x/net from adding its own
	size := len(a.Lines)
	for i := range a.Header {
		size += len(a.Header[i].Name) + len(a.Header[i].Value) + len(": \r\n")
	}
	lines := append(make([]byte, 0, size), a.Lines...)
	length := ""
	exchange.Split(exchange.AppendLines(lines, a.Header), func(field, value string) bool {
		switch name := spelled(field); name {
		case "Content-Length":
			length = value
		case "Connection", "Keep-Alive", "Proxy-Connection", "Trailer", "Transfer-Encoding", "Upgrade": // D17.3, RFC 9113 §8.2.2
		default:
			h[name] = append(h[name], value)
		}
		return true
	})
	switch {
	case s.bodyFor(a.Status):
		length = ""
		if a.Body.Size >= 0 {
			length = strconv.FormatInt(a.Body.Size, 10)
		}
	case !s.head:
		length = ""
	case length == "" && a.Body.Size > 0:
		length = strconv.FormatInt(a.Body.Size, 10)
	}
	if length != "" {
		h["Content-Length"] = []string{length}
	}
	if a.Close || s.draining != nil && s.draining() {
		h["Connection"] = []string{"close"} // x/net makes a GOAWAY of it
	}
}

// spelled returns the name as x/net looks it up, for the few names that it or this
// package treats specially. On the wire all are in lower case (D22.8).
func spelled(name string) string {
	for _, special := range [...]string{
		"Date", "Content-Type", "Content-Length", "Content-Encoding",
		"Connection", "Keep-Alive", "Proxy-Connection", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		if strings.EqualFold(name, special) {
			return special
		}
	}
	return name
}

// Interim passes an interim answer on.
func (s *sender) Interim(status int, h header.Fields) error {
	if status < 102 || status > 199 {
		return nil
	}
	to := s.w.Header()
	for _, f := range h {
		if name := spelled(f.Name); name != "Connection" {
			to[name] = append(to[name], f.Value)
		}
	}
	s.w.WriteHeader(status)
	clear(to)
	return nil
}

// Watch returns ctx: that of a stream ends when the viewer resets it or leaves.
func (s *sender) Watch(ctx context.Context) (watched context.Context, stop func()) {
	return ctx, func() {}
}
