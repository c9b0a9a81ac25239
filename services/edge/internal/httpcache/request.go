// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Request is what a viewer's request tells the cache. Made with ParseRequest; the zero
// value with a Method is a request that says nothing.
type Request struct {
	Method string
	// NoCache: no stored answer without validation (RFC 9111 §5.2.1.4, §5.4).
	NoCache bool
	// NoStore: the answer is not to be stored (RFC 9111 §5.2.1.5).
	NoStore bool
	// OnlyIfCached: 504 rather than asking the origin (RFC 9111 §5.2.1.7).
	OnlyIfCached bool
	// MaxAge, MinFresh and MaxStale bound the answers that the viewer takes (RFC 9111
	// §5.2.1.1 to §5.2.1.3). A malformed one counts as 0. A max-stale without an argument
	// is one of MaxLifetime.
	MaxAge, MinFresh, MaxStale Delta
	// Authorized: the request has Authorization, so that a shared cache keeps the answer
	// only if the origin says so (RFC 9111 §3.5).
	Authorized bool
}

// ParseRequest reads a request by the rules of p. CloudFront semantics heed only the
// method (D4.13, D13.11). h is the viewer's header. Without Cache-Control and Pragma
// it allocates nothing, nor with directives in lower case.
func ParseRequest(method string, h header.Fields, p Policy) Request {
	r := Request{Method: method}
	if p.Semantics != HTTP {
		return r
	}
	controlled, pragma := false, false
	for i := range h {
		switch name := h[i].Name; {
		case header.Equal(name, "Cache-Control"):
			controlled = true
			r.control(h[i].Value)
		case header.Equal(name, "Pragma"):
			pragma = pragma || listed(h[i].Value, "no-cache")
		case header.Equal(name, "Authorization"):
			r.Authorized = true
		}
	}
	// Pragma counts only where nothing newer says what is meant (RFC 9111 §5.4).
	if pragma && !controlled {
		r.NoCache = true
	}
	return r
}

// control notes one line of Cache-Control.
func (r *Request) control(line string) {
	for line != "" {
		var d directive
		d, line = nextDirective(line)
		switch d.name {
		case "no-cache":
			r.NoCache = true
		case "no-store":
			r.NoStore = true
		case "only-if-cached":
			r.OnlyIfCached = true
		case "max-age":
			r.MaxAge.add(d.seconds())
		case "min-fresh":
			r.MinFresh.add(d.seconds())
		case "max-stale":
			if d.bare {
				r.MaxStale.add(MaxLifetime, true)
				continue
			}
			r.MaxStale.add(d.seconds())
		}
	}
}

// Uses says whether the request may be answered from the cache and its answer kept: by
// GET or HEAD, while caching is on (D13.3, D13.13, RFC 9111 §3).
func (r Request) Uses(p Policy) bool {
	return (r.Method == "GET" || r.Method == "HEAD") && !p.Disabled()
}

// Joins says whether the request may wait for an answer that another has asked for, and
// others for the one that it asks for. One that wants validation asks for itself (RFC 9111
// §5.2.1.4), as one does that takes no answer of any age; and what is asked for with
// Authorization or no-store is most likely nothing that others may have.
func (r Request) Joins(p Policy) bool {
	own := r.NoCache || r.NoStore || r.Authorized || r.MaxAge.Present && r.MaxAge.Value == 0
	return p.Collapses() && !own
}

// listed says whether a comma-separated value has that member, in any case.
func listed(value, member string) bool {
	for name := range strings.SplitSeq(value, ",") {
		if strings.EqualFold(strings.Trim(name, whitespace), member) {
			return true
		}
	}
	return false
}
