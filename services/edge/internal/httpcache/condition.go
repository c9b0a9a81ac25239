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
// GET and HEAD and for answers of success only (RFC 9110 §13.2.1). In behaviors that
// forward cookies it is not to be called: these answer no conditions (D14.4). Of
// stored, RequestTime is not used.
func Evaluate(method string, req header.Fields, stored Response) Condition {
	if (method != "GET" && method != "HEAD") || stored.Status < 200 || stored.Status >= 300 {
		return Send
	}
	if list, ok := req.Joined("If-Match", ","); ok {
		if !matches(list, stored, strongMatch) {
			return PreconditionFailed
		}
	} else if unmodified, ok := compareDates("If-Unmodified-Since", req, stored); ok && !unmodified {
		return PreconditionFailed
	}
	if list, ok := req.Joined("If-None-Match", ","); ok {
		if matches(list, stored, weakMatch) {
			return NotModified
		}
		return Send // If-Modified-Since counts only without If-None-Match
	}
	if unmodified, ok := compareDates("If-Modified-Since", req, stored); ok && unmodified {
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

// compareDates says whether the stored answer is unmodified since the date in the
// named header. ok is false when there is nothing to compare: no such header, more
// than one, no date in it, or no Last-Modified in the answer (RFC 9110 §13.1.3,
// §13.1.4).
func compareDates(name string, req header.Fields, stored Response) (unmodified, ok bool) {
	if !req.Has(name) {
		return false, false
	}
	lines := req.Values(name)
	since, ok := ParseDate(lines[0], stored.ResponseTime)
	if !ok || len(lines) > 1 {
		return false, false
	}
	modified, ok := lastModified(stored)
	return ok && !modified.After(since), ok
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
	for _, f := range stored {
		switch strings.ToLower(f.Name) {
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

// ValidationFields returns the conditional fields with which a stored answer is
// validated: If-None-Match, If-Modified-Since, both, or none if it has no validators
// (D14.5). They take the place of all conditional fields of the viewer's. Validators
// are sent as they came, byte for byte. Not to be used when the Assessment said
// NoCondition (D13.18, D14.4).
func ValidationFields(stored header.Fields) header.Fields {
	var out header.Fields
	if tag := stored.Get("ETag"); tag != "" {
		out.Add("If-None-Match", tag)
	}
	if date := stored.Get("Last-Modified"); date != "" {
		out.Add("If-Modified-Since", date)
	}
	return out
}

// Confirms says whether a 304 speaks of the stored answer that it was asked about
// (RFC 9111 §4.3.4): an entity tag of its own must be the stored one. Weak marks do
// not count, since they come and go on the way. What names no tag is taken at its
// word.
func Confirms(stored, notModified header.Fields) bool {
	have, ok := stored.Lookup("ETag")
	named, also := notModified.Lookup("ETag")
	if !ok || !also {
		return true
	}
	return strings.TrimPrefix(have, "W/") == strings.TrimPrefix(named, "W/")
}
