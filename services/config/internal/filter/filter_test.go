// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/services/config/internal/filter"
)

// TestParse: C6.17, what is taken, by its one form.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		" \t\n":                          "",
		`alias = "www.example.com"`:      `alias = "www.example.com"`,
		`alias=www.example.com`:          `alias = "www.example.com"`,
		`alias=*.example.com`:            `alias = "*.example.com"`,
		`config.enabled=true AND a = ""`: `config.enabled = "true" AND a = ""`,
		`labels.env = "a b"`:             `labels."env" = "a b"`,
		`labels."cost center" = x`:       `labels."cost center" = "x"`,
		`labels.a/b.c=x`:                 `labels."a/b.c" = "x"`,
		`a = "say \"AND\" \\"`:           `a = "say \"AND\" \\"`,
		`a = "ü"`:                        `a = "ü"`,
		"a = b\nAND\tc = d":              `a = "b" AND c = "d"`,
		`cache_policy = cachePolicies/x`: `cache_policy = "cachePolicies/x"`,
	} {
		f, err := filter.Parse(text, "labels")
		if err != nil || f.String() != want {
			t.Errorf("C6.17: %q = %q, %v, want %q", text, f, err, want)
		}
	}
}

// TestRefuse: C6.17, what is refused, and where.
func TestRefuse(t *testing.T) {
	for text, at := range map[string]int{
		`alias`:                6,
		`alias =`:              8,
		`= x`:                  1,
		`a > b`:                3,
		`a != b`:               3,
		`a : b`:                3,
		`a = b c = d`:          7,
		`a = b AND`:            10,
		`a = b OR c = d`:       7,
		`NOT a = b`:            1,
		`a = "x`:               5,
		`a = "ü" OR`:           9,
		`a = "\n"`:             6,
		`a. = b`:               3,
		`.a = b`:               1,
		`labels. = b`:          8,
		`(a = b)`:              1,
		`a = (b)`:              5,
		`a = "b"AND`:           11,
		"a = \xff":             1,
		`a = ü`:                5,
		`AND a = b`:            1,
		"a = b " + "\x00c = d": 7,
	} {
		_, err := filter.Parse(text, "labels")
		e, ok := errors.AsType[*filter.Error](err)
		if !ok || e.Position != at {
			t.Errorf("C6.17: %q: %v, want an error at %d", text, err, at)
		}
	}
	many := strings.TrimSuffix(strings.Repeat("a = b AND ", filter.MaxTerms), " AND ")
	if _, err := filter.Parse(many); err != nil {
		t.Errorf("%d comparisons: %v", filter.MaxTerms, err)
	}
	if _, err := filter.Parse(many + " AND a = b"); err == nil {
		t.Errorf("%d comparisons were taken", filter.MaxTerms+1)
	}
	if _, err := filter.Parse(`a = "` + strings.Repeat("x", filter.MaxLength) + `"`); err == nil {
		t.Errorf("more than %d characters were taken", filter.MaxLength)
	}
}

// FuzzParse: nothing panics, and the one form of a filter is read as the same filter.
func FuzzParse(f *testing.F) {
	for _, s := range []string{``, `a = b`, `labels."x\"" = "y\\" AND a.b = c/d`, `a = "x`, `a = ü`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := filter.Parse(text, "labels")
		if err != nil {
			if e, ok := errors.AsType[*filter.Error](err); !ok || e.Position < 1 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := filter.Parse(first.String(), "labels")
		if err != nil && len(first.String()) > filter.MaxLength {
			return // quotes and blanks have made it longer
		}
		same := func(a, b filter.Term) bool { return a.Field == b.Field && a.Key == b.Key && a.Value == b.Value }
		if err != nil || !slices.EqualFunc(first, again, same) {
			t.Fatalf("%q is %q, which is read as %q, %v", text, first, again, err)
		}
	})
}
