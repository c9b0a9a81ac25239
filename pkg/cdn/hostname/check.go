// SPDX-License-Identifier: Apache-2.0

package hostname

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// CheckAlias says what is wrong with a configured alias, and what would be right
// (C2.40, C2.41, C2.44): it is a lower-case DNS name of at least two labels, at
// most 253 bytes long, international names in their xn-- form. Its leftmost label
// may be "*" when two more follow (C2.344). It is neither the CDN's own base domain
// nor below it; an empty baseDomain forbids nothing. The text of the error
// continues a sentence that begins with the field.
func CheckAlias(alias, baseDomain string) error {
	name, wildcard := strings.CutPrefix(alias, "*.")
	switch {
	case alias == "":
		return errors.New("is empty; want a host name such as www.example.com")
	case len(alias) > maxName:
		return fmt.Errorf("is %d bytes long; want at most %d", len(alias), maxName)
	case strings.Contains(name, "*"):
		return errors.New("has a * that is not its whole leftmost label; want the form *.example.com")
	case strings.ContainsFunc(alias, isUpper):
		return fmt.Errorf("has upper-case letters; want %q", strings.ToLower(alias))
	}
	if err := checkName(name); err != nil {
		return err
	}
	if !strings.Contains(name, ".") {
		if wildcard {
			return fmt.Errorf("has one label behind the star; want at least two, as in *.%s.example", name)
		}
		return fmt.Errorf("has one label; want at least two, as in %s.example", name)
	}
	if base := strings.ToLower(baseDomain); base != "" && (name == base || strings.HasSuffix(name, "."+base)) {
		return fmt.Errorf("lies in %s, where this CDN generates its own names; want a name in a domain of yours", base)
	}
	return nil
}

// CheckHost says what is wrong with the host name of an origin, and what would be
// right (C2.46, C2.350): it is a DNS name in any case, at most 253 bytes long,
// without scheme, port or path, and no IP address. One label is enough.
func CheckHost(name string) error {
	switch {
	case name == "":
		return errors.New("is empty; want a host name such as origin.example.net")
	case strings.Contains(name, "://"):
		return errors.New("has a scheme; want the host name alone, the protocol has a field of its own")
	case strings.Contains(name, "/"):
		return errors.New("has a path; want the host name alone, the path has a field of its own")
	case len(name) > maxName:
		return fmt.Errorf("is %d bytes long; want at most %d", len(name), maxName)
	}
	return checkName(strings.ToLower(name))
}

// checkName checks a lower-case name of letters, digits and hyphens (C2.40).
func checkName(name string) error {
	if isAddress(name) {
		return errors.New("is an IP address; want a DNS name")
	}
	if strings.Contains(name, ":") {
		return errors.New("has a colon; want the host name alone, ports have fields of their own")
	}
	if strings.HasSuffix(name, ".") {
		return errors.New("ends with a dot; want it without")
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	return nil
}

func checkLabel(label string) error {
	if label == "" {
		return errors.New("has an empty label; want a letter or digit between any two dots")
	}
	if len(label) > maxLabel {
		return fmt.Errorf("has a label of %d bytes; want at most %d", len(label), maxLabel)
	}
	for _, c := range label {
		if c > 0x7f {
			return fmt.Errorf("has the character %q; want international names in their xn-- form", c)
		}
		if !isLower(byte(c)) && !isDigit(byte(c)) && c != '-' {
			return fmt.Errorf("has the character %q; want letters, digits and hyphens", c)
		}
	}
	if label[0] == '-' || label[len(label)-1] == '-' {
		return fmt.Errorf("has the label %q; want no hyphen at its ends", label)
	}
	return nil
}

func isUpper(c rune) bool { return 'A' <= c && c <= 'Z' }

// isAddress recognises every spelling of an address. What ends in a number is one
// for resolvers in the manner of inet_aton (127.1, 0x7f.1, 2130706433), and no top
// level domain is a number.
func isAddress(name string) bool {
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if digits, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
