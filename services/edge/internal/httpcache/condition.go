// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Condition is the outcome of a request's preconditions. The zero value is
// unknown.
type Condition uint8

// The outcomes.
const (
	_ Condition = iota
	// Send: the answer goes out as it is stored.
	Send
	// NotModified: 304 with the header of NotModifiedHeader.
	NotModified
	// PreconditionFailed: 412.
	PreconditionFailed
)

// String returns the word for logs and metrics.
func (c Condition) String() string {
	switch c {
	case Send:
		return "send"
	case NotModified:
		return "not-modified"
	case PreconditionFailed:
		return "precondition-failed"
	default:
		return "unknown"
	}
}

// Evaluate applies the preconditions in the viewer's header req to a stored answer
// that may be used, in the order of RFC 9110 §13.2.2 (D14.2). Conditions count for
// GET and HEAD and for answers of success only (RFC 9110 §13.2.1). Not to be called
// unless the policy AnswersConditions. Of stored, RequestTime is not used. It allocates
// nothing unless a field has several lines.
func Evaluate(method string, req header.Fields, stored Response) Condition {
	if (method != "GET" && method != "HEAD") || stored.Status < 200 || stored.Status >= 300 {
		return Send
	}
	if list, ok := req.Joined("If-Match", ","); ok {
		if !matches(list, stored, strongMatch) {
			return PreconditionFailed
		}
	} else if unmodified, ok := unmodifiedSince(req, stored); ok && !unmodified {
		return PreconditionFailed
	}
	if list, ok := req.Joined("If-None-Match", ","); ok {
		if matches(list, stored, weakMatch) {
			return NotModified
		}
		return Send // If-Modified-Since counts only without If-None-Match
	}
	if modified, ok := modifiedSince(req, stored); ok && !modified {
		return NotModified
	}
	return Send
}

// matches says whether a list of entity tags, or "*", selects the stored answer.
func matches(list string, stored Response, match func(a, b entityTag) bool) bool {
	if strings.Trim(list, whitespace) == "*" {
		return true
	}
	have, ok := parseTag(stored.Header.Get("ETag"))
	return ok && anyTag(list, func(t entityTag) bool { return match(t, have) })
}

// modifiedSince says whether the stored answer is newer than the date in
// If-Modified-Since. ok is false when there is nothing to compare (RFC 9110 §13.1.3). An
// answer without Last-Modified is compared by when it was made (RFC 9111 §4.3.2), and
// then not within the same second, in which it may have changed.
func modifiedSince(req header.Fields, stored Response) (modified, ok bool) {
	since, ok := conditionDate("If-Modified-Since", req, stored)
	if !ok {
		return false, false
	}
	if at, ok := lastModified(stored); ok {
		return at.After(since), true
	}
	return !dateOf(stored).Before(since), true
}

// unmodifiedSince is the same for If-Unmodified-Since, which counts only where the
// answer has a Last-Modified (RFC 9110 §13.1.4).
func unmodifiedSince(req header.Fields, stored Response) (unmodified, ok bool) {
	since, ok := conditionDate("If-Unmodified-Since", req, stored)
	if !ok {
		return false, false
	}
	at, ok := lastModified(stored)
	return ok && !at.After(since), ok
}

// conditionDate returns the date in the named header: there has to be one line of it.
func conditionDate(name string, req header.Fields, stored Response) (time.Time, bool) {
	value, n := "", 0
	for i := range req {
		if header.Equal(req[i].Name, name) {
			value = req[i].Value
			n++
		}
	}
	if n != 1 {
		return time.Time{}, false
	}
	return ParseDate(value, stored.ResponseTime)
}

func lastModified(stored Response) (time.Time, bool) {
	line, ok := stored.Header.Lookup("Last-Modified")
	if !ok {
		return time.Time{}, false
	}
	return ParseDate(line, stored.ResponseTime)
}

// NotModifiedHeader returns the fields of a stored answer that a 304 for it has
// (D14.2, RFC 9110 §15.4.5). Last-Modified is among them only without an ETag: with
// one it tells the viewer nothing. Content-Length is not (D22.10).
func NotModifiedHeader(stored header.Fields) header.Fields {
	tagged := stored.Has("ETag")
	out := make(header.Fields, 0, len(stored))
	var room [longestKnown]byte
	for _, f := range stored {
		switch string(header.AppendLower(room[:0], f.Name)) {
		case "age", "cache-control", "content-location", "date", "etag", "expires", "vary":
			out = append(out, f)
		case "last-modified":
			if !tagged {
				out = append(out, f)
			}
		}
	}
	return out
}
