// SPDX-License-Identifier: Apache-2.0

package cachekey

import (
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Class is what a normalised Accept-Encoding adds to a key (D11.16).
type Class uint8

// The classes. The zero value is unknown; in keys it counts as Unkeyed.
const (
	_ Class = iota
	// Unkeyed: the policy does not look at the header, or the request has none.
	Unkeyed
	// Identity: the header lists no coding that the policy enables. Its key is that
	// of Unkeyed (D11.16); what the origin is asked for differs.
	Identity
	// Gzip: of the enabled codings the viewer takes gzip.
	Gzip
	// Brotli: of the enabled codings the viewer takes br.
	Brotli
	// BrotliGzip: the viewer takes either.
	BrotliGzip
)

// String returns the word for logs; where the origin is sent an Accept-Encoding it
// is also that value.
func (c Class) String() string {
	switch c {
	case Unkeyed:
		return "unkeyed"
	case Identity:
		return "identity"
	case Gzip:
		return "gzip"
	case Brotli:
		return "br"
	case BrotliGzip:
		return "br,gzip"
	}
	return "unknown"
}

// Candidates returns the classes whose objects may serve a request of class c, in
// the order of lookup. A viewer of both codings is served a gzip object if there is
// one, also beside a Brotli object; a viewer of gzip is never served a Brotli
// object (D11.18). The result is shared and must not be changed.
func (c Class) Candidates() []Class {
	if int(c) < len(candidates) {
		return candidates[c]
	}
	return candidates[Unkeyed]
}

// Classes returns the classes that keys tell apart. The result is shared and must not be
// changed.
func Classes() []Class { return keyed[:] }

var keyed = [...]Class{Unkeyed, Gzip, Brotli, BrotliGzip}

// candidates is indexed by Class and never written.
var candidates = [...][]Class{
	0:          {Unkeyed},
	Unkeyed:    {Unkeyed},
	Identity:   {Identity},
	Gzip:       {Gzip},
	Brotli:     {Brotli},
	BrotliGzip: {BrotliGzip, Gzip, Brotli},
}

// StoredClass returns the class under which an answer is stored that came for a
// request of class requested: the answer to a viewer of both codings belongs to
// the coding that it has, so that viewers of that coding alone find it (D11.18).
func StoredClass(requested Class, contentEncoding string) Class {
	if requested != BrotliGzip {
		return requested
	}
	switch coding := strings.Trim(contentEncoding, " \t"); {
	case strings.EqualFold(coding, "gzip"):
		return Gzip
	case strings.EqualFold(coding, "br"):
		return Brotli
	}
	return requested
}

// keyByte is the last byte of a key.
func (c Class) keyByte() byte {
	if c == Gzip || c == Brotli || c == BrotliGzip {
		return byte(c)
	}
	return byte(Unkeyed)
}

// acceptEncoding is what the origin is sent for the class, if anything (D11.16).
func (c Class) acceptEncoding() (string, bool) {
	if c == Unkeyed {
		return "", false
	}
	return c.String(), true
}

// class sorts a request by the table of D11.16.
func (p *Policy) class(in header.Fields) Class {
	if !p.gzip && !p.brotli {
		return Unkeyed
	}
	value, ok := in.Joined("Accept-Encoding", ",")
	if !ok {
		return Unkeyed
	}
	gzip := p.gzip && accepts(value, "gzip")
	brotli := p.brotli && accepts(value, "br")
	switch {
	case gzip && brotli:
		return BrotliGzip
	case gzip:
		return Gzip
	case brotli:
		return Brotli
	}
	return Identity
}

// accepts says whether an Accept-Encoding value lists a coding as a whole token. A
// weight of zero excludes it, also when it is listed a second time: to send plain
// content is always safe (D11.17).
func accepts(value, coding string) bool {
	listed := false
	for item := range strings.SplitSeq(value, ",") {
		token, params, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.Trim(token, " \t"), coding) {
			continue
		}
		if hasZeroWeight(params) {
			return false
		}
		listed = true
	}
	return listed
}

// hasZeroWeight finds q=0 among parameters, with or without decimals (RFC 9110
// §12.4.2).
func hasZeroWeight(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, weight, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.Trim(name, " \t"), "q") {
			continue
		}
		whole, decimals, _ := strings.Cut(strings.Trim(weight, " \t"), ".")
		if whole == "0" && strings.Trim(decimals, "0") == "" {
			return true
		}
	}
	return false
}
