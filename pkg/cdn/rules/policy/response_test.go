// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func cors(change func(*configv1.Cors)) *configv1.ResponseHeadersPolicy {
	c := &configv1.Cors{Origins: []string{"https://example.com"}, Headers: []string{"X-A"}, Methods: []configv1.Cors_Method{configv1.Cors_METHOD_GET}}
	change(c)
	return &configv1.ResponseHeadersPolicy{Cors: c}
}

func security(s *configv1.SecurityHeaders) *configv1.ResponseHeadersPolicy {
	return &configv1.ResponseHeadersPolicy{Security: s}
}

func csp(value string) *configv1.ResponseHeadersPolicy {
	return security(&configv1.SecurityHeaders{ContentSecurityPolicy: &configv1.ContentSecurityPolicy{Value: value}})
}

func xss(x *configv1.XssProtection) *configv1.ResponseHeadersPolicy {
	return security(&configv1.SecurityHeaders{XssProtection: x})
}

func custom(headers ...string) *configv1.ResponseHeadersPolicy {
	p := &configv1.ResponseHeadersPolicy{}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		p.CustomHeaders = append(p.CustomHeaders, &configv1.CustomHeader{Name: name, Value: value})
	}
	return p
}

func removed(names ...string) *configv1.ResponseHeadersPolicy {
	return &configv1.ResponseHeadersPolicy{RemoveHeaders: names}
}

func sampled(rate float64) *configv1.ResponseHeadersPolicy {
	return &configv1.ResponseHeadersPolicy{ServerTiming: &configv1.ServerTiming{SamplingRate: &rate}}
}

func TestCheckResponseHeaders(t *testing.T) {
	const policy = "_IN_RESPONSE_HEADERS_POLICY"
	xssField := "security.xss_protection."
	for _, tt := range []struct {
		rule string
		p    *configv1.ResponseHeadersPolicy
		bad  string
	}{
		{"C2.111, C2.359: nothing", &configv1.ResponseHeadersPolicy{}, "cors"},
		{"C2.111, C9.20: empty parts", security(&configv1.SecurityHeaders{}), "cors"},
		{"C2.111: one of them", security(&configv1.SecurityHeaders{ContentTypeOptions: &configv1.ContentTypeOptions{}}), ""},
		{"C2.111: server timing", &configv1.ResponseHeadersPolicy{ServerTiming: &configv1.ServerTiming{}}, ""},

		{"C2.112: complete", cors(func(*configv1.Cors) {}), ""},
		{"C2.112, C9.20: empty", &configv1.ResponseHeadersPolicy{Cors: &configv1.Cors{}}, "cors.origins, cors.headers, cors.methods"},
		{"C2.112: max_age", cors(func(c *configv1.Cors) { c.MaxAge = durationpb.New(-time.Second) }), "cors.max_age"},
		{"C2.114, C2.359: all", cors(func(c *configv1.Cors) { c.Methods = []configv1.Cors_Method{configv1.Cors_METHOD_ALL} }), ""},
		{"C2.114, C2.359: all and one", cors(func(c *configv1.Cors) {
			c.Methods = []configv1.Cors_Method{configv1.Cors_METHOD_ALL, configv1.Cors_METHOD_GET}
		}), "cors.methods[0]"},
		{"C2.114: twice", cors(func(c *configv1.Cors) {
			c.Methods = []configv1.Cors_Method{configv1.Cors_METHOD_PUT, configv1.Cors_METHOD_GET, configv1.Cors_METHOD_PUT}
		}), "cors.methods[2]"},
		{"C2.114: no method", cors(func(c *configv1.Cors) { c.Methods = []configv1.Cors_Method{0, 99} }), "cors.methods[0], cors.methods[1] UNKNOWN_ENUM_VALUE"},
		{"C2.115: stars", cors(func(c *configv1.Cors) {
			c.Headers, c.ExposeHeaders = []string{"*", "Authorization", "x-amz-*", "x-*-amz"}, []string{"*", "X-A"}
		}), ""},
		{"C2.115: no names", cors(func(c *configv1.Cors) { c.Headers, c.ExposeHeaders = []string{"a b", ""}, []string{"x-*", "é"} }),
			"cors.headers[0], cors.headers[1], cors.expose_headers[0], cors.expose_headers[1]"},
		{"C2.116: names", cors(func(c *configv1.Cors) { c.AllowCredentials, c.Origins = true, []string{"https://*.example.com"} }), ""},
		{"C2.116: stars", cors(func(c *configv1.Cors) {
			c.AllowCredentials, c.Origins, c.Headers, c.ExposeHeaders = true, []string{"*"}, []string{"X-A", "*"}, []string{"*"}
		}), "cors.origins[0], cors.headers[1], cors.expose_headers[0]"},
		{"bounded: 101 headers", cors(func(c *configv1.Cors) { c.Headers = names(101) }), "cors.headers"},

		{"C2.117, C4.36: 1783 characters", csp(strings.Repeat("a", 1783)), ""},
		{"C2.117, C4.36: 1784 characters", csp(strings.Repeat("a", 1784)), "security.content_security_policy.value TOO_LONG_CSP" + policy},
		{"C2.117: empty", csp(""), "security.content_security_policy.value"},
		{"C2.117: a line break", csp("default-src 'self'\r\nX: y"), "security.content_security_policy.value"},
		{"C2.117: no values", security(&configv1.SecurityHeaders{
			FrameOptions: &configv1.FrameOptions{}, ReferrerPolicy: &configv1.ReferrerPolicy{}, StrictTransportSecurity: &configv1.StrictTransportSecurity{},
		}), "security.frame_options.value, security.referrer_policy.value, security.strict_transport_security.max_age"},
		{"C2.117: other values", security(&configv1.SecurityHeaders{
			FrameOptions:            &configv1.FrameOptions{Value: 3},
			StrictTransportSecurity: &configv1.StrictTransportSecurity{MaxAge: durationpb.New(-1)},
		}), "security.frame_options.value UNKNOWN_ENUM_VALUE, security.strict_transport_security.max_age"},
		{"C2.119: the last value", security(&configv1.SecurityHeaders{ReferrerPolicy: &configv1.ReferrerPolicy{Value: configv1.ReferrerPolicy_VALUE_UNSAFE_URL}}), ""},
		{"C2.119: another value", security(&configv1.SecurityHeaders{ReferrerPolicy: &configv1.ReferrerPolicy{Value: 9}}), "security.referrer_policy.value UNKNOWN_ENUM_VALUE"},
		{"C2.118: off", xss(&configv1.XssProtection{}), ""},
		{"C2.118: block", xss(&configv1.XssProtection{Protection: true, ModeBlock: true}), ""},
		{"C2.118: report", xss(&configv1.XssProtection{Protection: true, ReportUri: "https://r.example.com/xss?a=b"}), ""},
		{"C2.118: report to a path", xss(&configv1.XssProtection{Protection: true, ReportUri: "/xss"}), ""},
		{"C2.118: both", xss(&configv1.XssProtection{Protection: true, ModeBlock: true, ReportUri: "/xss"}), xssField + "report_uri"},
		{"C2.118: without protection", xss(&configv1.XssProtection{ModeBlock: true}), xssField + "mode_block"},
		{"C2.118: report without protection", xss(&configv1.XssProtection{ReportUri: "/xss"}), xssField + "report_uri"},
		{"C2.118: no URI", xss(&configv1.XssProtection{Protection: true, ReportUri: "javascript:alert(1)"}), xssField + "report_uri"},
		{"C2.118: no host", xss(&configv1.XssProtection{Protection: true, ReportUri: "https:///x"}), xssField + "report_uri"},
		{"C2.118: a space", xss(&configv1.XssProtection{Protection: true, ReportUri: "/a b"}), xssField + "report_uri"},

		{"C2.120: empty value", custom("X-A:", "X-B:b c"), ""},
		{"C2.120: names and values", custom("X A:", ":v", "X-C:a\nb", "X-D: d", "X-E:é", "X-F:"+strings.Repeat("f", 1784), strings.Repeat("g", 257)+":"),
			"custom_headers[0].name, custom_headers[1].name, custom_headers[2].value, custom_headers[3].value, custom_headers[4].value, custom_headers[5].value, custom_headers[6].name"},
		{"C2.120: the most", custom(strings.Repeat("g", 256) + ":" + strings.Repeat("f", 1783)), ""},
		{"C2.120: set elsewhere", custom("access-control-allow-origin:*", "X-XSS-Protection:0", "Server-Timing:a"), "custom_headers[0].name, custom_headers[1].name, custom_headers[2].name"},
		{"C2.120: of the connection or the edge", custom("content-length:0", "Transfer-Encoding:chunked", "X-Seafront-Id:a"), "custom_headers[0].name, custom_headers[1].name, custom_headers[2].name"},
		{"C2.120: twice", custom("X-A:1", "x-a:2"), "custom_headers[1].name"},
		{"C2.120, C4.34: 11 headers", custom(names(11)...), "custom_headers TOO_MANY_CUSTOM_HEADERS" + policy},

		{"C2.121, C2.124: Server, Date, Vary", removed("Server", "Date", "Vary", "X-Powered-By"), ""},
		{"C2.123: not removable", removed("via", "X-Amz-Cf-Pop", "x-edge-x", "X-Cache", "X-Cached"), "remove_headers[0], remove_headers[1], remove_headers[2], remove_headers[3]"},
		{"C2.121: no names", removed("", "X-*", "X-A", "x-a"), "remove_headers[0], remove_headers[1], remove_headers[3]"},
		{"C2.121, C4.35: 11 names", removed(names(11)...), "remove_headers TOO_MANY_REMOVE_HEADERS" + policy},
		{"C2.124: removed and added", &configv1.ResponseHeadersPolicy{
			RemoveHeaders: []string{"X-A"}, CustomHeaders: []*configv1.CustomHeader{{Name: "X-A", Value: "a"}},
		}, ""},

		{"C2.122: 0", sampled(0), ""},
		{"C2.122: 100", sampled(100), ""},
		{"C2.122: 4 decimals", sampled(0.0001), ""},
		{"C2.122: 4 decimals that are no binary fraction", sampled(99.9999), ""},
		{"C2.122: 5 decimals", sampled(0.00001), "server_timing.sampling_rate"},
		{"C2.122: above 100", sampled(100.0001), "server_timing.sampling_rate"},
		{"C2.122: below 0", sampled(-0.1), "server_timing.sampling_rate"},
		{"C2.122: no number", sampled(math.NaN()), "server_timing.sampling_rate"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			p := proto.CloneOf(tt.p)
			p.DisplayName = "mine"
			if got := in(CheckResponseHeaders(p, DefaultResponse())); got != tt.bad {
				t.Errorf("violations %q, want %q", got, tt.bad)
			}
		})
	}
}

func TestCORSOrigins(t *testing.T) {
	long := strings.Repeat("a", 63) + "."
	for origin, good := range map[string]bool{
		"*": true, "https://example.com": true, "https://*.example.org": true, "https://example.com:8443": true, // C2.359
		"example.*": false, "test.*.example.org": false, "exa*mple.org": false, "": false, // C2.359
		"example.org": true, "*.example.org": true, "http://localhost:3000": true, "http://127.0.0.1": true,
		"http://example.org:*": true, "http://example.org:1*3": true, "*.example.org:1*": true, "http://[::1]:3000": true,
		"http://[2001:db8::1]": true, "capacitor://localhost": true, "chrome-extension://abcdef": true, "https://*.com": true,
		"*test.example.org": false, "https://*": false, "https://": false, "://example.org": false, "http//example.org": false,
		"https://example.org/": false, "https://example.org/path": false, "https://user@example.org": false,
		"https://example.org:0": false, "https://example.org:65536": false, "https://example.org:": false, "https://example.org:8a": false,
		"https://example.org:123456*": false, "https://example..org": false, "https://-example.org": false, "https://example-.org": false,
		"http://[::1": false, "http://[::1%eth0]": false, "http://[127.0.0.1]": false, "http://[::1]x": false, "ht tp://example.org": false,
		"https://exämple.org": false, "https://example.org.": false, "https://a b.org": false,
		long + long + long + strings.Repeat("a", 61): true, long + long + long + strings.Repeat("a", 62): false,
	} {
		p := cors(func(c *configv1.Cors) { c.Origins = []string{origin} })
		p.DisplayName = "mine"
		want := "cors.origins[0]"
		if good {
			want = ""
		}
		if got := in(CheckResponseHeaders(p, DefaultResponse())); got != want {
			t.Errorf("C2.113, D21.8: %.100q: violations %q, want %q", origin, got, want)
		}
	}
}

func TestQuotasOfResponseHeaders(t *testing.T) {
	p := custom(names(3)...)
	p.DisplayName, p.RemoveHeaders = "mine", names(3)
	p.Security = csp("0123456789").GetSecurity()
	got := in(CheckResponseHeaders(p, Response{CustomHeaders: 2, RemoveHeaders: 1, SecurityPolicy: 9}))
	const policy = "_IN_RESPONSE_HEADERS_POLICY"
	want := "security.content_security_policy.value TOO_LONG_CSP" + policy + ", custom_headers TOO_MANY_CUSTOM_HEADERS" + policy + ", remove_headers TOO_MANY_REMOVE_HEADERS" + policy
	if got != want {
		t.Errorf("C4.34, C4.35, C4.36: violations %q, want %q", got, want)
	}
	if w := ResponseHeadersWarnings(cors(func(c *configv1.Cors) { c.Origins = []string{"https://a.example", "*"} })); len(w) != 1 {
		t.Errorf("warnings %q", w)
	}
}
