// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

const (
	longest = math.MaxInt32 * time.Second // of what browsers are told to remember
	maxCORS = 100                         // entries of one list
)

// checkCORS is C2.112.
func checkCORS(f *rules.Findings, c *configv1.Cors) {
	texts(f, "cors.origins", c.GetOrigins(), true, checkOrigin)        // C2.113
	texts(f, "cors.headers", c.GetHeaders(), true, checkAllowedHeader) // C2.115
	checkMethods(f, c.GetMethods())                                    // C2.114
	texts(f, "cors.expose_headers", c.GetExposeHeaders(), false, checkExposedHeader)
	if c.GetAllowCredentials() { // C2.116
		for _, l := range []struct {
			field  string
			values []string
		}{{"cors.origins", c.GetOrigins()}, {"cors.headers", c.GetHeaders()}, {"cors.expose_headers", c.GetExposeHeaders()}} {
			if i := slices.Index(l.values, "*"); i >= 0 {
				f.Add(fmt.Sprintf("%s[%d]", l.field, i), rules.ReasonInvalid, "is *, which browsers do not accept together with allow_credentials; want names")
			}
		}
	}
	f.Seconds("cors.max_age", c.GetMaxAge(), 0, longest)
}

func texts(f *rules.Findings, field string, values []string, required bool, check func(string) error) {
	if required && len(values) == 0 {
		f.Add(field, rules.ReasonInvalid, "is empty; want at least one entry")
	}
	n := f.Count(field, rules.ReasonInvalid, len(values), maxCORS)
	for i, v := range values[:n] {
		if err := check(v); err != nil {
			f.Add(fmt.Sprintf("%s[%d]", field, i), rules.ReasonInvalid, "%v", err)
		}
	}
}

func checkMethods(f *rules.Findings, methods []configv1.Cors_Method) {
	const field = "cors.methods"
	if len(methods) == 0 {
		f.Add(field, rules.ReasonInvalid, "is empty; want METHOD_ALL or a list of methods")
	}
	n := f.Count(field, rules.ReasonInvalid, len(methods), len(configv1.Cors_Method_name)-1)
	for i, m := range methods[:n] {
		at := fmt.Sprintf("%s[%d]", field, i)
		f.Required(at, m)
		switch {
		case m == configv1.Cors_METHOD_ALL && len(methods) > 1:
			f.Add(at, rules.ReasonInvalid, "is METHOD_ALL, which stands alone")
		case slices.Contains(methods[:i], m):
			f.Add(at, rules.ReasonInvalid, "is %v a second time; want each method once", m)
		}
	}
}

// checkOrigin is C2.113 and D21.8: *, or [scheme://]host[:port].
func checkOrigin(o string) error {
	if len(o) > maxHeaderValue {
		return fmt.Errorf("is %d characters long; want at most %d", len(o), maxHeaderValue)
	}
	if o == "*" {
		return nil
	}
	rest := o
	if scheme, after, found := strings.Cut(o, "://"); found {
		rest = after
		if !isScheme(scheme) {
			return fmt.Errorf("is %.100q, whose scheme is none; want for example https://example.com", o)
		}
	}
	host, port, hasPort := cutPort(rest)
	if hasPort && !isPort(port) {
		return fmt.Errorf("is %.100q; want a port of 1 to 65535, in which * stands for any digits", o)
	}
	if err := checkOriginHost(host); err != nil {
		return fmt.Errorf("is %.100q, %w", o, err)
	}
	return nil
}

// cutPort splits host[:port]; the host may be an IPv6 address in brackets.
func cutPort(s string) (host, port string, found bool) {
	end := strings.LastIndexByte(s, ']')
	at := strings.IndexByte(s[end+1:], ':')
	if at < 0 {
		return s, "", false
	}
	at += end + 1
	return s[:at], s[at+1:], true
}

func isScheme(s string) bool {
	const lower, rest = "abcdefghijklmnopqrstuvwxyz", "0123456789+-."
	return s != "" && strings.Contains(lower, s[:1]) && strings.Trim(s, lower+rest) == ""
}

func isPort(p string) bool {
	if strings.Contains(p, "*") {
		return strings.Trim(p, "0123456789*") == "" && len(strings.ReplaceAll(p, "*", "")) <= 5
	}
	n, err := strconv.ParseUint(p, 10, 16)
	return err == nil && n > 0
}

// checkOriginHost takes an address, or a host name with or without a star in place of
// its left-most labels.
func checkOriginHost(host string) error {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		if a, err := netip.ParseAddr(inner); closed && err == nil && a.Is6() && a.Zone() == "" {
			return nil
		}
		return errors.New("which has no IPv6 address between its brackets")
	}
	labels := strings.Split(host, ".")
	for i, l := range labels {
		switch {
		case l == "*" && i == 0 && len(labels) > 1:
		case strings.Contains(l, "*"):
			return errors.New("in which * does not stand for the left-most labels alone; want for example *.example.com")
		case !isLabel(l):
			return errors.New("whose host is no DNS name: labels of 1 to 63 letters, digits and hyphens, hyphens not at their ends")
		}
	}
	if len(host) > 253 {
		return fmt.Errorf("whose host is %d characters long; want at most 253", len(host))
	}
	return nil
}

func isLabel(l string) bool {
	const ldh = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return l != "" && len(l) <= 63 && l[0] != '-' && l[len(l)-1] != '-' && strings.Trim(l, ldh) == ""
}

// checkAllowedHeader takes names in which * stands for any characters (D21.9).
func checkAllowedHeader(name string) error { return rules.CheckToken(name, maxHeaderName) }

func checkExposedHeader(name string) error {
	if name == "*" {
		return nil
	}
	return checkHeader(name, nil, "")
}

// ResponseHeadersWarnings is CacheWarnings for a response headers policy.
func ResponseHeadersWarnings(p *configv1.ResponseHeadersPolicy) []string {
	if o := p.GetCors().GetOrigins(); len(o) > 1 && slices.Contains(o, "*") {
		return []string{"cors.origins: * lets every origin in, so the others make no difference"}
	}
	return nil
}
