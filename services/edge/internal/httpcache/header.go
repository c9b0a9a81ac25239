// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// ViewerHeader returns what of the origin's header goes to the viewer whose
// request brought the answer: without hop-by-hop fields, without Via, which the
// edge sets itself, without Set-Cookie unless cookies are forwarded, and with Vary
// edited (D17.2–D17.6). HTTP semantics leave Via, Set-Cookie and Vary as they are.
// All else passes in its order and spelling, Cache-Control,
// Expires and the origin's Age included (D17.8, D22.7). h is not changed.
//
// Date is not added: the caller adds one to the origin's header at receipt, with
// FormatDate, when there is none (D13.16).
func ViewerHeader(h header.Fields, p Policy) header.Fields {
	nominated := connectionOptions(h)
	out := make(header.Fields, 0, len(h))
	for _, f := range h {
		if forOneHop(f.Name, p) || dropped(f.Name, p) || containsName(nominated, f.Name) {
			continue
		}
		if header.Equal(f.Name, "Vary") {
			f.Value = editVary(f.Value, p)
			if f.Value == "" {
				continue
			}
		}
		out = append(out, f)
	}
	return out
}

// StoredHeader returns what of a header from ViewerHeader is stored and goes to
// all later viewers, and to those who waited for the same answer: without Age,
// which is computed for each (D17.8), and without the fields that
// no-cache="…" and private="…" name (D13.8, D17.7, RFC 9111 §5.2.2.4, §5.2.2.7). viewer
// is not changed, and shared with the result if nothing goes.
func StoredHeader(viewer header.Fields, p Policy) header.Fields {
	c, _ := controlOf(viewer, p)
	goes := func(f header.Field) bool {
		return header.Equal(f.Name, "Age") || containsName(c.NoCacheFields, f.Name) || containsName(c.PrivateFields, f.Name)
	}
	if !slices.ContainsFunc(viewer, goes) {
		return slices.Clip(viewer)
	}
	return slices.DeleteFunc(viewer.Clone(0), goes)
}

// Merge returns the stored header refreshed by that of a 304: each field of fresh
// takes the place of the stored ones of its name, except those that describe the
// body, which a 304 does not bring (D14.6, RFC 9111 §3.2). With HTTP semantics
// Content-Type is not one of those. The arguments are not changed.
//
// fresh has been through ViewerHeader. The result may hold the 304's Age and
// fields that must not be stored: first Assess judges it under the stored status
// and the times of the 304, then StoredHeader makes of it what is stored.
func Merge(stored, fresh header.Fields, p Policy) header.Fields {
	out := make(header.Fields, 0, len(stored)+len(fresh))
	for _, f := range stored {
		if describesBody(f.Name, p) || !fresh.Has(f.Name) {
			out = append(out, f)
		}
	}
	for _, f := range fresh {
		if !describesBody(f.Name, p) && !forOneHop(f.Name, p) {
			out = append(out, f)
		}
	}
	return out
}

// longestKnown is how long the names are that are looked for here, or longer.
const longestKnown = 32

// forOneHop lists the fields that concern one connection only (D17.2, RFC 9110 §7.6.1,
// RFC 9111 §3.1), with Transfer-Encoding, which each connection chooses anew (D17.3).
func forOneHop(name string, p Policy) bool {
	const proxy = "Proxy-"
	if len(name) >= len(proxy) && strings.EqualFold(name[:len(proxy)], proxy) && p.Semantics == CloudFront {
		return true
	}
	var room [longestKnown]byte
	switch string(header.AppendLower(room[:0], name)) {
	case "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
		"proxy-authenticate", "proxy-authentication-info", "proxy-authorization", "proxy-connection":
		return true
	default:
		return false
	}
}

// dropped lists the fields that pass no hop of ours for other reasons.
func dropped(name string, p Policy) bool {
	var room [longestKnown]byte
	switch string(header.AppendLower(room[:0], name)) {
	case "via":
		return p.Semantics == CloudFront // D17.4
	case "set-cookie":
		return !p.PassesSetCookie() // D17.6
	case "x-amz-id-2", "x-amz-request-id":
		return p.S3 // D17.2
	default:
		return false
	}
}

// describesBody lists the fields that a 304 leaves as they are (D14.6).
func describesBody(name string, p Policy) bool {
	var room [longestKnown]byte
	switch string(header.AppendLower(room[:0], name)) {
	case "content-encoding", "content-length", "content-range":
		return true
	case "content-type":
		return p.Semantics == CloudFront
	default:
		return false
	}
}

// connectionOptions returns what Connection names (RFC 9110 §7.6.1).
func connectionOptions(h header.Fields) []string {
	var names []string
	for _, line := range h.Values("Connection") {
		for name := range strings.SplitSeq(line, ",") {
			names = append(names, strings.Trim(name, whitespace))
		}
	}
	return names
}

func containsName(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return header.Equal(n, name) })
}
