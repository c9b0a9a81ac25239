// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// connectionFields concern one connection only (D15.2, D17.2). Those that begin
// with "Proxy-" do as well.
var connectionFields = [...]string{
	"Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
}

// hopByHop says whether a field is between two hops only: by its name, or because
// Connection, whose values are options, names it (D15.8, RFC 9110 §7.6.1).
func hopByHop(name, options string) bool {
	const proxy = "Proxy-"
	if len(name) > len(proxy) && header.Equal(name[:len(proxy)], proxy) {
		return true
	}
	for _, f := range connectionFields {
		if header.Equal(name, f) {
			return true
		}
	}
	return options != "" && names(options, name)
}

// connectionOptions is the list of the Connection fields of h.
func connectionOptions(h header.Fields) string {
	options, _ := h.Joined("Connection", ",")
	return options
}

// names says whether a list has an element, in any case.
func names(list, element string) bool {
	for x := range strings.SplitSeq(list, ",") {
		if header.Equal(strings.Trim(x, " \t"), element) {
			return true
		}
	}
	return false
}
