// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/seafront-cdn/seafront/pkg/apierr"
)

func TestTokenFile(t *testing.T) {
	const token = "0123456789abcdef"
	for _, tt := range []struct{ name, text, want string }{
		{"fine", "admin a " + token + "\n", ""},
		{"empty", "", ""},
		{"comments", "  # admin a b c\n\n", ""},
		{"an unknown role", "root a " + token, "line 1: \"root\" is no role"},
		{"no name", "admin " + token, "line 1: has 2 words"},
		{"more words", "\nadmin a " + token + " b", "line 2: has 4 words"},
		{"a short token", "admin a 0123456789abcde", "has 15 bytes"},
		{"a long token", "admin a " + strings.Repeat("x", mostToken+1), "bytes; want"},
		{"a token twice", "admin a " + token + "\nreader b " + token, "line 2: the token stands"},
		{"a short hash", "admin a sha256:" + strings.Repeat("0", 62), "64 hexadecimal"},
		{"a long hash", "admin a sha256:" + strings.Repeat("0", 66), "64 hexadecimal"},
		{"a hash of other letters", "admin a sha256:" + strings.Repeat("g", 64), "64 hexadecimal"},
		{"a name of nothing printable", "admin a\x01 " + token, "cannot be printed"},
		{"a name that is no text", "admin a\xff " + token, "not UTF-8"},
		{"a long name", "admin " + strings.Repeat("n", mostName+1) + " " + token, "longer than"},
		{"too many", strings.Repeat("#\n", 5) + many(mostLines+1), "more than 1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseTokens(tt.text)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "0123456789") {
				t.Errorf("the error tells the token: %v", err)
			}
		})
	}
}

func many(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "reader r%d token-of-the-reader-%d\n", i, i)
	}
	return s.String()
}

func TestRolesFile(t *testing.T) {
	r, err := parseRoles("admin Ada Lovelace\noperator spiffe://ops/*\nedge edge-*\nadmin edge-7\nreader *\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Role{
		"Ada Lovelace": Admin, "Ada": Reader, "spiffe://ops/": Operator, "spiffe://ops/a": Operator,
		"edge-1": Edge, "edge-7": Edge, "edge": Reader, "": Reader,
	} {
		if got := r.of(name); got != want {
			t.Errorf("%q is %v, want %v", name, got, want)
		}
	}
	for text, want := range map[string]string{
		"admin": "one word", "root a": "no role", "operator *": "refused", "reader a*b": "at the end",
	} {
		if _, err := parseRoles(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestKeyFile(t *testing.T) {
	s := newSigners(t)
	good := ecKey(t, "a", &s.ec.PublicKey)
	x := fmt.Sprint(good["x"])
	for _, tt := range []struct{ name, text, want string }{
		{"no JSON", "{", "no JSON Web Key Set"},
		{"no key", `{"keys": []}`, "has no key"},
		{"keys for other things", `{"keys": [{"kty":"oct","k":"AAAA"},{"kty":"EC","crv":"P-521"},{"kty":"RSA","use":"enc"}]}`, "has no key"},
		{"a small RSA key", `{"keys": [{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, "bits; want"},
		{"an RSA exponent of one", `{"keys": [{"kty":"RSA","n":"` + b64(s.rsa.N.Bytes()) + `","e":"AQ"}]}`, "odd number"},
		{"no number", `{"keys": [{"kty":"RSA","n":"%","e":"AQAB"}]}`, "no number"},
		{"a point off the curve", `{"keys": [{"kty":"EC","crv":"P-256","x":"` + x + `","y":"` + x + `"}]}`, "key 0"},
		{"half a point", `{"keys": [{"kty":"EC","crv":"P-256","x":"` + x + `"}]}`, "32 bytes"},
		{"a short Ed25519 key", `{"keys": [{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}`, "32 bytes"},
		{"a kid twice", `{"keys": [{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + x + `"},{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + x + `"}]}`, "key 1: its kid"},
		{"too many", `{"keys": [` + strings.Repeat(`{},`, mostKeys) + `{}]}`, "at most"},
	} {
		if _, err := parseKeys([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	two, err := parseKeys([]byte(`{"keys": [{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + x + `"},{"kty":"OKP","crv":"Ed25519","kid":"b","x":"` + x + `"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.find("", eddsa); err != errManyKeys {
		t.Errorf("no kid, and two keys fit: %v", err)
	}
	if _, err := OpenJWT(slog.New(slog.DiscardHandler), JWTConfig{Keys: "x", Issuer: issuer}); err == nil {
		t.Error("no audience: no error")
	}
}

// FuzzTokenFile: a file that is taken has no line that gives more than it says.
func FuzzTokenFile(f *testing.F) {
	f.Add("admin a 0123456789abcdef\n# x\nreader b sha256:00\n")
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := parseTokens(text)
		if err == nil {
			for _, e := range tokens.entries {
				if e.who.Name == "" || e.who.Role < Edge || e.who.Role > Admin {
					t.Errorf("%q makes %+v", text, e.who)
				}
			}
		}
		_, _ = parseRoles(text)
		_, _ = parseKeys([]byte(text))
	})
}

// FuzzBearer: whatever is sent, nobody who was not signed for gets in.
func FuzzBearer(f *testing.F) {
	w := newWorld(f)
	f.Add("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.")
	f.Add("Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6ImVjIn0.e30.AAAA")
	f.Fuzz(func(t *testing.T, header string) {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", header))
		_, who, err := w.Admit(ctx, "/s/Get", nil)
		if err == nil && who.Kind != Token || err != nil && apierr.Status(err).Code() == codes.Internal {
			t.Errorf("%q: %+v, %v", header, who, err)
		}
	})
}
