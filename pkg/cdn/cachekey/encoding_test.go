// SPDX-License-Identifier: Apache-2.0

package cachekey_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
)

func TestEncoding(t *testing.T) {
	const absent = "absent"
	both, gzip, brotli, neither := keyEncoding(true, true), keyEncoding(true, false), keyEncoding(false, true), keyEncoding(false, false)
	for _, tt := range []struct {
		name   string
		policy cachekey.Policy
		viewer string // Accept-Encoding
		want   cachekey.Class
		sent   string // empty: no header
	}{
		{"D11.16: both enabled, both listed", both, "gzip, deflate, br", cachekey.BrotliGzip, "br,gzip"},
		{"D11.16: both enabled, gzip listed", both, "gzip", cachekey.Gzip, "gzip"},
		{"D11.16: both enabled, br listed", both, "br", cachekey.Brotli, "br"},
		{"D11.16: both enabled, neither listed", both, "deflate", cachekey.Identity, "identity"},
		{"D11.16: both enabled, empty header", both, "", cachekey.Identity, "identity"},
		{"D11.16: gzip enabled, both listed", gzip, "gzip, br", cachekey.Gzip, "gzip"},
		{"D11.16: gzip enabled, br listed", gzip, "br", cachekey.Identity, "identity"},
		{"D11.16: br enabled, both listed", brotli, "gzip, br", cachekey.Brotli, "br"},
		{"D11.16: br enabled, gzip listed", brotli, "gzip", cachekey.Identity, "identity"},
		{"D11.16: header absent", both, absent, cachekey.Unkeyed, ""},
		{"D11.16: none enabled", neither, "gzip, br", cachekey.Unkeyed, ""},
		{"D11.17: token, not substring", both, "gzipped, brotli, x-gzip", cachekey.Identity, "identity"},
		{"D11.17: star is no token of either", both, "*", cachekey.Identity, "identity"},
		{"D11.17: case", both, "GZip, BR", cachekey.BrotliGzip, "br,gzip"},
		{"D11.17: no spaces", both, "deflate,gzip,br", cachekey.BrotliGzip, "br,gzip"},
		{"D11.17: weights", both, "br;q=0.001, gzip;q=1.0", cachekey.BrotliGzip, "br,gzip"},
		{"D11.17: weight zero", both, "gzip, br;q=0", cachekey.Gzip, "gzip"},
		{"D11.17: weight zero with decimals", both, "gzip, br ; Q=0.000", cachekey.Gzip, "gzip"},
		{"D11.17: weight zero of the only one", both, "gzip;q=0", cachekey.Identity, "identity"},
		{"D11.17: zero behind another parameter", both, "gzip;level=9;q=0, br", cachekey.Brotli, "br"},
		{"D11.17: listed twice, excluded once", both, "gzip, gzip;q=0", cachekey.Identity, "identity"},
		{"D11.17: no weight behind q", both, "gzip;q=", cachekey.Gzip, "gzip"},
		{"D11.17: something else is zero", both, "gzip;level=0", cachekey.Gzip, "gzip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := get("Accept-Encoding", tt.viewer)
			if tt.viewer == absent {
				in = get()
			}
			_, got := tt.policy.Build(in)
			want := cachekey.Forward{Encoding: tt.want, AcceptEncoding: tt.sent, HasAcceptEncoding: tt.sent != ""}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestEncodingLines(t *testing.T) {
	p := keyEncoding(true, true)
	_, got := p.Build(get("Accept-Encoding", "gzip", "accept-encoding", "br"))
	if got.Encoding != cachekey.BrotliGzip {
		t.Errorf("D11.16: two lines are of class %v, want %v", got.Encoding, cachekey.BrotliGzip)
	}
}

func TestEncodingAsPlainHeader(t *testing.T) {
	p := cachekey.NewPolicy([]string{"accept-encoding"}, none, none, true, true)
	_, got := p.Build(get("Accept-Encoding", "zstd, gzip"))
	want := cachekey.Forward{Encoding: cachekey.Unkeyed, Header: fields("accept-encoding", "zstd, gzip")}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("D11.19: (-want +got)\n%s", d)
	}
}

// A store of one path: who is served what after whom (D11.18).
func TestLookupByClass(t *testing.T) {
	p := keyEncoding(true, true)
	for _, tt := range []struct {
		name    string
		first   string // Accept-Encoding of the viewer whose miss was stored
		content string // Content-Encoding of that answer
		then    string // Accept-Encoding of the next viewer
		hit     bool
	}{
		{"D11.18: gzip object for a viewer of both", "gzip", "gzip", "gzip, br", true},
		{"D11.18: br object for a viewer of both", "br", "br", "gzip, br", true},
		{"D11.18: br object is no match for gzip", "br", "br", "gzip", false},
		{"D11.18: gzip object is no match for br", "gzip", "gzip", "br", false},
		{"D11.18: gzip object of a viewer of both, for gzip", "gzip, br", "gzip", "gzip", true},
		{"D11.18: gzip object of a viewer of both, for both", "gzip, br", "gzip", "br, gzip", true},
		{"D11.18: gzip object of a viewer of both, not for br", "gzip, br", "gzip", "br", false},
		{"D11.18: br object of a viewer of both, for br", "gzip, br", "br", "br", true},
		{"D11.18: br object of a viewer of both, not for gzip", "gzip, br", "br", "gzip", false},
		{"D11.18: plain object of a viewer of both, for both", "gzip, br", "", "br, gzip", true},
		{"D11.18: plain object of a viewer of both, not for gzip", "gzip, br", "", "gzip", false},
		{"D11.18: gzip object, not for a viewer of none", "gzip", "gzip", "identity", false},
		{"D11.16: neither listed, either way", "identity", "", "deflate", true},
		{"D11.18: case of Content-Encoding", "gzip, br", " GZIP", "gzip", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, f := p.Build(get("Accept-Encoding", tt.first))
			stored := key.WithEncoding(cachekey.StoredClass(f.Encoding, tt.content))
			key, f = p.Build(get("Accept-Encoding", tt.then))
			hit := slices.ContainsFunc(f.Encoding.Candidates(), func(c cachekey.Class) bool { return key.WithEncoding(c) == stored })
			if hit != tt.hit {
				t.Errorf("hit: %v, want %v", hit, tt.hit)
			}
		})
	}
}

func TestCandidates(t *testing.T) {
	for class, want := range map[cachekey.Class][]cachekey.Class{
		0:                   {cachekey.Unkeyed},
		cachekey.Unkeyed:    {cachekey.Unkeyed},
		cachekey.Identity:   {cachekey.Identity},
		cachekey.Gzip:       {cachekey.Gzip},
		cachekey.Brotli:     {cachekey.Brotli},
		cachekey.BrotliGzip: {cachekey.BrotliGzip, cachekey.Gzip, cachekey.Brotli},
		200:                 {cachekey.Unkeyed},
	} {
		t.Run("D11.18: "+class.String(), func(t *testing.T) {
			if d := cmp.Diff(want, class.Candidates()); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestWithEncoding(t *testing.T) {
	p := keyEncoding(true, true)
	plain, _ := p.Build(get())
	for viewer, class := range map[string]cachekey.Class{
		"identity": cachekey.Identity, "gzip": cachekey.Gzip, "br": cachekey.Brotli, "br,gzip": cachekey.BrotliGzip,
	} {
		want, _ := p.Build(get("Accept-Encoding", viewer))
		if got := plain.WithEncoding(class); got != want {
			t.Errorf("D11.16: %q in class %v is %q, want %q", plain, class, got, want)
		}
		if got := want.WithEncoding(cachekey.Unkeyed); got != plain {
			t.Errorf("D11.16: %q without its class is %q, want %q", want, got, plain)
		}
	}
	if got := cachekey.Key("").WithEncoding(cachekey.Gzip); got != "" {
		t.Errorf("the empty key becomes %q", got)
	}
}
