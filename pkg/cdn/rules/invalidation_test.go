// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

var usual = InvalidationLimits{Paths: 3000, Wildcards: 15}

func numbered(n int, form string) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(form, i))
	}
	return out
}

func TestCheckInvalidation(t *testing.T) {
	long := "/" + strings.Repeat("a", 3999)
	for _, tt := range []struct {
		name        string
		paths, tags []string
		field, want string // of the only violation; empty for none
	}{
		{"C2.362: root", []string{"/"}, nil, "", ""},
		{"C2.362: everything", []string{"/*"}, nil, "", ""},
		{"C2.362: a folder", []string{"/images/*"}, nil, "", ""},
		{"C2.362: a prefix", []string{"/images/image*"}, nil, "", ""},
		{"C2.362: a query", []string{"/index.html?v=1"}, nil, "", ""},
		{"C2.362: an escape", []string{"/a%20b"}, nil, "", ""},
		{"C2.362: a literal star", []string{"/images/*/x"}, nil, "", ""},
		{"C2.362: 4,000 characters", []string{long}, nil, "", ""},
		{"D25.8: tilde, plain and encoded", []string{"/~a", "/%7ea/b"}, nil, "", ""},
		{"C2.169: sub-delimiters", []string{"/a!$&'()*+,;=:@b"}, nil, "", ""},
		{"C2.362: without a slash", []string{"images/a.jpg"}, nil, "paths[0]", ReasonInvalid},
		{"C2.362: a space", []string{"/a b"}, nil, "paths[0]", ReasonInvalid},
		{"C2.362: empty", []string{"/a", ""}, nil, "paths[1]", ReasonInvalid},
		{"C2.362: 4,001 characters", []string{long + "a"}, nil, "paths[0]", ReasonInvalid},
		{"C2.362: a tag among paths", []string{"#prod-42"}, nil, "paths[0]", ReasonInvalid},
		{"C2.169: not ASCII", []string{"/ä"}, nil, "paths[0]", ReasonInvalid},
		{"C2.169: a fragment", []string{"/a#b"}, nil, "paths[0]", ReasonInvalid},
		{"C2.169: unsafe", []string{"/a|b"}, nil, "paths[0]", ReasonInvalid},
		{"C2.169: half an escape", []string{"/a%2"}, nil, "paths[0]", ReasonInvalid},
		{"C2.169: no escape", []string{"/100%/x"}, nil, "paths[0]", ReasonInvalid},
		{"C2.169: with the host", []string{"http://www.example.com/a"}, nil, "paths[0]", ReasonInvalid},
		{"C2.170: tags", nil, []string{"prod-42", "!", strings.Repeat("t", 256)}, "", ""},
		{"C2.362: an empty tag", nil, []string{""}, "tags[0]", ReasonInvalid},
		{"C2.362: a comma in a tag", nil, []string{"a,b"}, "tags[0]", ReasonInvalid},
		{"C2.170: a space in a tag", nil, []string{"a b"}, "tags[0]", ReasonInvalid},
		{"C2.170: 257 characters", nil, []string{strings.Repeat("t", 257)}, "tags[0]", ReasonInvalid},
		{"C2.362: nothing", nil, nil, "paths", ReasonInvalid},
		{"C2.171: 3,000 paths and 15 wildcards", append(numbered(3000, "/%d"), numbered(15, "/%d*")...), nil, "", ""},
		{"C2.362: 3,001 paths", numbered(3001, "/%d"), nil, "paths", ReasonBatchTooLarge},
		{"C2.171: 3,001 paths and tags", numbered(2000, "/%d"), numbered(1001, "t%d"), "paths", ReasonBatchTooLarge},
		{"C2.362: 3,001 paths, the last one an escape", append(numbered(3000, "/%d"), "/%20"), nil, "paths", ReasonBatchTooLarge},
		{"C2.172: the same twice, once escaped", append(numbered(1000, "/%d"), numbered(1000, "/%%3%d")[:10]...), nil, "", ""},
		{"C2.362: 16 wildcards", numbered(16, "/%d*"), nil, "paths", ReasonTooManyInvalidations},
		{"C2.172: a wildcard twice", append(numbered(15, "/%d*"), "/0*"), nil, "", ""},
		{"C8.1: too many bytes", numbered(200, "/%d"+strings.Repeat("x", 3000)), nil, "paths", ReasonBatchTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := CheckInvalidation(&configv1.Invalidation{CallerReference: "r", Paths: tt.paths, Tags: tt.tags}, usual)
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("refused: %+v", got)
			case tt.want != "" && (len(got) != 1 || got[0].Field != tt.field || got[0].Reason != tt.want):
				t.Errorf("%.300v, want one violation %s at %s", got, tt.want, tt.field)
			}
		})
	}
	got := CheckInvalidation(&configv1.Invalidation{Paths: []string{"a", "/b", "c d"}, Tags: []string{","}}, usual)
	var fields []string
	for _, v := range got {
		fields = append(fields, v.Field)
	}
	if diff := cmp.Diff([]string{"caller_reference", "paths[0]", "paths[2]", "tags[0]"}, fields); diff != "" {
		t.Errorf("C2.2: all at once (-want +got):\n%s", diff)
	}
}

func TestCanonicalInvalidation(t *testing.T) {
	inv := &configv1.Invalidation{
		Paths: []string{"/b", "/%61", "/a", "/%7Ex", "/~x", "/%c3%a4", "/%C3%A4", "/x%2a", "/x*"},
		Tags:  []string{"Prod", "prod", "PROD", "other"},
	}
	CanonicalInvalidation(inv)
	if diff := cmp.Diff([]string{"/b", "/a", "/~x", "/%C3%A4", "/x%2A", "/x*"}, inv.GetPaths()); diff != "" {
		t.Errorf("D25.8, C2.172: paths (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"prod", "other"}, inv.GetTags()); diff != "" {
		t.Errorf("C2.170: tags (-want +got):\n%s", diff)
	}
	if paths, wildcards := CountInvalidation(inv); paths != 7 || wildcards != 1 {
		t.Errorf("C2.171: %d paths and %d wildcards, want 7 and 1", paths, wildcards)
	}
}

func TestCanonicalPath(t *testing.T) {
	for _, tt := range []struct{ name, raw, want string }{
		{"D25.8: unreserved are decoded", "/%41%7a%30%2D%2e%5f%7E", "/Az0-._~"},
		{"D25.8: others stay encoded", "/%2f%20%2a", "/%2F%20%2A"},
		{"D25.8: unsafe bytes of a request are encoded", "/a|b\"{\xc3\xa4", "/a%7Cb%22%7B%C3%A4"},
		{"D25.8: a lone percent sign", "/100%/%zz%", "/100%25/%25zz%25"},
		{"D25.8: decoded once", "/%2541", "/%2541"},
		{"D25.3: case stays", "/A?b=C", "/A?b=C"},
		{"D25.7: no slash is added or taken", "/images", "/images"},
		{"D25.7: dots stay", "/a/../b//", "/a/../b//"},
	} {
		if got := CanonicalPath(tt.raw); got != tt.want {
			t.Errorf("%s: %q is %q, want %q", tt.name, tt.raw, got, tt.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.StringOf(rapid.SampledFrom([]rune("%24aAfF*?/| ä"))).Draw(t, "raw")
		once := CanonicalPath(raw)
		if again := CanonicalPath(once); again != once {
			t.Fatalf("D25.8: %q is %q, and of that %q", raw, once, again)
		}
		if err := checkInvalidationPath("/" + once); err != nil && len(once) < maxInvalidationPath {
			t.Fatalf("D25.8: %q is %q, which no invalidation can name: %v", raw, once, err)
		}
	})
}

func FuzzCanonicalPath(f *testing.F) {
	for _, seed := range []string{"", "/a%2", "%", "%%41", "/%c3%A4|", "/a*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once := CanonicalPath(raw)
		if again := CanonicalPath(once); again != once || IsWildcard(raw) != IsWildcard(once) {
			t.Errorf("%q is %q, and of that %q", raw, once, again)
		}
	})
}

func TestInvalidationWarnings(t *testing.T) {
	got := InvalidationWarnings(&configv1.Invalidation{Paths: []string{"/*", "/images/*/x", "/a**", "/b*"}})
	if len(got) != 2 || !strings.HasPrefix(got[0], "paths[1] ") || !strings.HasPrefix(got[1], "paths[2] ") {
		t.Errorf("C2.168, C9.30: %q", got)
	}
}

func TestParseInvalidationName(t *testing.T) {
	d, id, v := ParseInvalidationName("name", "distributions/E1/invalidations/I2ABC")
	if d != "E1" || id != "I2ABC" || len(v) > 0 {
		t.Errorf("C6.11: %q, %q, %v", d, id, v)
	}
	for _, bad := range []string{
		"", "distributions/E1", "distributions/E1/invalidations/", "distributions/E1/invalidations/E1", "distributions/E1/invalidations/I1/x",
		"distributions/e1/invalidations/I1", "invalidations/I1", "distributions/E1/invalidations/i1", "/distributions/E1/invalidations/I1",
		"distributions/E1/invalidations/I" + strings.Repeat("A", 26), "distributions/E1/invalidations/I",
	} {
		if _, _, v := ParseInvalidationName("name", bad); len(v) != 1 || v[0].Field != "name" {
			t.Errorf("C6.11: %q gives %v", bad, v)
		}
	}
}
