// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// methodNotAllowed is the sentence of D4.2, spelled as there.
const methodNotAllowed = "This distribution is not configured to allow the HTTP request method that was used for this request. " +
	"The distribution supports only cachable requests."

// admit asks: may this viewer have it? It checks method and body (D4.1, D4.2, D4.4),
// then the protocol (D6.1). A request of GET with a body has a meaning in neither
// semantics, but HTTP lets it pass (D28).
func (p *Pipeline) admit(_ context.Context, x *visit) bool {
	r := x.req
	var ok bool
	if x.policy, ok = x.config.CachePolicy(x.behavior); !ok {
		return x.refuse(503, "The cache policy of this distribution is not available.")
	}
	switch {
	case !x.behavior.Methods.Allows(r.Method) && !knownMethod(r.Method):
		return x.refuse(403, "The HTTP request method that was used for this request is not known.")
	case !x.behavior.Methods.Allows(r.Method):
		return x.refuse(403, methodNotAllowed)
	case !isTarget(r.Target):
		return x.refuse(400, badRequest)
	case r.HasBody && (r.Method == "GET" || r.Method == "HEAD") && x.policy.Semantics != snapshot.HTTPSemantics:
		return x.refuse(403, badRequest)
	case r.Scheme == "https" || x.behavior.Protocol == snapshot.AllowAll:
		return false
	}
	status := 403
	if x.behavior.Protocol == snapshot.RedirectToHTTPS {
		status = redirectStatus(r.Method, r.Major, r.Minor)
	}
	if status == 403 {
		return x.refuse(403, "This distribution serves this request over HTTPS only.")
	}
	x.reply = reply{status: status, result: ResultRedirect, location: p.secureURL(r.Host, r.Target)}
	return true
}

// knownMethod is D4.1.
func knownMethod(m string) bool {
	switch m {
	case "GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE":
		return true
	default:
		return false
	}
}

// redirectStatus is the row redirect-to-https of the table of D6.1: a redirect that
// HTTP/1.0 does not know could turn another method into GET.
func redirectStatus(method string, major, minor int) int {
	switch {
	case method == "GET" || method == "HEAD":
		return 301
	case major > 1 || major == 1 && minor >= 1:
		return 307
	default:
		return 403
	}
}

// secureURL is the same URL by HTTPS: the host as sent, without its port, and the
// raw target (D6.2). The port of the HTTPS listener is left out where it is the
// scheme's own.
func (p *Pipeline) secureURL(host, target string) string {
	if strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']') {
		host = host[:strings.LastIndexByte(host, ':')]
	}
	if p.PublicHTTPSPort != 443 {
		host += ":" + strconv.Itoa(p.PublicHTTPSPort)
	}
	return "https://" + host + target
}
