// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

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
// (RFC 9111 §4.3.4): an entity tag of its own must be the stored one, and without tags a
// Last-Modified. Weak marks do not count, since they come and go on the way. What names
// no validator is taken at its word.
func Confirms(stored, notModified header.Fields) bool {
	have, ok := stored.Lookup("ETag")
	named, also := notModified.Lookup("ETag")
	if ok && also {
		return strings.TrimPrefix(have, "W/") == strings.TrimPrefix(named, "W/")
	}
	if ok || also {
		return true
	}
	have, ok = stored.Lookup("Last-Modified")
	named, also = notModified.Lookup("Last-Modified")
	return !ok || !also || have == named
}

// HeadEffect is what the answer to a HEAD request does to the stored answer to GET
// (RFC 9111 §4.3.5). The zero value is none.
type HeadEffect uint8

// The effects.
const (
	// HeadNothing: the two have nothing to do with each other.
	HeadNothing HeadEffect = iota
	// HeadUpdates: the stored answer is what the origin has. Merge refreshes it as a 304
	// does.
	HeadUpdates
	// HeadOutdates: the stored answer is another than the origin has, and is not to be
	// used without validation.
	HeadOutdates
)

// String returns the word for logs.
func (e HeadEffect) String() string {
	switch e {
	case HeadNothing:
		return "nothing"
	case HeadUpdates:
		return "updates"
	case HeadOutdates:
		return "outdates"
	default:
		return "unknown"
	}
}

// Freshen compares the answer to a HEAD request with the stored answer to GET that the
// same request selects. Only HTTP semantics know of it: in CloudFront semantics the one
// leaves the other as it is (D13.31). Both headers have been through ViewerHeader.
func Freshen(stored, head Response, p Policy) HeadEffect {
	if p.Semantics != HTTP || stored.Status != 200 || head.Status != 200 {
		return HeadNothing
	}
	for _, name := range [...]string{"ETag", "Last-Modified", "Content-Length"} {
		have, ok := stored.Header.Lookup(name)
		named, also := head.Header.Lookup(name)
		if ok && also && have != named {
			return HeadOutdates
		}
	}
	return HeadUpdates
}
