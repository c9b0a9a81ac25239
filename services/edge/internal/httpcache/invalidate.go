// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"net/url"
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Target is what a request was for.
type Target struct {
	// Scheme is "http" or "https", Host the host with its port if it has one.
	Scheme, Host string
	// Path is the request target in origin form: path and query, as it was sent.
	Path string
}

// Safe says whether requests by a method change nothing at the origin (RFC 9110 §9.2.1).
// Of a method that is not known to be safe nothing is known.
func Safe(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	default:
		return false
	}
}

// Invalidated returns the targets, in origin form and at the host of the request, whose
// stored answers are no longer to be used because the origin has answered a request that
// may have changed something (RFC 9111 §4.4): the request's own, and those that Location
// and Content-Location name at the same origin. An error has changed nothing. In
// CloudFront semantics there are none (D13.13). The stored answers are those to GET and
// to HEAD, in all variants.
func Invalidated(method string, t Target, status int, h header.Fields, p Policy) []string {
	if p.Semantics != HTTP || p.Disabled() || Safe(method) || status < firstFinal || status >= firstError {
		return nil
	}
	targets := []string{t.Path}
	base, err := url.Parse(t.Scheme + "://" + t.Host + t.Path)
	if err != nil {
		return targets
	}
	for _, name := range [...]string{"Location", "Content-Location"} {
		if other, ok := sameOrigin(base, h.Get(name)); ok && !slices.Contains(targets, other) {
			targets = append(targets, other)
		}
	}
	return targets
}

// sameOrigin resolves a reference and returns it in origin form if it stays at the origin
// of base: whoever may answer for one host could empty the cache of another otherwise.
func sameOrigin(base *url.URL, reference string) (string, bool) {
	if reference == "" {
		return "", false
	}
	u, err := base.Parse(reference)
	if err != nil || u.Scheme != base.Scheme || u.Opaque != "" || authority(u) != authority(base) {
		return "", false
	}
	return u.RequestURI(), true
}

// authority is the host and port of a URL in one spelling.
func authority(u *url.URL) string {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		switch u.Scheme {
		case "http":
			port = "80"
		case "https":
			port = "443"
		}
	}
	return host + ":" + port
}
