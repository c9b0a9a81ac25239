// SPDX-License-Identifier: Apache-2.0

package byterange

import (
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
)

// IfRange says whether the Range of a request counts: it has no If-Range, or one that is
// the strong validator of the stored answer, an entity tag or a date (D19.7, RFC 9110
// §13.1.5). received is when that answer came. Several If-Range fields hold for nothing.
func IfRange(request, stored header.Fields, received time.Time) bool {
	value, n := "", 0
	for i := range request {
		if header.Equal(request[i].Name, "If-Range") {
			value = request[i].Value
			n++
		}
	}
	if n != 1 {
		return n == 0
	}
	if tag, ok := stored.Lookup("ETag"); ok && isStrongTag(tag) && tag == value {
		return true
	}
	modified, ok := stored.Lookup("Last-Modified")
	return ok && modified == value && strongDate(modified, stored, received)
}

// Strong says whether an answer has a validator by which parts of it may be put together,
// and which (D19.9, RFC 9111 §3.4): an entity tag, else a date.
func Strong(stored header.Fields, received time.Time) (validator string, ok bool) {
	if tag, ok := stored.Lookup("ETag"); ok {
		return tag, isStrongTag(tag)
	}
	modified, ok := stored.Lookup("Last-Modified")
	return modified, ok && strongDate(modified, stored, received)
}

// isStrongTag says whether s is an entity tag that is not weak (RFC 9110 §8.8.3).
func isStrongTag(s string) bool {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return false
	}
	return strings.IndexFunc(s[1:len(s)-1], func(c rune) bool { return c <= ' ' || c == '"' || c == 0x7f }) < 0
}

// strongDate says whether Last-Modified is strong: older than the answer by a second at
// least, so that it cannot have changed again under the same date (RFC 9110 §8.8.2.2).
func strongDate(modified string, stored header.Fields, received time.Time) bool {
	at, ok := httpcache.ParseDate(modified, received)
	date, also := httpcache.ParseDate(stored.Get("Date"), received)
	return ok && also && date.Sub(at) >= time.Second
}
