// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// request makes the exchange's form of r. net/http keeps header lines in a map, so
// they are sorted by name: the same request looks the same each time.
func request(r *http.Request) *exchange.Request {
	out := &exchange.Request{
		Method: r.Method,
		Target: r.RequestURI,
		Host:   r.Host,
		Scheme: "http",
		Major:  r.ProtoMajor,
		Minor:  r.ProtoMinor,
		// Transfer-Encoding, and HTTP/2 without a length, show as a negative length.
		HasBody: r.ContentLength != 0,
	}
	if r.ProtoMajor == 1 {
		out.Target = target(r.RequestURI)
	}
	if r.TLS != nil {
		out.Scheme, out.ServerName = "https", r.TLS.ServerName
	}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		out.Viewer = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	out.Header = make(header.Fields, 0, len(r.Header)+2)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if name == "Host" { // only on HTTP/2, beside :authority or in its place
			if slices.ContainsFunc(r.Header[name], func(h string) bool { return !strings.EqualFold(h, r.Host) }) {
				out.Host = "" // more than one is as good as none (RFC 9113 §8.3.1)
			}
			continue
		}
		for _, value := range r.Header[name] {
			out.Header.Add(name, value)
		}
	}
	return out
}

// target returns the origin form of a request target: of an absolute one the path and
// query (RFC 9112 §3.2.2; net/http has put its authority into Host). All others stay
// as they are, and so do absolute ones that name no server of HTTP, or a user
// (RFC 9110 §4.2.4): the pipeline refuses what is no path.
func target(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return uri
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	switch {
	case authority == "" || strings.Contains(authority, "@"):
		return uri
	case path == "" || path[0] == '?':
		return "/" + path
	}
	return path
}
