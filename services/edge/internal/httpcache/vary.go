// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// anyHeader is the member of Vary that stands for everything.
const anyHeader = "*"

// varyAny says whether Vary has the member "*" (RFC 9110 §12.5.5). No other member
// has a part in whether and for how long an answer is stored (D13.17).
func varyAny(h header.Fields) bool {
	for _, line := range h.Values("Vary") {
		for name := range strings.SplitSeq(line, ",") {
			if strings.Trim(name, whitespace) == anyHeader {
				return true
			}
		}
	}
	return false
}

// editVary returns the line of Vary that viewers get, "" for none (D13.19), for
// S3 origins too (D13.20). A line that loses nothing keeps its spelling.
func editVary(line string, p Policy) string {
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
		return containsName(p.KeyedHeaders, name) || slices.ContainsFunc(p.KeyedHeaders, deviceHeader)
	default:
		return containsName(p.KeyedHeaders, name)
	}
}

// deviceHeader recognises the headers in which the edge says what device it takes
// the viewer for: <brand>-Is-<device>-Viewer (D10.2), under either brand. They are
// derived from User-Agent, so answers vary by that for anyone behind us.
func deviceHeader(name string) bool {
	_, kind, ok := strings.Cut(strings.ToLower(name), "-")
	return ok && strings.HasPrefix(kind, "is-") && strings.HasSuffix(kind, "-viewer")
}
