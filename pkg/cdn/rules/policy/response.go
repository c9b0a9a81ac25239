// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// untouchable are headers of answers that a policy cannot remove (C2.123, D21.17), nor
// set: they frame the message, or edges make them.
func untouchable() []string {
	return []string{
		"Connection", "Content-Encoding", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Authenticate",
		"Proxy-Authorization", "Proxy-Connection", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "Warning",
		"X-Accel-Buffering", "X-Accel-Charset", "X-Accel-Limit-Rate", "X-Accel-Redirect", "X-Amz-Cf-*", "X-Amzn-Auth",
		"X-Amzn-Cf-Billing", "X-Amzn-Cf-Id", "X-Amzn-Cf-Xff", "X-Amzn-ErrorType", "X-Amzn-Fle-Profile",
		"X-Amzn-Header-Count", "X-Amzn-Header-Order", "X-Amzn-Lambda-Integration-Tag", "X-Amzn-RequestId", "X-Cache",
		"X-Edge-*", "X-Forwarded-Proto", "X-Real-Ip", "X-Seafront-*",
	}
}

// otherwiseSet are headers that other parts of a response headers policy set (C2.120).
func otherwiseSet() []string {
	return []string{
		"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
		"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Access-Control-Max-Age",
		"Content-Security-Policy", "Referrer-Policy", "Strict-Transport-Security", "X-Content-Type-Options",
		"X-Frame-Options", "X-XSS-Protection", "Server-Timing",
	}
}

// CheckResponseHeaders returns everything that is wrong with p by itself. Field paths
// begin at ResponseHeadersPolicy. Nothing in p has a default.
func CheckResponseHeaders(p *configv1.ResponseHeadersPolicy, limits Response) []rules.Violation {
	var f rules.Findings
	f.Join(rules.CheckLabels("labels", p.GetLabels()))
	named(&f, p.GetDisplayName(), p.GetComment()) // C2.110
	if holdsNothing(p) {
		f.Add("cors", rules.ReasonInvalid, "is absent, and so are security, custom_headers, remove_headers and server_timing, or they are empty; want something in at least one of them (C2.111)")
	}
	if p.GetCors() != nil {
		checkCORS(&f, p.GetCors())
	}
	checkSecurity(&f, p.GetSecurity(), limits.SecurityPolicy)
	checkCustom(&f, p.GetCustomHeaders(), limits.CustomHeaders)
	checkRemoved(&f, p.GetRemoveHeaders(), limits.RemoveHeaders)
	if t := p.GetServerTiming(); t != nil && t.SamplingRate != nil {
		checkRate(&f, "server_timing.sampling_rate", t.GetSamplingRate())
	}
	return f.Found()
}

// holdsNothing says whether p would do nothing (C2.111, C9.20).
func holdsNothing(p *configv1.ResponseHeadersPolicy) bool {
	s := p.GetSecurity()
	secures := s.GetContentSecurityPolicy() != nil || s.GetContentTypeOptions() != nil || s.GetFrameOptions() != nil ||
		s.GetReferrerPolicy() != nil || s.GetStrictTransportSecurity() != nil || s.GetXssProtection() != nil
	return p.GetCors() == nil && !secures && len(p.GetCustomHeaders())+len(p.GetRemoveHeaders()) == 0 && p.GetServerTiming() == nil
}

// checkCustom is C2.120. A header that is both removed and added is legal: it is there
// with the added value (C2.124).
func checkCustom(f *rules.Findings, headers []*configv1.CustomHeader, most int) {
	n := f.Count("custom_headers", ReasonTooManyCustomHeaders, len(headers), most)
	var names []string
	for i, h := range headers[:n] {
		field := fmt.Sprintf("custom_headers[%d]", i)
		names = append(names, h.GetName())
		switch err := rules.CheckToken(h.GetName(), maxHeaderName); {
		case err != nil:
			f.Add(field+".name", rules.ReasonInvalid, "%v", err)
		case among(h.GetName(), otherwiseSet()):
			f.Add(field+".name", rules.ReasonInvalid, "is %s, which cors, security or server_timing sets", h.GetName())
		case among(h.GetName(), untouchable()):
			f.Add(field+".name", rules.ReasonInvalid, "is %s, which belongs to the connection or to the edge", h.GetName())
		case repeated(names, i):
			f.Add(field+".name", rules.ReasonInvalid, "is %s a second time; want each name once", h.GetName())
		}
		if err := rules.CheckFieldValue(h.GetValue(), maxHeaderValue); err != nil {
			f.Add(field+".value", rules.ReasonInvalid, "%v", err)
		}
	}
}

// checkRemoved is C2.121.
func checkRemoved(f *rules.Findings, names []string, most int) {
	n := f.Count("remove_headers", ReasonTooManyRemoveHeaders, len(names), most)
	for i, name := range names[:n] {
		field := fmt.Sprintf("remove_headers[%d]", i)
		switch err := checkHeader(name, untouchable(), "which cannot be removed: it belongs to the connection or to the edge"); {
		case err != nil:
			f.Add(field, rules.ReasonInvalid, "%v", err)
		case repeated(names, i):
			f.Add(field, rules.ReasonInvalid, "is %s a second time; want each name once", name)
		}
	}
}

// checkRate is C2.122.
func checkRate(f *rules.Findings, field string, rate float64) {
	_, decimals, _ := strings.Cut(strconv.FormatFloat(rate, 'f', -1, 64), ".")
	switch {
	case !(rate >= 0 && rate <= 100): // not a number is neither
		f.Add(field, rules.ReasonInvalid, "is %v; want 0 to 100, in per cent", rate)
	case len(decimals) > 4:
		f.Add(field, rules.ReasonInvalid, "is %v; want at most 4 decimals", rate)
	}
}
