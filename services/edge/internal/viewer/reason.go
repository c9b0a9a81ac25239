// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// statusHeaderTooLarge has no name in the registry; net/http would send it with an
// invented reason phrase.
const (
	statusHeaderTooLarge = 494
	reasonHeaderTooLarge = "Request header too large" // D4.6
)

// After such an answer the viewer may still be sending; closing at once would reset
// the connection before the answer is read.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

// sendByHand writes the answer to a request with too large a head past net/http, on
// an HTTP/1 connection that ends with it. HTTP/2 has no reason phrases.
func (s *sender) sendByHand(a *exchange.Answer) (sent int64, err error) {
	conn, _, err := s.control.Hijack()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(s.stall)); err != nil {
		return 0, err
	}
	var head strings.Builder
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", a.Status, reasonHeaderTooLarge)
	for name, value := range a.Fields {
		switch spelled(name) {
		case "Content-Length", "Connection", "Transfer-Encoding", "Trailer":
		default:
			fmt.Fprintf(&head, "%s: %s\r\n", name, value)
		}
	}
	fmt.Fprintf(&head, "Content-Length: %d\r\nConnection: close\r\n\r\n", a.Body.Size)
	if _, err := io.WriteString(conn, head.String()); err != nil {
		return 0, err
	}
	if !s.bodyFor(a.Status) {
		linger(conn)
		return 0, nil
	}
	n, err := conn.Write(a.Body.Bytes)
	sent += int64(n)
	if err != nil {
		return sent, err
	}
	linger(conn)
	return complete(sent, a.Body.Size)
}
