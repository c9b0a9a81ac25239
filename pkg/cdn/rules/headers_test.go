// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// custom makes headers of names and values in turn.
func custom(pairs ...string) []*originv1.OriginHeader {
	var out []*originv1.OriginHeader
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, &originv1.OriginHeader{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

func TestCustomHeaders(t *testing.T) {
	const invalid = " INVALID_ARGUMENT"
	name, value := "custom_headers[0].name"+invalid, "custom_headers[0].value"+invalid
	numbered := func(n, size int) []*originv1.OriginHeader {
		var out []*originv1.OriginHeader
		for i := range n {
			out = append(out, &originv1.OriginHeader{Name: fmt.Sprintf("x-%02d", i), Value: strings.Repeat("v", size)})
		}
		return out
	}
	kept := Kept{`custom_headers["x-a"].value`: 1783, `custom_headers["x-none"].value`: 0}
	for _, tt := range []struct {
		name    string
		headers []*originv1.OriginHeader
		want    []string
	}{
		{"C2.352: what is legal", custom("X-Secret", "hush", "Authorization", "hush", "Origin", "hush", "User-Agent", "hush"), nil},
		{"C5.22: also legal", custom("Accept-Encoding", "gzip", "X-Forwarded-For", "1", "x-forwarded-proto", "https", "X-Amz", "hush", "X-Edge", "hush"), nil},
		{"C5.25: Origin, for CORS of a bucket", custom("Origin", "https://www.example.com"), nil},
		{"C2.352: host", custom("host", "hush"), []string{name}},
		{"C2.352: COOKIE", custom("COOKIE", "hush"), []string{name}},
		{"C2.352: x-amz-foo", custom("x-amz-foo", "hush"), []string{name}},
		{"C2.352: X-Edge-a", custom("X-Edge-a", "hush"), []string{name}},
		{"C6.4: X-Edge-Secret-Ref", custom("X-Edge-Secret-Ref", "hush"), []string{name}},
		{"C6.4: X-Secret-Ref", custom("X-Secret-Ref", "hush"), nil},
		{"C2.352: TE", custom("TE", "hush"), []string{name}},
		{"the edge's own", custom("x-seafront-ID", "hush"), []string{name}},
		{"C2.352: a blank in the name", custom("X Bad", "hush"), []string{name}},
		{"a line end in the name", custom("X\r\nBad", "hush"), []string{name}},
		{"C2.352: no name", custom("", "hush"), []string{name}},
		{"C2.352: twice", custom("X-A", "hush", "x-a", "hush"), []string{"custom_headers[1].name" + invalid}},
		{"C2.352: CR", custom("X-A", "hush\r"), []string{value}},
		{"C2.352: LF", custom("X-A", "hu\nsh"), []string{value}},
		{"NUL", custom("X-A", "hush\x00"), []string{value}},
		{"beyond ASCII", custom("X-A", "hüsh"), []string{value}},
		{"blanks within", custom("X-A", "hu \tsh"), nil},
		{"a blank before", custom("X-A", " hush"), []string{value}},
		{"a blank behind", custom("X-A", "hush\t"), []string{value}},
		{"C4.17: a name of 256", custom(strings.Repeat("x", 256), "hush"), nil},
		{"C2.352: a name of 257", custom(strings.Repeat("x", 257), "hush"), []string{name}},
		{"C4.17: a value of 1783", custom("X-A", strings.Repeat("v", 1783)), nil},
		{"C2.352: a value of 1784", custom("X-A", strings.Repeat("v", 1784)), []string{value}},
		{"C4.16: 30 headers", numbered(30, 1), nil},
		{"C2.352: 31 headers", numbered(31, 1), []string{"custom_headers TOO_MANY_ORIGIN_CUSTOM_HEADERS"}},
		{"C4.17: 10240 bytes in all", numbered(10, 1020), nil},
		{"C4.17: 10250 bytes in all", numbered(10, 1021), []string{"custom_headers" + invalid}},
		{"C4.17: stored ones count", append(numbered(10, 843), custom("X-A", "")...), []string{"custom_headers" + invalid}},
		{"C9.42: stored ones that fit", append(numbered(10, 841), custom("X-A", "")...), nil},
		{"C9.42: without a value, and none stored", custom("X-B", ""), []string{value}},
		{"C9.42: stored without a value", custom("X-None", ""), nil},
		{"C9.42: clear", []*originv1.OriginHeader{{Name: "X-New", Clear: true}}, nil},
		{"C9.42: clear and a value", []*originv1.OriginHeader{{Name: "X-A", Value: "hush", Clear: true}}, []string{"custom_headers[0].clear" + invalid}},
		{"C2.2: all at once", custom("host", "hush\n", "X-B", ""), []string{name, value, "custom_headers[1].value" + invalid}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &originv1.Origin{Endpoint: server("o.example.net"), CustomHeaders: tt.headers}
			DefaultOrigin(o)
			vs := CheckOrigin(o, Limits{Kept: kept})
			if diff := cmp.Diff(tt.want, found(vs)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for _, v := range vs {
				if strings.Contains(v.Description, "hush") || strings.Contains(v.Description, "hüsh") {
					t.Errorf("C5.24: a value is repeated: %+v", v)
				}
			}
			d := valid()
			var own []*configv1.OriginCustomHeader
			for _, h := range tt.headers {
				own = append(own, &configv1.OriginCustomHeader{Name: h.GetName(), Value: h.GetValue(), Clear: h.GetClear()})
			}
			d.Config.Origins[0].CustomHeaders = own
			keptHere := Kept{}
			for at, n := range kept {
				keptHere[`config.origins["web"].`+at] = n
			}
			DefaultDistribution(d)
			var want []string
			for _, w := range tt.want {
				want = append(want, "config.origins[0]."+w)
			}
			if diff := cmp.Diff(want, found(CheckDistribution(d, Limits{Kept: keptHere}))); diff != "" {
				t.Errorf("in a distribution: (-want +got)\n%s", diff)
			}
		})
	}
}

// Every name of C5.21 is refused in any case of letters, and D15.6 names the same.
func TestRefusedCustomHeaders(t *testing.T) {
	refused := strings.Split("Cache-Control Connection Content-Length Cookie Host If-Match If-Modified-Since If-None-Match If-Range "+
		"If-Unmodified-Since Max-Forwards Pragma Proxy-Authenticate Proxy-Authorization Proxy-Connection Range Request-Range TE Trailer "+
		"Transfer-Encoding Upgrade Via X-Real-Ip X-Amz-Cf-Id X-Edge-Location", " ")
	for _, n := range refused {
		for _, spelled := range []string{n, strings.ToUpper(n), strings.ToLower(n)} {
			o := &originv1.Origin{Endpoint: server("o.example.net"), CustomHeaders: custom(spelled, "v")}
			if got := checkOrigin(o); !slices.Equal(got, []string{"custom_headers[0].name INVALID_ARGUMENT"}) {
				t.Errorf("C5.21: %s: %v", spelled, got)
			}
		}
	}
}

// TestCustomHeadersLimit: C4.1, C4.16: an installation sets how many there may be, and
// what was there before stays.
func TestCustomHeadersLimit(t *testing.T) {
	o := &originv1.Origin{Endpoint: server("o.example.net"), CustomHeaders: custom("X-A", "a", "X-B", "b", "X-C", "c")}
	DefaultOrigin(o)
	for most, want := range map[int][]string{0: nil, 3: nil, 2: {"custom_headers TOO_MANY_ORIGIN_CUSTOM_HEADERS"}} {
		if diff := cmp.Diff(want, found(CheckOrigin(o, Limits{CustomHeaders: most}))); diff != "" {
			t.Errorf("C4.16: at most %d (-want +got)\n%s", most, diff)
		}
	}
	d := valid()
	for _, h := range o.GetCustomHeaders() {
		d.Config.Origins[0].CustomHeaders = append(d.Config.Origins[0].CustomHeaders, &configv1.OriginCustomHeader{Name: h.GetName(), Value: h.GetValue()})
	}
	DefaultDistribution(d)
	low := Limits{CustomHeaders: 2}
	if got := found(CheckDistribution(d, low)); len(got) != 1 || !strings.HasSuffix(got[0], "TOO_MANY_ORIGIN_CUSTOM_HEADERS") {
		t.Errorf("C4.16: %q", got)
	}
	if got := found(CheckDistribution(d, low.Allowing(d))); len(got) > 0 {
		t.Errorf("C4.1: what was there is refused: %q", got)
	}
}
