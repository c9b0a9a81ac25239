// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// in writes violations down as field and reason, without the reason that most have.
func in(vs []rules.Violation) string {
	var out []string
	for _, v := range vs {
		out = append(out, strings.TrimSuffix(v.Field+" "+v.Reason, " "+rules.ReasonInvalid))
	}
	return strings.Join(out, ", ")
}

func names(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("name-%d", i))
	}
	return out
}

func cachePolicy(change func(*configv1.CachePolicy)) *configv1.CachePolicy {
	p := &configv1.CachePolicy{DisplayName: "mine", MinTtl: durationpb.New(0)}
	change(p)
	DefaultCache(p)
	return p
}

// The vectors of C2.356; -1 is an absent value.
func TestTTLs(t *testing.T) {
	for _, tt := range []struct {
		rule             string
		least, def, most int64
		bad              string
		wantDef, wantMax int64
	}{
		{"C2.92: a day", 0, -1, -1, "", 86400, 31536000},
		{"C2.92: the longer", 100000, -1, -1, "", 100000, 31536000},
		{"C2.93: the longer", 40000000, -1, -1, "", 40000000, 40000000},
		{"C2.93: default_ttl is the longer", 0, 40000000, -1, "", 40000000, 40000000},
		{"C9.17: given", 1, 2, 3, "", 2, 3},
		{"C2.99: equal", 7, 7, 7, "", 7, 7},
		{"C2.93: the cap", 3153600000, -1, -1, "", 3153600000, 3153600000},
		{"C2.99: default below min", 5, 3, -1, "default_ttl", 3, 31536000},
		{"C2.99: max below default", 0, 10, 5, "max_ttl", 10, 5},
		{"C2.99: max below the derived default", 0, -1, 60, "max_ttl", 86400, 60},
		{"C2.93: above the cap", 0, 0, 3153600001, "max_ttl", 0, 3153600001},
		{"C2.91: above the cap", 3153600001, -1, -1, "min_ttl, default_ttl, max_ttl", 3153600001, 3153600001},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			seconds := func(s int64) *durationpb.Duration {
				if s < 0 {
					return nil
				}
				return &durationpb.Duration{Seconds: s}
			}
			p := cachePolicy(func(p *configv1.CachePolicy) {
				p.MinTtl, p.DefaultTtl, p.MaxTtl = seconds(tt.least), seconds(tt.def), seconds(tt.most)
			})
			if got := in(CheckCache(p, DefaultItems())); got != tt.bad {
				t.Errorf("violations %q, want %q", got, tt.bad)
			}
			if p.GetDefaultTtl().GetSeconds() != tt.wantDef || p.GetMaxTtl().GetSeconds() != tt.wantMax {
				t.Errorf("default %v, max %v", p.GetDefaultTtl(), p.GetMaxTtl())
			}
			again := proto.CloneOf(p)
			if DefaultCache(again); !proto.Equal(p, again) {
				t.Error("defaults are not idempotent")
			}
		})
	}
}

func TestCheckCache(t *testing.T) {
	const cache = "_IN_CACHE_POLICY"
	headers := func(p *configv1.CachePolicy, names ...string) {
		p.Headers = &configv1.HeaderSelection{Mode: configv1.HeaderSelection_MODE_LISTED, Names: names}
	}
	items := func(mode configv1.ItemSelection_Mode, names ...string) *configv1.ItemSelection {
		return &configv1.ItemSelection{Mode: mode, Names: names}
	}
	const http = configv1.CacheSemantics_CACHE_SEMANTICS_HTTP
	const listed, except, all, none = configv1.ItemSelection_MODE_LISTED, configv1.ItemSelection_MODE_ALL_EXCEPT, configv1.ItemSelection_MODE_ALL, configv1.ItemSelection_MODE_NONE
	for _, tt := range []struct {
		rule   string
		change func(p *configv1.CachePolicy)
		bad    string
	}{
		{"C2.94: nothing said of the key", func(*configv1.CachePolicy) {}, ""},
		{"C2.9: no name", func(p *configv1.CachePolicy) { p.DisplayName = "" }, "display_name"},
		{"C2.9: 128 characters", func(p *configv1.CachePolicy) { p.DisplayName = strings.Repeat("a", 128) }, ""},
		{"C2.9: 129 characters", func(p *configv1.CachePolicy) { p.DisplayName = strings.Repeat("a", 129) }, "display_name"},
		{"C2.9: hyphen first", func(p *configv1.CachePolicy) { p.DisplayName = "-a" }, "display_name"},
		{"C2.9: digit first", func(p *configv1.CachePolicy) { p.DisplayName = "1_-a" }, ""},
		{"C2.9: space", func(p *configv1.CachePolicy) { p.DisplayName = "a b" }, "display_name"},
		{"C2.90: 128 characters", func(p *configv1.CachePolicy) { p.Comment = strings.Repeat("ü", 128) }, ""},
		{"C2.90: 129 characters", func(p *configv1.CachePolicy) { p.Comment = strings.Repeat("ü", 129) }, "comment"},
		{"C2.91: none", func(p *configv1.CachePolicy) { p.MinTtl = nil }, "min_ttl"},
		{"C2.91: below zero", func(p *configv1.CachePolicy) { p.MinTtl = durationpb.New(-time.Second) }, "min_ttl"},
		{"C6.13: half a second", func(p *configv1.CachePolicy) { p.MinTtl = durationpb.New(time.Second / 2) }, "min_ttl"},
		{"C2.100: nothing", func(p *configv1.CachePolicy) { p.DefaultTtl, p.MaxTtl = durationpb.New(0), durationpb.New(0) }, ""},
		{"C2.100, C2.356: gzip", func(p *configv1.CachePolicy) {
			p.DefaultTtl, p.MaxTtl, p.AcceptEncodingGzip = durationpb.New(0), durationpb.New(0), true
		}, "accept_encoding_gzip"},
		{"C2.100: everything", func(p *configv1.CachePolicy) {
			p.DefaultTtl, p.MaxTtl, p.AcceptEncodingGzip, p.AcceptEncodingBrotli = durationpb.New(0), durationpb.New(0), true, true
			headers(p, "Origin")
			p.Cookies, p.QueryStrings = items(all), items(listed, "a")
		}, "accept_encoding_gzip, accept_encoding_brotli, headers.mode, cookies.mode, query_strings.mode"},
		{"C2.358: Authorization and Origin", func(p *configv1.CachePolicy) { headers(p, "Authorization", "Origin") }, ""},
		{"C2.101: Host, until it meets a bucket", func(p *configv1.CachePolicy) { headers(p, "Host") }, ""},
		{"C2.358: Accept-Encoding with Brotli", func(p *configv1.CachePolicy) {
			p.AcceptEncodingBrotli = true
			headers(p, "accept-encoding")
		}, "headers.names[0]"},
		{"C2.101: Accept-Encoding alone", func(p *configv1.CachePolicy) { headers(p, "Accept-Encoding") }, ""},
		{"C2.358, C2.101: not in a key", func(p *configv1.CachePolicy) {
			headers(p, "Cookie", "cloudfront-viewer-address", "X-Edge-", "x-edge-location", "X-Edge", "Te", "CloudFront-Viewer-Country")
		}, "headers.names[0], headers.names[1], headers.names[2], headers.names[3], headers.names[5]"},
		{"C2.358: 10 headers", func(p *configv1.CachePolicy) { headers(p, names(10)...) }, ""},
		{"C2.358, C4.31: 11 headers", func(p *configv1.CachePolicy) { headers(p, names(11)...) }, "headers.names TOO_MANY_HEADERS" + cache},
		{"C2.358: an empty list", func(p *configv1.CachePolicy) { headers(p) }, "headers.names"},
		{"C2.358: none with a list", func(p *configv1.CachePolicy) { p.Headers = &configv1.HeaderSelection{Names: []string{"Origin"}} }, "headers.names"},
		{"C2.96: no header", func(p *configv1.CachePolicy) { headers(p, "", "a b", "ü", "a:", strings.Repeat("a", 257)) },
			"headers.names[0], headers.names[1], headers.names[2], headers.names[3], headers.names[4]"},
		{"C2.96: twice", func(p *configv1.CachePolicy) { headers(p, "Origin", "origin") }, "headers.names[1]"},
		{"C2.103: a wildcard", func(p *configv1.CachePolicy) { headers(p, "X-*") }, "headers.names[0]"},
		{"C2.104: neither all but some, nor all", func(p *configv1.CachePolicy) { p.Headers = &configv1.HeaderSelection{Mode: 3} }, "headers.mode UNKNOWN_ENUM_VALUE"},
		{"C2.97: all", func(p *configv1.CachePolicy) { p.Cookies = items(all) }, ""},
		{"C2.97: all but some", func(p *configv1.CachePolicy) { p.Cookies = items(except, "a", "A", "a*") }, ""},
		{"C2.97: all with a list", func(p *configv1.CachePolicy) { p.Cookies = items(all, "a") }, "cookies.names"},
		{"C2.97: an empty list", func(p *configv1.CachePolicy) { p.Cookies = items(except) }, "cookies.names"},
		{"C2.97: twice", func(p *configv1.CachePolicy) { p.Cookies = items(listed, "a", "a") }, "cookies.names[1]"},
		{"C2.97: no names of cookies", func(p *configv1.CachePolicy) { p.Cookies = items(listed, "", "a=b", "a;", "a b") },
			"cookies.names[0], cookies.names[1], cookies.names[2], cookies.names[3]"},
		{"C2.97, C4.31: 11 cookies", func(p *configv1.CachePolicy) { p.Cookies = items(listed, names(11)...) }, "cookies.names TOO_MANY_COOKIES" + cache},
		{"C2.98: none with a list", func(p *configv1.CachePolicy) { p.QueryStrings = items(none, "a") }, "query_strings.names"},
		{"C2.98: no names of query strings", func(p *configv1.CachePolicy) { p.QueryStrings = items(listed, "a&b", "#", "%41") },
			"query_strings.names[0], query_strings.names[1]"},
		{"C2.98, C4.31: 11 query strings", func(p *configv1.CachePolicy) { p.QueryStrings = items(listed, names(11)...) }, "query_strings.names TOO_MANY_QUERY_STRINGS" + cache},
		{"C2.102, C4.33: 1024 characters", func(p *configv1.CachePolicy) {
			headers(p, strings.Repeat("a", 256), strings.Repeat("b", 256))
			p.Cookies, p.QueryStrings = items(listed, strings.Repeat("c", 500)), items(listed, strings.Repeat("d", 12))
		}, ""},
		{"C2.102, C4.33: 1025 characters", func(p *configv1.CachePolicy) {
			p.Cookies, p.QueryStrings = items(listed, strings.Repeat("c", 1000)), items(listed, strings.Repeat("d", 25))
		}, "cookies"},
		{"design 3.16: the semantics of HTTP", func(p *configv1.CachePolicy) { p.Semantics, p.HeuristicFreshness, p.CacheStatus = http, true, true }, ""},
		{"design 3.16: no answer is kept for longer than its origin says", func(p *configv1.CachePolicy) { p.Semantics, p.MinTtl = http, durationpb.New(time.Second) }, "min_ttl"},
		{"design 3.16: Last-Modified says nothing elsewhere", func(p *configv1.CachePolicy) { p.HeuristicFreshness, p.CacheStatus = true, true }, "heuristic_freshness"},
		{"C6.60: semantics of a newer release", func(p *configv1.CachePolicy) { p.Semantics = 9 }, "semantics UNKNOWN_ENUM_VALUE"},
		{"C6.60: a mode of a newer release", func(p *configv1.CachePolicy) { p.QueryStrings = items(9) }, "query_strings.mode UNKNOWN_ENUM_VALUE"},
		{"C2.2: all at once", func(p *configv1.CachePolicy) {
			p.DisplayName, p.MinTtl, p.Labels = "", nil, map[string]string{"aws:x": ""}
			headers(p, "TE")
		}, `display_name, min_ttl, headers.names[0], labels["aws:x"] INVALID_TAGGING`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := in(CheckCache(cachePolicy(tt.change), DefaultItems())); got != tt.bad {
				t.Errorf("violations %q, want %q", got, tt.bad)
			}
		})
	}
}

func TestDefaultsOfHTTP(t *testing.T) {
	p := cachePolicy(func(p *configv1.CachePolicy) { p.Semantics = configv1.CacheSemantics_CACHE_SEMANTICS_HTTP })
	if p.GetDefaultTtl() == nil || p.GetDefaultTtl().GetSeconds() != 0 || p.GetMaxTtl().GetSeconds() != 31536000 {
		t.Errorf("design 3.16: an answer has no lifetime that nobody gave it: %v", p)
	}
	p.DefaultTtl = durationpb.New(time.Hour)
	if w := CacheWarnings(p); len(w) != 1 || !strings.HasPrefix(w[0], "default_ttl: ") {
		t.Errorf("warnings %q", w)
	}
}

func TestQuotasOfItems(t *testing.T) {
	p := cachePolicy(func(p *configv1.CachePolicy) {
		p.Headers = &configv1.HeaderSelection{Mode: configv1.HeaderSelection_MODE_LISTED, Names: names(11)}
		p.Cookies = &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_LISTED, Names: names(2)}
	})
	if got, want := in(CheckCache(p, Items{Headers: 11, Cookies: 1, QueryStrings: 0})), "cookies.names TOO_MANY_COOKIES_IN_CACHE_POLICY"; got != want {
		t.Errorf("C4.31: violations %q, want %q", got, want)
	}
}

func TestManagedCachePoliciesAreValid(t *testing.T) {
	for _, p := range managed.CachePolicies() {
		complete := proto.CloneOf(p)
		if DefaultCache(complete); !proto.Equal(p, complete) {
			t.Errorf("C1.82: %s lacks a default", p.GetDisplayName())
		}
		if got := in(CheckCache(p, DefaultItems())); got != "" {
			t.Errorf("C1.82: %s: %s", p.GetDisplayName(), got)
		}
	}
}

func TestCacheWarnings(t *testing.T) {
	p := cachePolicy(func(p *configv1.CachePolicy) {
		p.MinTtl = durationpb.New(time.Minute)
		p.QueryStrings = &configv1.ItemSelection{Mode: configv1.ItemSelection_MODE_LISTED, Names: []string{"a", "utm_*"}}
	})
	var got []string
	for _, w := range CacheWarnings(p) {
		field, _, _ := strings.Cut(w, ":")
		got = append(got, field)
	}
	if want := []string{"min_ttl", "query_strings.names[1]"}; !slices.Equal(got, want) {
		t.Errorf("C9.18, D11.6: warnings at %q, want %q", got, want)
	}
	if w := CacheWarnings(cachePolicy(func(*configv1.CachePolicy) {})); w != nil {
		t.Errorf("warnings %q of a plain policy", w)
	}
}

// Whatever is stored or sent must not make the rules panic.
func FuzzPolicies(f *testing.F) {
	f.Add([]byte{})
	b, err := proto.Marshal(cachePolicy(func(*configv1.CachePolicy) {}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var c configv1.CachePolicy
		if proto.Unmarshal(b, &c) == nil {
			DefaultCache(&c)
			if len(CheckCache(&c, DefaultItems())) == 0 {
				CacheWarnings(&c)
				if c.GetMinTtl().AsDuration() > c.GetDefaultTtl().AsDuration() || c.GetDefaultTtl().AsDuration() > c.GetMaxTtl().AsDuration() {
					t.Errorf("C2.99: %v passes", &c)
				}
			}
		}
		var o configv1.OriginRequestPolicy
		if proto.Unmarshal(b, &o) == nil {
			DefaultOriginRequest(&o)
			CheckOriginRequest(&o, DefaultItems())
			OriginRequestWarnings(&o)
		}
		var r configv1.ResponseHeadersPolicy
		if proto.Unmarshal(b, &r) == nil {
			CheckResponseHeaders(&r, DefaultResponse())
			ResponseHeadersWarnings(&r)
		}
	})
}
