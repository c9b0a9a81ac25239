// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// maxWrite is how many bytes a viewer has to take within the stall time.
const maxWrite = 64 << 10

var (
	errShort  = errors.New("body is shorter than announced")
	errStatus = errors.New("status cannot be sent")
)

// sender puts one answer on the wire.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	request *http.Request
	stall   time.Duration
	// draining, when not nil, says whether the connection is to end with this answer.
	draining func() bool
	// whole says that the viewer has the answer, or will have it when ServeHTTP
	// returns.
	whole bool
	// unframed says that the viewer can tell the end of the body only by the end of
	// the connection.
	unframed bool
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
	if a.Status == statusHeaderTooLarge && a.Close && a.Body.Stream == nil && s.request.ProtoMajor == 1 {
		sent, err = s.sendByHand(a)
	} else {
		sent, err = s.send(ctx, a)
	}
	if err != nil {
		return sent, fmt.Errorf("send answer: %w", err)
	}
	s.whole = true
	return sent, nil
}

func (s *sender) send(ctx context.Context, a *exchange.Answer) (sent int64, err error) {
	s.head(a)
	s.arm() // also for what net/http flushes after the handler
	s.w.WriteHeader(a.Status)
	switch {
	case !s.bodyFor(a.Status):
		return 0, nil
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
	s.unframed = body.Size < 0 && !s.request.ProtoAtLeast(1, 1)
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
		n, err := s.writePiece(piece)
		sent += n
		if err == nil {
			err = s.control.Flush()
		}
		if err != nil {
			return sent, err
		}
	}
}

func complete(sent, size int64) (int64, error) {
	if size >= 0 && sent != size {
		return sent, fmt.Errorf("%w: %d of %d bytes", errShort, sent, size)
	}
	return sent, nil
}

// writePiece sends a piece of a stream.
func (s *sender) writePiece(p exchange.Piece) (sent int64, err error) {
	if p.File == nil {
		return s.write(p.Bytes)
	}
	section := io.NewSectionReader(p.File, p.Offset, p.Length)
	buf := make([]byte, min(p.Length, maxWrite))
	for {
		n, err := section.Read(buf)
		sent += int64(n)
		if _, werr := s.write(buf[:n]); werr != nil {
			return sent, werr
		}
		switch {
		case err == io.EOF:
			return complete(sent, p.Length)
		case err != nil:
			return sent, err
		}
	}
}

// write sends a chunk in pieces that each have the whole stall time.
func (s *sender) write(chunk []byte) (sent int64, err error) {
	for len(chunk) > 0 {
		s.arm()
		n, err := s.w.Write(chunk[:min(len(chunk), maxWrite)])
		sent += int64(n)
		if err != nil {
			return sent, err
		}
		chunk = chunk[n:]
	}
	return sent, nil
}

// arm gives the viewer the stall time from now on.
func (s *sender) arm() {
	// It fails when the connection is gone; then the next write fails too.
	_ = s.control.SetWriteDeadline(time.Now().Add(s.stall))
}

// bodyFor says whether the answer has a body on the wire (D22.10, D22.11).
func (s *sender) bodyFor(status int) bool {
	return s.request.Method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified
}

// head fills net/http's header with what the answer holds and nothing else.
func (s *sender) head(a *exchange.Answer) {
	h := s.w.Header()
	h["Date"], h["Content-Type"] = nil, nil // keeps net/http from adding its own
	length := ""
	for field, value := range a.Fields {
		switch name := spelled(field); name {
		case "Content-Length":
			length = value
		case "Connection", "Transfer-Encoding", "Trailer": // of the connection: net/http's to decide
		default:
			h[name] = append(h[name], value)
		}
	}
	switch {
	case s.bodyFor(a.Status):
		length = ""
		if a.Body.Size >= 0 {
			length = strconv.FormatInt(a.Body.Size, 10)
		}
	case s.request.Method != http.MethodHead:
		length = ""
	case length == "" && a.Body.Size > 0:
		length = strconv.FormatInt(a.Body.Size, 10)
	}
	if length != "" {
		h["Content-Length"] = []string{length}
	}
	if s.leavesBody() {
		_ = s.control.SetReadDeadline(time.Now()) // net/http would wait for the body
	}
	leaves := s.draining != nil && s.draining() // on HTTP/2, net/http makes a GOAWAY of it
	if a.Close || s.leavesBody() || s.framingUnknown() || leaves {
		h["Connection"] = []string{"close"}
	}
}

// framingUnknown says that what follows on the connection may be the body of this
// request: net/http does not tell of Transfer-Encoding on HTTP/1.0, which is faulty
// (RFC 9112 §6.1). Without Connection such a connection ends by itself.
func (s *sender) framingUnknown() bool {
	return !s.request.ProtoAtLeast(1, 1) && len(s.request.Header["Connection"]) > 0
}

// leavesBody says that the request has a body on an HTTP/1 connection. Nobody reads
// it: the connection ends with the answer, so that a slow body holds nothing up.
func (s *sender) leavesBody() bool {
	return s.request.ProtoMajor == 1 && s.request.ContentLength != 0
}

// spelled returns the name as net/http looks it up, for the few names that it treats
// specially; others keep the spelling that they have (D22.8).
func spelled(name string) string {
	for _, special := range [...]string{"Date", "Content-Type", "Content-Length", "Content-Encoding", "Connection", "Transfer-Encoding", "Trailer"} {
		if strings.EqualFold(name, special) {
			return special
		}
	}
	return name
}

// Interim passes an interim answer on.
func (s *sender) Interim(status int, h header.Fields) error {
	if status < 102 || status > 199 || !s.request.ProtoAtLeast(1, 1) {
		return nil
	}
	to := s.w.Header()
	for _, f := range h {
		to[f.Name] = append(to[f.Name], f.Value)
	}
	s.w.WriteHeader(status)
	clear(to)
	return nil
}

// Watch returns ctx: net/http watches every connection.
func (s *sender) Watch(ctx context.Context) (watched context.Context, stop func()) {
	return ctx, func() {}
}

// abort ends a connection whose answer is not whole: HTTP/1.1 without the last chunk
// or byte, HTTP/2 by a reset of the stream. Where only the end of the connection ends
// the body, it is reset as well: an orderly end would look like success.
func (s *sender) abort() {
	if !s.unframed {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := s.control.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	inner := conn
	if secure, ok := conn.(*tls.Conn); ok {
		inner = secure.NetConn() // closed below TLS, so that no close_notify is sent
	}
	if c, ok := inner.(*guarded); ok {
		c.reset()
	}
	_ = inner.Close() // it is to break
}
