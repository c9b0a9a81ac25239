// SPDX-License-Identifier: Apache-2.0

package cachekey

import (
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Class is the part of the key that Accept-Encoding makes (D11.16).
type Class uint8

// The classes. Plain covers policies that do not look at Accept-Encoding and
// viewers that list nothing that the policy enables.
const (
	_ Class = iota
	Plain
	Gzip
	Brotli
	BrotliGzip
)

var classWords = [...]string{"unknown", "", "gzip", "br", "br,gzip"}

// String is the value that goes into Accept-Encoding; empty for Plain.
func (c Class) String() string {
	if int(c) >= len(classWords) {
		return classWords[0]
	}
	return classWords[c]
}

// encode normalises Accept-Encoding by D11.16 and adds what the origin gets.
func (p *Policy) encode(in header.Fields, out *header.Fields) Class {
	if !p.gzip && !p.brotli {
		return Plain
	}
	value, ok := in.Joined("Accept-Encoding", ",")
	if !ok {
		return Plain
	}
	gzip, brotli := p.gzip && lists(value, "gzip"), p.brotli && lists(value, "br")
	class := Plain
	switch {
	case gzip && brotli:
		class = BrotliGzip
	case gzip:
		class = Gzip
	case brotli:
		class = Brotli
	default:
		out.Add("Accept-Encoding", "identity")
		return class
	}
	out.Add("Accept-Encoding", class.String())
	return class
}

// lists says whether an Accept-Encoding value takes a coding: by token, and not
// with the weight 0 (D11.17).
func lists(value, coding string) bool {
	for item := range strings.SplitSeq(value, ",") {
		token, params, _ := strings.Cut(item, ";")
		if strings.EqualFold(strings.Trim(token, " \t"), coding) {
			return !zeroWeight(params)
		}
	}
	return false
}

func zeroWeight(params string) bool {
	name, q, ok := strings.Cut(strings.ReplaceAll(params, " ", ""), "=")
	return ok && strings.EqualFold(name, "q") && strings.Trim(q, "0.") == "" && q != ""
}

// With is the key of the same request in another class.
func (k Key) With(c Class) Key { return k[:len(k)-1] + Key(rune(c)) }

// Stored is the class under which an answer to a request of class c is kept: a
// compressed answer belongs to those who take that coding (D11.18).
func (c Class) Stored(contentEncoding string) Class {
	if c != BrotliGzip {
		return c
	}
	switch {
	case strings.EqualFold(contentEncoding, "gzip"):
		return Gzip
	case strings.EqualFold(contentEncoding, "br"):
		return Brotli
	}
	return c
}

// Candidates are the classes whose objects may answer a request of class c. Among
// several the one stored first wins (D11.18).
func (c Class) Candidates() []Class {
	if c == BrotliGzip {
		return brotliGzipCandidates[:]
	}
	return nil
}

var brotliGzipCandidates = [...]Class{Gzip, Brotli}
