// SPDX-License-Identifier: Apache-2.0

package httpcache

// Semantics says which rules of caching a cache policy follows. The zero value is
// CloudFront.
type Semantics uint8

// The semantics.
const (
	// CloudFront: the settings of the distribution decide (D13, D14, D18). Vary and
	// what requests say in Cache-Control have no part in it.
	CloudFront Semantics = iota
	// HTTP: RFC 9111 as written, for a shared cache.
	HTTP
)

// String returns the word for logs.
func (s Semantics) String() string {
	switch s {
	case CloudFront:
		return "cloudfront"
	case HTTP:
		return "http"
	default:
		return "unknown"
	}
}

// cookiesSplit: forwarded cookies make every answer one viewer's own (D14.4, D14.9).
// To RFC 9111 cookies are header fields like others: an answer that depends on them
// says so by Vary or Cache-Control.
func (p Policy) cookiesSplit() bool {
	return p.Semantics == CloudFront && p.CookiesForwarded
}

// Collapses says whether requests may wait for one another's answers at all (D14.9,
// RFC 9111 §4).
func (p Policy) Collapses() bool {
	return !p.Disabled() && !p.cookiesSplit()
}

// AnswersConditions says whether the edge applies the viewer's preconditions to its
// answers, with Evaluate, and validates with the origin by ValidationFields (D14.4,
// RFC 9111 §4.3). With caching off the origin alone does (D14.3).
func (p Policy) AnswersConditions() bool {
	return !p.Disabled() && !p.cookiesSplit()
}

// PassesSetCookie says whether viewers get the Set-Cookie of answers, stored ones
// included (D17.6). RFC 9111 has no rule against it.
func (p Policy) PassesSetCookie() bool {
	return p.Semantics == HTTP || p.CookiesForwarded
}

// Failed says whether an origin's status counts as its failure, for which a stale
// answer may be served in place of it: D13.21, or RFC 5861 §4.
func (p Policy) Failed(status int) bool {
	if p.Semantics == HTTP {
		return status == 500 || status == 502 || status == 503 || status == 504
	}
	return status >= 500 && status <= 599
}
