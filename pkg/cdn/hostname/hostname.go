// SPDX-License-Identifier: Apache-2.0

// Package hostname knows host names: the syntax of configured aliases and origin
// hosts, the form in which a viewer's Host is compared with them, and the
// wildcards that cover a name. It is pure, and what the request path calls does
// not allocate for names in their usual form. It resolves nothing and owns no
// table of names.
package hostname

import (
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const (
	maxName  = 253 // bytes of a whole name without the root dot (C2.40, C2.46)
	maxLabel = 63  // bytes of one label (C2.40)
)

// Fold makes the Host of a request comparable with configured names (D2.2): lower
// case, without a port, without one dot at the end. The second result is false for
// what cannot be a host at all: empty, longer than 253 bytes, an empty label, a
// character that no host has, a bad port or a bad IPv6 literal. An IPv6 literal
// keeps its brackets. A host that is already lower case costs no allocation.
//
// Fold is more generous than CheckAlias on purpose: a well-formed name that no
// distribution can own, such as a_b.example.com, may be covered by a wildcard and
// is otherwise unknown (D2.6), not malformed.
func Fold(host string) (string, bool) {
	if strings.HasPrefix(host, "[") {
		return foldLiteral(host)
	}
	name, port, hasPort := strings.Cut(host, ":")
	if hasPort && !isPort(port) {
		return "", false
	}
	name = strings.TrimSuffix(name, ".")
	if !isHost(name) {
		return "", false
	}
	return strings.ToLower(name), true
}

// foldLiteral folds an IPv6 address in brackets with an optional port.
func foldLiteral(host string) (string, bool) {
	end := strings.IndexByte(host, ']')
	if end < 0 {
		return "", false
	}
	if rest := host[end+1:]; rest != "" && (rest[0] != ':' || !isPort(rest[1:])) {
		return "", false
	}
	// A zone names an interface of the sender and means nothing here (RFC 9110 §4.2.1
	// takes IP-literal from RFC 3986, which has none).
	addr, err := netip.ParseAddr(host[1:end])
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", false
	}
	return strings.ToLower(host[:end+1]), true
}

// isHost says whether every label of name is there and holds only characters of
// RFC 3986's reg-name. Escapes are left out because no DNS name needs one, and *
// because configured wildcards are stored under names that hold it: a viewer must
// not be able to ask for a wildcard itself.
func isHost(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	afterDot := true
	for i := range len(name) {
		c := name[i]
		if c == '.' && afterDot {
			return false
		}
		if !isAlnum(c) && strings.IndexByte("-._~!$&'()+,;=", c) < 0 {
			return false
		}
		afterDot = c == '.'
	}
	return !afterDot
}

func isAlnum(c byte) bool {
	return isLower(c) || isDigit(c) || 'A' <= c && c <= 'Z'
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isPort accepts the digits behind a colon; none is legal (RFC 3986 §3.2.3).
func isPort(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	if s == "" {
		return true
	}
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// Parents yields the names X for which the wildcard "*.X" covers host, most
// specific first (D2.3, D2.5, C3.45): a wildcard stands for one or more whole
// labels and never for none, so host itself is not among them. The host is one
// that Fold has returned. Ranging over it does not allocate.
func Parents(host string) iter.Seq[string] {
	return func(yield func(string) bool) {
		_, rest, found := strings.Cut(host, ".")
		for found && yield(rest) {
			_, rest, found = strings.Cut(rest, ".")
		}
	}
}

// Reverse turns the order of the labels of an alias around: www.example.com
// becomes com.example.www, and *.example.com becomes com.example.*. In sorted keys
// a wildcard and the names that it covers are then neighbours (C8.30, C8.45).
func Reverse(alias string) string {
	labels := strings.Split(alias, ".")
	slices.Reverse(labels)
	return strings.Join(labels, ".")
}

// Unreverse gives the alias back that Reverse was called with.
func Unreverse(reversed string) string { return Reverse(reversed) }
