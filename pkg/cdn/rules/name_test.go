// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
)

func TestParseName(t *testing.T) {
	const uuid = "658327ea-f89d-4fab-a63d-7e88639e58f6"
	for _, tt := range []struct {
		name string
		c    keys.Collection
		in   string
		want string // empty: refused
	}{
		{"C3.41: distribution", keys.Distributions, "distributions/E2QWRUHAPOMQZL", "E2QWRUHAPOMQZL"},
		{"C3.41: 25 characters", keys.Distributions, "distributions/E" + strings.Repeat("A", 24), "E" + strings.Repeat("A", 24)},
		{"C3.41: a new id", keys.Distributions, "distributions/" + keys.NewDistributionID(), "*"},
		{"C3.41: 26 characters", keys.Distributions, "distributions/E" + strings.Repeat("A", 25), ""},
		{"C3.41: lower case", keys.Distributions, "distributions/e2qwruhapomqzl", ""},
		{"C3.41: other letter first", keys.Distributions, "distributions/I2QWRUHAPOMQZL", ""},
		{"C6.11: slash first", keys.Distributions, "/distributions/E2QWRUHAPOMQZL", ""},
		{"C6.11: slash last", keys.Distributions, "distributions/E2QWRUHAPOMQZL/", ""},
		{"C6.11: other collection", keys.Distributions, "origins/E2QWRUHAPOMQZL", ""},
		{"C6.11: id alone", keys.Distributions, "E2QWRUHAPOMQZL", ""},
		{"C6.11: no id", keys.Distributions, "distributions/", ""},
		{"C6.11: empty", keys.Distributions, "", ""},
		{"C3.41: policy", keys.CachePolicies, "cachePolicies/" + uuid, uuid},
		{"C3.41: policy in upper case", keys.CachePolicies, "cachePolicies/" + strings.ToUpper(uuid), ""},
		{"C3.41: policy without hyphens", keys.CachePolicies, "cachePolicies/" + strings.ReplaceAll(uuid, "-", ""), ""},
		{"C3.41: policy with a letter too many", keys.CachePolicies, "cachePolicies/" + uuid + "0", ""},
		{"C3.41: policy with another letter", keys.CachePolicies, "cachePolicies/g" + uuid[1:], ""},
		{"C6.12: origin", keys.Origins, "origins/o-1", "o-1"},
		{"C6.12: edge", keys.Edges, "edges/e", "e"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, vs := ParseName("name", tt.c, tt.in)
			if tt.want == "" {
				if diff := cmp.Diff([]string{"name INVALID_ARGUMENT"}, found(vs)); got != "" || diff != "" {
					t.Errorf("id %q, violations (-want +got)\n%s", got, diff)
				}
				return
			}
			if vs != nil || got != tt.want && tt.want != "*" {
				t.Errorf("id %q, %v, want %q", got, vs, tt.want)
			}
		})
	}
}

func TestCheckOriginID(t *testing.T) {
	for id, ok := range map[string]bool{
		"a": true, "a-1": true, "a--b": true, "a" + strings.Repeat("0", 62): true,
		"": false, "1a": false, "-a": false, "a-": false, "A": false, "a_b": false, "ä": false, "a/b": false, "a" + strings.Repeat("0", 63): false,
	} {
		var want []string
		if !ok {
			want = []string{"origin_id INVALID_ARGUMENT"}
		}
		if diff := cmp.Diff(want, found(CheckOriginID(id))); diff != "" {
			t.Errorf("C6.12: %q (-want +got)\n%s", id, diff)
		}
	}
}

func TestNamesOfLogConfigurations(t *testing.T) {
	for id, ok := range map[string]bool{
		"a": true, "9_x-": true, strings.Repeat("a", 128): true, "": false, "_a": false, "-a": false, "a.b": false, strings.Repeat("a", 129): false,
	} {
		if _, bad := ParseName("name", keys.RealtimeLogConfigs, keys.RealtimeLogConfigs.Name(id)); (bad == nil) != ok {
			t.Errorf("C2.9: %q: %v", id, bad)
		}
	}
}

func TestPageSize(t *testing.T) {
	for in, want := range map[int32]int{0: 100, 1: 1, 1000: 1000, 1001: 1000, 1 << 30: 1000} {
		if got, vs := PageSize(in); got != want || vs != nil {
			t.Errorf("C6.17: PageSize(%d) = %d, %v, want %d", in, got, vs, want)
		}
	}
	_, vs := PageSize(-1)
	if diff := cmp.Diff([]string{"page_size INVALID_ARGUMENT"}, found(vs)); diff != "" {
		t.Errorf("C6.17: (-want +got)\n%s", diff)
	}
}

func TestCheckCallerReference(t *testing.T) {
	for ref, ok := range map[string]bool{
		"a": true, " ~!": true, strings.Repeat("x", 128): true,
		"": false, "ä": false, "a\n": false, "\x7f": false, strings.Repeat("x", 129): false,
	} {
		var want []string
		if !ok {
			want = []string{"ref INVALID_ARGUMENT"}
		}
		if diff := cmp.Diff(want, found(CheckCallerReference("ref", ref))); diff != "" {
			t.Errorf("C3.19: %q (-want +got)\n%s", ref, diff)
		}
	}
}

func TestCheckLabels(t *testing.T) {
	many := map[string]string{}
	for i := range 50 {
		many[fmt.Sprint("k", i)] = ""
	}
	more := map[string]string{"~last": "*"}
	for k := range many {
		more[k] = ""
	}
	long := strings.Repeat("k", 129)
	for _, tt := range []struct {
		name   string
		labels map[string]string
		want   []string
	}{
		{"C2.160: none", nil, nil},
		{"C2.160: every kind of character", map[string]string{"Größe 1_.:/=+-@": "値 ٣"}, nil},
		{"C2.160: longest", map[string]string{long[:128]: strings.Repeat("ä", 256)}, nil},
		{"C2.160: aws in the middle or in upper case", map[string]string{"x-aws:": "aws:", "AWS:x": ""}, nil},
		{"C4.11: 50", many, nil},
		{"C4.11: 51, the last not looked at", more, []string{"labels INVALID_TAGGING"}},
		{"C2.160: by key", map[string]string{"b": strings.Repeat("x", 257), "a#": "", "aws:x": "*", long: ""}, []string{
			`labels["a#"] INVALID_TAGGING`, `labels["aws:x"] INVALID_TAGGING`, `labels["aws:x"] INVALID_TAGGING`,
			`labels["b"] INVALID_TAGGING`, `labels["` + long[:100] + `"] INVALID_TAGGING`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, found(CheckLabels("labels", tt.labels))); diff != "" {
				t.Errorf("violations (-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzParseName(f *testing.F) {
	f.Add("distributions/E2QWRUHAPOMQZL")
	f.Add("cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6")
	f.Add("origins/a-1")
	f.Fuzz(func(t *testing.T, name string) {
		for _, c := range []keys.Collection{keys.Distributions, keys.CachePolicies, keys.Origins, keys.Edges} {
			id, vs := ParseName("name", c, name)
			if vs == nil && c.Name(id) != name {
				t.Errorf("C3.41: %q is accepted and is not %q", name, c.Name(id))
			}
		}
	})
}
