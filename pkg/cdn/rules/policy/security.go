// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/url"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// checkSecurity is C2.117; absent parts are not sent.
func checkSecurity(f *rules.Findings, s *configv1.SecurityHeaders, most int) {
	if c := s.GetContentSecurityPolicy(); c != nil {
		checkCSP(f, c.GetValue(), most)
	}
	if o := s.GetFrameOptions(); o != nil {
		f.Required("security.frame_options.value", o.GetValue())
	}
	if r := s.GetReferrerPolicy(); r != nil { // C2.119
		f.Required("security.referrer_policy.value", r.GetValue())
	}
	if t := s.GetStrictTransportSecurity(); t != nil {
		const field = "security.strict_transport_security.max_age"
		if t.GetMaxAge() == nil {
			f.Add(field, rules.ReasonInvalid, "is not set; it has no default")
		}
		f.Seconds(field, t.GetMaxAge(), 0, longest)
	}
	if x := s.GetXssProtection(); x != nil {
		checkXSS(f, x)
	}
}

func checkCSP(f *rules.Findings, value string, most int) {
	const field = "security.content_security_policy.value"
	switch {
	case value == "":
		f.Add(field, rules.ReasonInvalid, "is empty; want a policy, or no content_security_policy")
	case len(value) > most: // C4.36
		f.Add(field, ReasonTooLongCSP, "is %d characters long; want at most %d", len(value), most)
	default:
		if err := rules.CheckFieldValue(value, most); err != nil {
			f.Add(field, rules.ReasonInvalid, "%v", err)
		}
	}
}

// checkXSS is C2.118.
func checkXSS(f *rules.Findings, x *configv1.XssProtection) {
	const field = "security.xss_protection."
	if x.GetModeBlock() && !x.GetProtection() {
		f.Add(field+"mode_block", rules.ReasonInvalid, "is true without protection; want both or neither")
	}
	uri := x.GetReportUri()
	if uri == "" {
		return
	}
	switch u, err := url.Parse(uri); {
	case x.GetModeBlock():
		f.Add(field+"report_uri", rules.ReasonInvalid, "is set together with mode_block; want one of them")
	case !x.GetProtection():
		f.Add(field+"report_uri", rules.ReasonInvalid, "is set without protection; want protection as well")
	case rules.CheckFieldValue(uri, maxHeaderValue) != nil || strings.Contains(uri, " "):
		f.Add(field+"report_uri", rules.ReasonInvalid, "holds other characters than visible ASCII, or more than %d", maxHeaderValue)
	case err != nil, u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https", u.Scheme != "" && u.Host == "", u.Scheme == "" && uri[0] != '/':
		f.Add(field+"report_uri", rules.ReasonInvalid, "is no http or https URI and no path that begins with a slash")
	}
}
