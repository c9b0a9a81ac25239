// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Vary is what the Vary of an answer amounts to: the names of the request fields that
// select it, in lower case and sorted, each once, with commas between. The zero value is
// an answer to every request. It is how HTTP semantics tell variants apart below one
// cache key; CloudFront semantics know only one (D13.17).
type Vary string

// VaryAny is an answer to no request but its own (RFC 9110 §12.5.5).
const VaryAny Vary = anyHeader

// anyHeader is the member of Vary that stands for everything.
const anyHeader = "*"

// maxVary bounds the fields that are told apart. An answer that names more of them is
// used for no other request: so much can only be wrong, or meant to fill the cache.
const maxVary = 16

// VaryOf reads the Vary of an answer. A member that is not the name of a field is taken
// for something that no request can match.
func VaryOf(h header.Fields) Vary {
	var names []string
	for i := range h {
		if !header.Equal(h[i].Name, "Vary") {
			continue
		}
		for name := range strings.SplitSeq(h[i].Value, ",") {
			name = strings.ToLower(strings.Trim(name, whitespace))
			switch {
			case name == "" || slices.Contains(names, name):
				continue
			case name == anyHeader || !isToken(name) || len(names) == maxVary:
				return VaryAny
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return Vary(strings.Join(names, ","))
}

// beyond is v without the fields that the cache key tells requests apart by.
func (v Vary) beyond(key interface{ Tells(field string) bool }) Vary {
	if key == nil || v == VaryAny {
		return v
	}
	var names []string
	for name := range v.Names {
		if !key.Tells(name) {
			names = append(names, name)
		}
	}
	return Vary(strings.Join(names, ","))
}

// Names yields the names.
func (v Vary) Names(yield func(name string) bool) {
	if v == "" || v == VaryAny {
		return
	}
	for name := range strings.SplitSeq(string(v), ",") {
		if !yield(name) {
			return
		}
	}
}

// AppendKey appends to a cache key what h, the request as the origin gets it, has in the
// fields of v (RFC 9111 §4.1). Two requests select the same variant if and only if what is
// appended is the same; nothing is appended for the zero Vary. It is no text, and each field
// takes at most its name and 256 bytes. It allocates nothing where b has room.
func (v Vary) AppendKey(b []byte, h header.Fields) []byte {
	for name := range v.Names {
		b = append(b, name...)
		b = appendSelecting(b, name, h)
	}
	return b
}

// Matches says whether a request with the header presented selects the answer to one with
// the header original.
func (v Vary) Matches(original, presented header.Fields) bool {
	if v == VaryAny {
		return false
	}
	if v == "" {
		return true
	}
	return string(v.AppendKey(nil, original)) == string(v.AppendKey(nil, presented))
}

// varyAny says whether Vary has the member "*" (RFC 9110 §12.5.5). To CloudFront semantics
// no other member has a part in whether and for how long an answer is stored (D13.17).
func varyAny(h header.Fields) bool {
	for _, line := range h.Values("Vary") {
		if listed(line, anyHeader) {
			return true
		}
	}
	return false
}

// editVary returns the line of Vary that viewers get, "" for none (D13.19), for
// S3 origins too (D13.20). A line that loses nothing keeps its spelling. HTTP semantics
// leave it as it is.
func editVary(line string, p Policy) string {
	if p.Semantics == HTTP {
		return line
	}
	var kept []string
	lost := false
	for name := range strings.SplitSeq(line, ",") {
		name = strings.Trim(name, whitespace)
		if name == "" {
			continue
		}
		if !varyKept(name, p) {
			lost = true
			continue
		}
		kept = append(kept, name)
	}
	if !lost && len(kept) > 0 {
		return line
	}
	return strings.Join(kept, ", ")
}

func varyKept(name string, p Policy) bool {
	switch strings.ToLower(name) {
	case anyHeader:
		// Only MinTTL > 0 sends "Vary: *" through D13.19 (D13.18). Else the origin
		// is asked each time, and caches behind us have to do the same.
		return p.Min == 0
	case "accept-encoding", "cookie":
		return true
	case "user-agent":
		return containsName(p.KeyedHeaders, name) || p.Forwarded.Forwards(name) || slices.ContainsFunc(p.KeyedHeaders, deviceHeader)
	default:
		return containsName(p.KeyedHeaders, name) || p.Forwarded.Forwards(name)
	}
}

// deviceHeader recognises the headers in which the edge says what device it takes
// the viewer for: <brand>-Is-<device>-Viewer (D10.2), under either brand. They are
// derived from User-Agent, so answers vary by that for anyone behind us.
func deviceHeader(name string) bool {
	_, kind, ok := strings.Cut(strings.ToLower(name), "-")
	return ok && strings.HasPrefix(kind, "is-") && strings.HasSuffix(kind, "-viewer")
}
