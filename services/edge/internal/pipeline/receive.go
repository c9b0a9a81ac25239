// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/cdnloop"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

const badRequest = "Bad request."

// limits are those of D4.5 in bytes.
type limits struct{ header, url int }

// receive asks: what did the viewer send? It pins the configuration and refuses what
// is too long (D4.5, D4.6), has a target with bytes that no target has (D4.12), or
// names no host (D2.6).
func (p *Pipeline) receive(_ context.Context, x *visit) bool {
	x.era = p.Invalidations.Era()
	x.config = p.Snapshots.Current()
	r := x.req
	x.path, x.query, _ = strings.Cut(r.Target, "?")
	switch {
	case len(r.Scheme)+len("://")+len(r.Host)+len(r.Target) > p.limits.url:
		x.refuseAs(exchange.URLTooLong)
		x.reply.closing = true
		return true
	case headSize(r) > p.limits.header:
		x.refuseAs(exchange.HeadTooLarge)
		x.reply.closing = true
		return true
	// The target of a method that is not known may be of another form; admit refuses it
	// in any case (D4.1).
	case knownMethod(r.Method) && !isTarget(r.Target):
		return x.refuse(400, badRequest)
	case r.Host == "" && (r.Major > 1 || r.Major == 1 && r.Minor >= 1):
		return x.refuse(400, badRequest)
	}
	if cdnloop.Refused(r.Header, p.Brand.ViaDomain) {
		return x.refuse(403, "This request has passed through too many distributions.")
	}
	x.header = endToEnd(r.Header)
	return false
}

// headSize is the length of request line and header as HTTP/1.1 writes them.
func headSize(r *exchange.Request) int {
	const line, field = len("  HTTP/1.1\r\n"), len(": \r\n")
	n := len(r.Method) + len(r.Target) + line
	if r.Host != "" {
		n += len("Host") + len(r.Host) + field
	}
	for i := range r.Header {
		n += len(r.Header[i].Name) + len(r.Header[i].Value) + field
	}
	return n
}

// isTarget says whether a request target is a path without control bytes, spaces and
// fragment (D4.12). Bytes from 0x80 on are taken as they are.
func isTarget(t string) bool {
	if t == "" || t[0] != '/' {
		return false
	}
	for i := range len(t) {
		if t[i] <= ' ' || t[i] == 0x7f || t[i] == '#' {
			return false
		}
	}
	return true
}

// endToEnd returns the header without the fields that Connection names (D15.8): they
// are meant for this hop, so they are neither keyed nor sent on. Usually it names
// none of them, and the header is returned as it is.
func endToEnd(h header.Fields) header.Fields {
	value, ok := h.Joined("Connection", ",")
	if !ok || header.Equal(value, "keep-alive") || header.Equal(value, "close") {
		return h
	}
	named := make(map[string]struct{})
	for option := range strings.SplitSeq(value, ",") {
		named[strings.ToLower(strings.Trim(option, " \t"))] = struct{}{}
	}
	out := h.Clone(0)
	out.Filter(func(f header.Field) bool {
		_, hop := named[strings.ToLower(f.Name)]
		return !hop
	})
	return out
}
