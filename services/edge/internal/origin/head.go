// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"bufio"
	"bytes"
	"errors"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// head is the status line and the fields of an answer, as they came.
type head struct {
	minor  int
	status int
	fields header.Fields
}

// maxInterim is how many interim answers may come before the final one. Together
// they may be as long as one head.
const maxInterim = 32

// readFinalHead reads heads up to that of the final answer, or of 101 where upgrade
// says that it was asked for. Interim, unless it is nil, gets those before it.
func readFinalHead(in *bufio.Reader, limit int, upgrade bool, interim func(int, header.Fields)) (head, error) {
	continued := false
	left := limit // of what interim answers may take
	for range maxInterim + 1 {
		h, size, err := readHead(in, limit)
		if err != nil {
			return head{}, err
		}
		left -= size
		switch {
		case h.status >= 200, h.status == 101 && upgrade:
			return h, nil
		case h.status == 101:
			return head{}, fault(Invalid, "the origin switches protocols unasked")
		case left < 0:
			return head{}, fault(HeaderTooBig, "interim answers exceed %d bytes", limit)
		case h.status == 100 && continued && interim == nil:
			// D17.11: one 100 Continue is allowed; others, 103 among them, are dropped.
			return head{}, fault(Invalid, "a second 100 Continue")
		case h.status != 100 && interim != nil:
			endToEnd(&h.fields)
			h.fields.Del("Content-Length") // there is none (RFC 9110 §8.6)
			interim(h.status, h.fields)
		}
		continued = continued || h.status == 100
	}
	return head{}, fault(Invalid, "more than %d interim answers", maxInterim)
}

// readHead reads one head of at most limit bytes (D17.13) and tells its size.
func readHead(in *bufio.Reader, limit int) (head, int, error) {
	if _, err := in.Peek(1); err != nil { // fills the buffer
		return head{}, 0, readFault(err, Truncated)
	}
	if block := buffered(in); len(block) > 0 && len(block) <= limit {
		h, err := parseHead(string(block))
		_, _ = in.Discard(len(block)) // it is in the buffer
		return h, len(block), err
	}
	block := make([]byte, 0, 1024)
	for begin := 0; ; {
		part, err := in.ReadSlice('\n')
		if len(block)+len(part) > limit {
			return head{}, 0, fault(HeaderTooBig, "head exceeds %d bytes", limit)
		}
		block = append(block, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return head{}, 0, readFault(err, Truncated)
		}
		// An empty line ends the head; one that ends in a bare LF is refused below.
		if n := len(block) - begin; n == 1 || n == 2 && block[begin] == '\r' {
			h, err := parseHead(string(block))
			return h, len(block), err
		}
		begin = len(block)
	}
}

// buffered returns the head that lies whole in the buffer, as most do, or nil.
func buffered(in *bufio.Reader) []byte {
	b, err := in.Peek(in.Buffered())
	if err != nil {
		return nil
	}
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return nil
	}
	return b[:end+len("\r\n\r\n")] // an end by a bare LF before it is refused anyway
}

// parseHead parses a head with the empty line that ends it. The fields share the
// memory of block.
func parseHead(block string) (head, error) {
	line, rest, err := cutLine(block)
	if err != nil {
		return head{}, err
	}
	h, err := parseStatusLine(line)
	if err != nil {
		return head{}, err
	}
	h.fields = make(header.Fields, 0, strings.Count(rest, "\n"))
	for {
		if line, rest, err = cutLine(rest); err != nil {
			return head{}, err
		}
		if line == "" {
			break
		}
		f, err := parseField(line)
		if err != nil {
			return head{}, err
		}
		h.fields = append(h.fields, f)
	}
	if rest != "" {
		return head{}, fault(Invalid, "bytes after the end of the head")
	}
	return h, nil
}

// cutLine splits off the first line. Only CRLF ends one: RFC 9112 §2.2 lets a
// bare LF pass, but two readers that differ about it see two different answers.
func cutLine(s string) (line, rest string, err error) {
	i := strings.IndexByte(s, '\n')
	if i < 0 {
		return "", "", fault(Invalid, "a line without an end")
	}
	if i == 0 || s[i-1] != '\r' {
		return "", "", fault(Invalid, "a line ends in a bare LF")
	}
	return s[:i-1], s[i+1:], nil
}

// parseStatusLine takes "HTTP/1.x NNN reason". The space before an empty reason
// may be missing, as it is with many servers (RFC 9112 §4 wants it).
func parseStatusLine(line string) (head, error) {
	const version = "HTTP/1."
	if len(line) < len("HTTP/1.1 200") || line[:len(version)] != version || line[8] != ' ' {
		return head{}, fault(Invalid, "not an HTTP/1 status line")
	}
	minor, code, reason := line[7], line[9:12], line[12:]
	if !isDigit(minor) || !isDigit(code[0]) || !isDigit(code[1]) || !isDigit(code[2]) {
		return head{}, fault(Invalid, "not a number in the status line")
	}
	status := int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	if status < 100 {
		return head{}, fault(Invalid, "status %d", status)
	}
	if reason != "" && reason[0] != ' ' || !isFieldValue(reason) {
		return head{}, fault(Invalid, "bad reason phrase")
	}
	return head{minor: int(minor - '0'), status: status}, nil
}

// parseField takes "name: value". White space before the colon, a folded line and
// control characters are refused (RFC 9112 §5.1, §5.2; RFC 9110 §5.5).
func parseField(line string) (header.Field, error) {
	if line[0] == ' ' || line[0] == '\t' {
		return header.Field{}, fault(Invalid, "a folded field line")
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return header.Field{}, fault(Invalid, "a field line without a colon")
	}
	if !isToken(name) {
		return header.Field{}, fault(Invalid, "bad field name")
	}
	value = strings.Trim(value, " \t")
	if !isFieldValue(value) {
		return header.Field{}, fault(Invalid, "control character in field %s", name)
	}
	return header.Field{Name: name, Value: value}, nil
}

// isFieldValue says whether s has only what a field value may have: no control
// character but the tab (RFC 9110 §5.5).
func isFieldValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// isToken says whether s is a token (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && !isDigit(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
