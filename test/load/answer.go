// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxHead bounds the head of an answer.
const maxHead = 64 << 10

// head is what the loop needs of the head of an answer.
type head struct {
	status int
	length int64 // of the body; -1 when there is no Content-Length
	size   int   // of the head itself
}

var (
	errUnfinished = errors.New("the head is not complete")
	headEnd       = []byte("\r\n\r\n")
	lengthName    = []byte("content-length:")
)

// parseHead reads the head of an answer at the start of b. It returns errUnfinished
// when more bytes are needed.
func parseHead(b []byte) (head, error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		if len(b) > maxHead {
			return head{}, fmt.Errorf("a head of more than %d bytes", maxHead)
		}
		return head{}, errUnfinished
	}
	h := head{length: -1, size: end + len(headEnd)}
	line, rest, _ := bytes.Cut(b[:end+2], []byte("\r\n"))
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return head{}, fmt.Errorf("not a status line: %.80q", line)
	}
	var err error
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return head{}, fmt.Errorf("not a status line: %.80q", line)
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if len(line) <= len(lengthName) || !bytes.EqualFold(line[:len(lengthName)], lengthName) {
			continue
		}
		h.length, err = strconv.ParseInt(string(bytes.TrimSpace(line[len(lengthName):])), 10, 64)
		if err != nil || h.length < 0 {
			return head{}, fmt.Errorf("not a length: %.80q", line)
		}
	}
	return h, nil
}

// hasBody says whether bytes follow the head.
func (h head) hasBody(asked []byte) bool {
	return !bytes.HasPrefix(asked, []byte("HEAD ")) && h.status != 204 && h.status != 304
}
