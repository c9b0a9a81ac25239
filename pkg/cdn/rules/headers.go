// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/brand"
	"github.com/seafront-cdn/seafront/pkg/cdn/secretfield"
)

// MaxCustomHeaders is how many custom headers an origin may have unless an installation
// says otherwise (C4.16).
const MaxCustomHeaders = 30

// Limits of the custom headers of one origin (C2.48, C4.17).
const (
	maxHeaderName  = 256
	maxHeaderValue = 1783
	maxHeaderBytes = 10240 // names and values together
)

// Kept says how long the secrets are that an update keeps because it leaves their
// values out, by their places (package secretfield); nil on create. A value that is
// left out is wrong unless it is in here.
type Kept map[string]int

// customHeader is either kind of origin's.
type customHeader interface {
	GetName() string
	GetValue() string
	GetClear() bool
}

// customHeaders checks the headers that an origin gets with each request. place is
// that of the list, for l.Kept; l is filled. No finding repeats a value: they are secrets (C5.24).
func customHeaders[H customHeader](f *findings, field, place string, headers []H, l Limits) {
	seen, size := map[string]int{}, 0
	for i, h := range headers[:f.count(field, ReasonTooManyCustomHeaders, len(headers), l.CustomHeaders)] {
		at, folded := fmt.Sprintf("%s[%d]", field, i), strings.ToLower(h.GetName())
		err := checkCustomName(folded)
		first, twice := seen[folded]
		if twice {
			err = fmt.Errorf("is %q, as %s[%d].name is already", h.GetName(), field, first)
		}
		f.wrap(at+".name", ReasonInvalid, err)
		seen[folded] = i
		stored, isStored := l.Kept[secretfield.Element(place, folded)+".value"]
		size += len(h.GetName()) + len(h.GetValue())
		switch {
		case h.GetClear() && h.GetValue() != "":
			f.add(at+".clear", ReasonInvalid, "is set beside a value; want one of them")
		case h.GetClear():
		case h.GetValue() != "":
			f.wrap(at+".value", ReasonInvalid, checkCustomValue(h.GetValue()))
		case isStored:
			size += stored
		default:
			f.add(at+".value", ReasonInvalid, "is empty, and none is stored for a header of this name; want a value, or clear for a header without one")
		}
	}
	if size > maxHeaderBytes {
		f.add(field, ReasonInvalid, "has names and values of %d bytes together, stored ones included; want at most %d", size, maxHeaderBytes)
	}
}

// checkCustomName checks a name in lower case (C5.21, D15.6). The header by which the
// edge tells the origin of a request is the edge's own, as Via is.
func checkCustomName(name string) error {
	switch {
	case name == "":
		return errors.New("is empty; want the name of a header")
	case len(name) > maxHeaderName:
		return fmt.Errorf("is %d bytes long; want at most %d", len(name), maxHeaderName)
	case !only(name, lower+digits+"!#$%&'*+-.^_`|~"):
		return fmt.Errorf("is %q, which is no name of a header; want letters, digits and !#$%%&'*+-.^_`|~", name)
	case strings.HasPrefix(name, "x-amz-"), strings.HasPrefix(name, "x-edge-"), name == strings.ToLower(brand.Seafront().RequestID):
		return fmt.Errorf("is %q, which only the CDN sends; want another name", name)
	}
	switch name {
	case "cache-control", "connection", "content-length", "cookie", "host", "if-match", "if-modified-since",
		"if-none-match", "if-range", "if-unmodified-since", "max-forwards", "pragma", "proxy-authenticate",
		"proxy-authorization", "proxy-connection", "range", "request-range", "te", "trailer", "transfer-encoding",
		"upgrade", "via", "x-real-ip":
		return fmt.Errorf("is %q, which cannot be set for an origin; want another name", name)
	}
	return nil
}

// checkCustomValue checks that a value arrives as it is: blanks at its ends would not
// (RFC 9110 §5.5).
func checkCustomValue(value string) error {
	switch {
	case len(value) > maxHeaderValue:
		return fmt.Errorf("is %d bytes long; want at most %d", len(value), maxHeaderValue)
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c > '~' }):
		return errors.New("has a line end, a control character or one beyond ASCII; want visible ASCII, spaces and tabs")
	case strings.Trim(value, " \t") != value:
		return errors.New("begins or ends with a blank, which would be lost on the way; want it without")
	}
	return nil
}
