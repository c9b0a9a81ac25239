// SPDX-License-Identifier: Apache-2.0

// Package hostname knows the syntax of host names: configured aliases, origin
// hosts, and the Host that a viewer sends. It is pure and promises not to allocate
// on the request path.
package hostname

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
)

const (
	maxName  = 253 // bytes of a whole name
	maxLabel = 63  // bytes of one label
)

// CheckAlias says what is wrong with a configured alias (C2.40, C2.41, C2.44): it
// has to be a lower-case DNS name of at least two labels, whose leftmost label may
// be "*" when at least two more follow, and must not lie under baseDomain.
func CheckAlias(alias, baseDomain string) error {
	name := strings.TrimPrefix(alias, "*.") // a wildcard obeys the same rules behind its star
	switch {
	case alias == "":
		return errors.New("is empty; want a host name such as www.example.com")
	case strings.Contains(name, "*"):
		return errors.New("has a * that is not the whole leftmost label; want *.example.com")
	case alias != strings.ToLower(alias):
		return fmt.Errorf("has upper-case letters; want %q", clip(strings.ToLower(alias)))
	case len(alias) > maxName:
		return fmt.Errorf("is %d bytes long; at most %d", len(alias), maxName)
	case !strings.Contains(name, "."):
		return errors.New("has too few labels; want at least two, and two after *.")
	}
	if err := checkName(name); err != nil {
		return err
	}
	if baseDomain != "" && (name == baseDomain || strings.HasSuffix(name, "."+baseDomain)) {
		return fmt.Errorf("lies under %s, which belongs to the CDN itself", baseDomain)
	}
	return nil
}

// CheckHost says what is wrong with the host name of an origin (C2.46): a DNS name
// in any case, without scheme, port or path, and not an IP address.
func CheckHost(name string) error {
	switch {
	case name == "":
		return errors.New("is empty; want a host name such as origin.example.net")
	case strings.Contains(name, "://"):
		return errors.New("has a scheme; want the bare host name")
	case strings.Contains(name, "/"):
		return errors.New("has a path; want the bare host name")
	case strings.Contains(name, ":"):
		return errors.New("has a colon; want the bare host name, ports have their own fields")
	case len(name) > maxName:
		return fmt.Errorf("is %d bytes long; at most %d", len(name), maxName)
	}
	return checkName(strings.ToLower(name))
}

// checkName checks lower-case labels of letters, digits and hyphens.
func checkName(name string) error {
	if _, err := netip.ParseAddr(name); err == nil {
		return errors.New("is an IP address; want a DNS name")
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return errors.New("has an empty label or a dot at its end")
		case len(label) > maxLabel:
			return fmt.Errorf("has a label of %d bytes; at most %d", len(label), maxLabel)
		case label[0] == '-' || label[len(label)-1] == '-':
			return fmt.Errorf("has the label %q, which begins or ends with a hyphen", label)
		}
		for i := range len(label) {
			if c := label[i]; !isLabelByte(c) {
				return fmt.Errorf("has the character %q; labels hold a-z, 0-9 and hyphens (xn-- form for others)", rune(c))
			}
		}
	}
	return nil
}

func isLabelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-'
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80]
	}
	return s
}

// Fold makes the Host of a request comparable with configured names (D2.2): lower
// case, without a port and without one dot at the end. False means that it is no
// possible host. A host that is already in that form costs no allocation.
func Fold(host string) (string, bool) {
	name, ok := cutPort(host)
	if !ok {
		return "", false
	}
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > maxName {
		return "", false
	}
	upper := false
	for i := range len(name) {
		c := name[i]
		upper = upper || 'A' <= c && c <= 'Z'
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"#%/<>?@\^{|}`+"`", c) >= 0 {
			return "", false
		}
	}
	if upper {
		name = strings.ToLower(name)
	}
	return name, true
}

// cutPort removes ":port". An IPv6 literal keeps its brackets.
func cutPort(host string) (string, bool) {
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return "", false
		}
		return host[:end+1], host[end+1:] == "" || isPort(host[end+1:])
	}
	i := strings.IndexByte(host, ':')
	if i < 0 {
		return host, true
	}
	return host[:i], isPort(host[i:])
}

// isPort says whether s is a colon and at most five digits; none is legal in a Host.
func isPort(s string) bool {
	if s == "" || s[0] != ':' || len(s) > 6 {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Parents yields the names X for which the wildcard "*.X" covers host, the most
// specific first (D2.3, D2.5): never the host itself.
func Parents(host string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			i := strings.IndexByte(host, '.')
			if i < 0 || i+1 == len(host) {
				return
			}
			host = host[i+1:]
			if !yield(host) {
				return
			}
		}
	}
}

// Reverse turns the labels of a name around, so that in sorted keys a wildcard and
// what it covers are neighbours (C8.30).
func Reverse(name string) string {
	labels := strings.Split(name, ".")
	slices.Reverse(labels)
	return strings.Join(labels, ".")
}
