// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// list is a choice by names: of headers, cookies or query strings.
type list struct {
	field   string // of the policy
	names   []string
	named   bool // the mode reads names
	most    int
	tooMany string
	// check is for one name; its error continues a sentence that begins with the field.
	check  func(name string) error
	folded bool // names are the same in any case
}

// lists checks the choices of one policy and what their names come to together
// (C2.102, C4.33).
func lists(f *rules.Findings, all ...list) {
	total, first := 0, ""
	for _, l := range all {
		l.checkNames(f)
		for _, n := range l.names {
			total += len(n)
		}
		if first == "" && len(l.names) > 0 {
			first = l.field
		}
	}
	if total > maxNames {
		f.Add(first, rules.ReasonInvalid, "has, together with the other names of headers, cookies and query strings, %d characters; want at most %d", total, maxNames)
	}
}

func (l list) checkNames(f *rules.Findings) {
	field := l.field + ".names"
	if l.named && len(l.names) == 0 {
		f.Add(field, rules.ReasonInvalid, "is empty, and the mode asks for names; want at least one")
	}
	if !l.named && len(l.names) > 0 {
		f.Add(field, rules.ReasonInvalid, "has %d entries, and the mode does not read them; want none", len(l.names))
	}
	n := f.Count(field, l.tooMany, len(l.names), l.most)
	for i, name := range l.names[:n] {
		at := fmt.Sprintf("%s[%d]", field, i)
		if err := l.check(name); err != nil {
			f.Add(at, rules.ReasonInvalid, "%v", err)
		} else if l.folded && repeated(l.names, i) || slices.Contains(l.names[:i], name) {
			f.Add(at, rules.ReasonInvalid, "is %.100q a second time; want each name once", name)
		}
	}
}

// items is the choice of cookies or query strings.
func items(f *rules.Findings, field string, s *configv1.ItemSelection, most int, tooMany string, check func(string) error) list {
	f.Enum(field+".mode", s.GetMode())
	named := s.GetMode() == configv1.ItemSelection_MODE_LISTED || s.GetMode() == configv1.ItemSelection_MODE_ALL_EXCEPT
	return list{field: field, names: s.GetNames(), named: named, most: most, tooMany: tooMany, check: check}
}

// defaultItems makes the choice of nothing explicit.
func defaultItems(s *configv1.ItemSelection) *configv1.ItemSelection {
	if s == nil {
		s = &configv1.ItemSelection{}
	}
	if s.GetMode() == configv1.ItemSelection_MODE_UNSPECIFIED {
		s.Mode = configv1.ItemSelection_MODE_NONE
	}
	return s
}

// checkCookie checks the name of a cookie: visible ASCII without what ends a name in a
// Cookie header. A star is an ordinary character (D11.6).
func checkCookie(name string) error { return checkItem(name, "=;,") }

// checkQueryString checks the name of a query string part, as it stands in a request
// (D11.9).
func checkQueryString(name string) error { return checkItem(name, "=&#") }

func checkItem(name, end string) error {
	switch {
	case name == "":
		return errors.New("is empty; want a name")
	case strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }):
		return errors.New("holds other characters than visible ASCII; want it as it stands in requests")
	case strings.ContainsAny(name, end):
		return fmt.Errorf("is %.100q; want a name without any of %s", name, end)
	}
	return nil
}

// checkHeader is for names of request headers: none of refused, and no wildcard
// (C2.103).
func checkHeader(name string, refused []string, why string) error {
	switch err := rules.CheckToken(name, maxHeaderName); {
	case err != nil:
		return err
	case strings.Contains(name, "*"):
		return fmt.Errorf("is %.100q; there are no wildcards here", name)
	case among(name, refused):
		return fmt.Errorf("is %.100q, %s", name, why)
	}
	return nil
}

// wildcards warns of stars in names of cookies and query strings, where they mean
// themselves (C2.103, D11.6).
func wildcards(field string, s *configv1.ItemSelection) []string {
	var out []string
	for i, n := range s.GetNames() {
		if strings.Contains(n, "*") {
			out = append(out, fmt.Sprintf("%s.names[%d]: the star in %q is an ordinary character and stands for no others", field, i, n))
		}
	}
	return out
}
