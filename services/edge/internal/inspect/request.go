// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"fmt"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// Bounds of a request that is inspected.
const (
	maxURL    = 8192
	maxFields = 100
	maxMethod = 64
	maxName   = 256
	maxValue  = 32768
)

// parse makes the request of a viewer by HTTP/1.1 that is meant, and says what is wrong
// with it.
func parse(in *edgev1.InspectRequestRequest) (*exchange.Request, []apierr.Violation) {
	var bad violations
	out := &exchange.Request{Method: in.GetMethod(), Major: 1, Minor: 1}
	if out.Method == "" {
		out.Method = "GET"
	}
	if len(out.Method) > maxMethod || !isToken(out.Method) {
		bad.add("method", "is not a method: want at most %d letters, such as GET or HEAD", maxMethod)
	}
	if !split(in.GetUrl(), out) {
		bad.add("url", "want http://host/path or https://host/path, of at most %d bytes without spaces and control characters", maxURL)
	}
	if len(in.GetHeaders()) > maxFields {
		bad.add("headers", "has %d fields; want at most %d", len(in.GetHeaders()), maxFields)
		return nil, bad
	}
	for i, f := range in.GetHeaders() {
		switch name, value := f.GetName(), f.GetValue(); {
		case len(name) > maxName || !isToken(name):
			bad.add(fmt.Sprintf("headers[%d].name", i), "is not the name of a header field of at most %d bytes", maxName)
		case header.Equal(name, "Host"):
			bad.add(fmt.Sprintf("headers[%d].name", i), "is Host, which url has")
		case len(value) > maxValue || strings.ContainsAny(value, "\r\n\x00"):
			bad.add(fmt.Sprintf("headers[%d].value", i), "is not the value of a header field of at most %d bytes", maxValue)
		default:
			out.Header.Add(name, strings.Trim(value, " \t"))
		}
	}
	return out, bad
}

// violations are what is wrong with a request.
type violations []apierr.Violation

func (v *violations) add(field, format string, args ...any) {
	*v = append(*v, apierr.Violation{Field: field, Reason: apierr.ReasonInvalid, Description: fmt.Sprintf(format, args...)})
}

// split parts a URL as a viewer does: what stands behind # is not sent.
func split(url string, to *exchange.Request) bool {
	scheme, rest, ok := strings.Cut(url, "://")
	scheme = strings.ToLower(scheme)
	if !ok || len(url) > maxURL || scheme != "http" && scheme != "https" {
		return false
	}
	for i := range len(rest) {
		if rest[i] <= ' ' || rest[i] == 0x7f {
			return false
		}
	}
	rest, _, _ = strings.Cut(rest, "#")
	host, target := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, target = rest[:i], rest[i:]
	}
	if target[0] == '?' {
		target = "/" + target
	}
	to.Scheme, to.Host, to.Target = scheme, host, target
	return host != "" && !strings.Contains(host, "@")
}

// isToken says whether s is a token (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}
