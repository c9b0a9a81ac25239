// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/caller"
	"github.com/seafront-cdn/seafront/pkg/reload"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

const (
	issuer   = "https://issuer.test"
	audience = "seafront"
	opToken  = "operator-token-0123456789"
	hashOnly = "hashed-token-0123456789"
)

// signers are keys that the JWKS file knows, and one that it does not.
type signers struct {
	ec, stranger *ecdsa.PrivateKey
	rsa          *rsa.PrivateKey
	ed           ed25519.PrivateKey
}

func newSigners(t testing.TB) signers {
	t.Helper()
	var s signers
	var err [4]error
	s.ec, err[0] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.stranger, err[1] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.rsa, err[2] = rsa.GenerateKey(rand.Reader, 2048)
	_, s.ed, err[3] = ed25519.GenerateKey(rand.Reader)
	for _, e := range err {
		if e != nil {
			t.Fatal(e)
		}
	}
	return s
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func ecKey(t testing.TB, kid string, k *ecdsa.PublicKey) map[string]any {
	t.Helper()
	point, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": b64(point[1:33]), "y": b64(point[33:])}
}

// keys is the JWKS file, with keys in it that are for something else.
func (s signers) keys(t testing.TB) []byte {
	t.Helper()
	pub, ok := s.ed.Public().(ed25519.PublicKey)
	if !ok {
		t.Fatal("no Ed25519 key")
	}
	secret := map[string]any{"kty": "oct", "kid": "shared", "k": b64([]byte("0123456789abcdef0123456789abcdef"))}
	raw, err := json.Marshal(map[string]any{"keys": []any{
		ecKey(t, "ec", &s.ec.PublicKey),
		map[string]any{"kty": "RSA", "kid": "rsa", "alg": "RS256", "n": b64(s.rsa.N.Bytes()), "e": "AQAB"},
		map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": "ed", "key_ops": []string{"verify"}, "x": b64(pub)},
		map[string]any{"kty": "RSA", "kid": "enc", "use": "enc", "n": "AQ", "e": "AQAB"},
		secret,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func rules(method string) (Rule, bool) {
	r, ok := map[string]Rule{
		"/s/Get": {Least: Reader}, "/s/Change": {Least: Operator}, "/s/Key": {Least: Admin},
		"/s/Health": {Public: true}, "/s/Edge": {Least: Reader, Own: "edges/"}, "/s/Zero": {},
	}[method]
	return r, ok
}

// world is a guard with every way to be known but certificates.
type world struct {
	signers
	*Guard
	tokens, jwks string
}

func newWorld(t testing.TB) world {
	t.Helper()
	w := world{signers: newSigners(t)}
	sum := sha256.Sum256([]byte(hashOnly))
	w.tokens = write(t, "tokens", "# who\n\nreader rita reader-token-0123456789\noperator otto "+opToken+
		"\nadmin ada sha256:"+hex.EncodeToString(sum[:])+"\nedge edge-1 edge-token-0123456789\n")
	w.jwks = write(t, "jwks", string(w.keys(t)))
	log := slog.New(slog.DiscardHandler)
	tokens, err := OpenTokens(log, w.tokens)
	if err != nil {
		t.Fatal(err)
	}
	bearers, err := OpenJWT(log, JWTConfig{Keys: w.jwks, Issuer: issuer, Audience: audience, RoleClaim: "realm.roles"})
	if err != nil {
		t.Fatal(err)
	}
	w.Guard, err = New(Config{Tokens: []*reload.Value[*Tokens]{tokens}, JWT: bearers, Rule: rules})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// claims are those of a good token, with changes; nil removes one.
func claims(change map[string]any) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": "jane", "exp": now.Add(time.Hour).Unix(), "nbf": now.Add(-time.Minute).Unix(),
		"realm": map[string]any{"roles": []string{"offline", "reader", "operator"}},
	}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func sign(t testing.TB, m jwt.SigningMethod, kid string, key any, change map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(m, claims(change))
	if kid != "" {
		token.Header["kid"] = kid
	}
	if _, ok := change["crit"]; ok {
		token.Header["crit"] = []string{"x"}
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + s
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	raw, err := json.Marshal(ecKey(t, "ec", &w.ec.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	in := func(d time.Duration) map[string]any { return map[string]any{"exp": time.Now().Add(d).Unix()} }
	es := func(change map[string]any) []string {
		return []string{sign(t, jwt.SigningMethodES256, "ec", w.ec, change)}
	}
	own, other := &configv1.GetDistributionRequest{Name: "edges/edge-1"}, &configv1.GetDistributionRequest{Name: "edges/edge-2"}
	const bad, denied = codes.Unauthenticated, codes.PermissionDenied
	for _, tt := range []struct {
		name   string
		header []string
		method string
		req    any
		code   codes.Code
		cause  string // of a refusal
		who    Identity
	}{
		{"no token", nil, "Get", nil, bad, "none", Identity{}},
		{"a wrong token", []string{"Bearer operator-token-0123456780"}, "Get", nil, bad, "jwt_form", Identity{}},
		{"two headers", []string{"Bearer " + opToken, "Bearer " + opToken}, "Get", nil, bad, "form", Identity{}},
		{"another scheme", []string{"Basic b3R0bzpvdHRv"}, "Get", nil, bad, "form", Identity{}},
		{"a scheme without token", []string{"Bearer "}, "Get", nil, bad, "form", Identity{}},
		{"an endless token", []string{"Bearer " + strings.Repeat("x", mostToken+1)}, "Get", nil, bad, "form", Identity{}},
		{"a hash sent for its token", []string{"Bearer sha256:" + strings.Repeat("0", 64)}, "Get", nil, bad, "jwt_form", Identity{}},

		{"a reader reads", []string{"Bearer reader-token-0123456789"}, "Get", nil, codes.OK, "", Identity{"rita", Reader, Token}},
		{"a reader changes nothing", []string{"Bearer reader-token-0123456789"}, "Change", nil, denied, "role", Identity{"rita", Reader, Token}},
		{"an operator reads", []string{"bearer " + opToken}, "Get", nil, codes.OK, "", Identity{"otto", Operator, Token}},
		{"an operator changes", []string{"Bearer  " + opToken + " "}, "Change", nil, codes.OK, "", Identity{"otto", Operator, Token}},
		{"an operator imports no keys", []string{"Bearer " + opToken}, "Key", nil, denied, "role", Identity{"otto", Operator, Token}},
		{"an admin by hash", []string{"Bearer " + hashOnly}, "Key", nil, codes.OK, "", Identity{"ada", Admin, Token}},
		{"an unknown method, even for an admin", []string{"Bearer " + hashOnly}, "Nothing", nil, denied, "method", Identity{"ada", Admin, Token}},
		{"a rule that names no role", []string{"Bearer " + hashOnly}, "Zero", nil, denied, "role", Identity{"ada", Admin, Token}},
		{"an unknown method of nobody", nil, "Nothing", nil, bad, "none", Identity{}},
		{"health of nobody", nil, "Health", nil, codes.OK, "", Identity{Name: caller.Anonymous}},
		{"health with a wrong token", []string{"Bearer wrong"}, "Health", nil, codes.OK, "", Identity{Name: caller.Anonymous}},

		{"an edge reads nothing", []string{"Bearer edge-token-0123456789"}, "Get", own, denied, "role", Identity{"edge-1", Edge, Token}},
		{"an edge asks about itself", []string{"Bearer edge-token-0123456789"}, "Edge", own, codes.OK, "", Identity{"edge-1", Edge, Token}},
		{"an edge asks about another", []string{"Bearer edge-token-0123456789"}, "Edge", other, denied, "edge", Identity{"edge-1", Edge, Token}},
		{"an edge asks by a stream", []string{"Bearer edge-token-0123456789"}, "Edge", nil, denied, "edge", Identity{"edge-1", Edge, Token}},
		{"a reader asks about an edge", []string{"Bearer reader-token-0123456789"}, "Edge", other, codes.OK, "", Identity{"rita", Reader, Token}},

		{"ES256", es(nil), "Change", nil, codes.OK, "", Identity{"jane", Operator, JWT}},
		{"RS256", []string{sign(t, jwt.SigningMethodRS256, "rsa", w.rsa, nil)}, "Change", nil, codes.OK, "", Identity{"jane", Operator, JWT}},
		{"EdDSA", []string{sign(t, jwt.SigningMethodEdDSA, "ed", w.ed, nil)}, "Change", nil, codes.OK, "", Identity{"jane", Operator, JWT}},
		{"no kid, and one key fits", []string{sign(t, jwt.SigningMethodES256, "", w.ec, nil)}, "Change", nil, codes.OK, "", Identity{"jane", Operator, JWT}},
		{"the wrong role", es(nil), "Key", nil, denied, "role", Identity{"jane", Operator, JWT}},
		{"no role", es(map[string]any{"realm": nil}), "Get", nil, denied, "role", Identity{"jane", 0, JWT}},
		{"roles in one string", es(map[string]any{"realm.roles": "edge reader"}), "Get", nil, codes.OK, "", Identity{"jane", Reader, JWT}},
		{"roles of another form", es(map[string]any{"realm": map[string]any{"roles": 7}}), "Get", nil, denied, "role", Identity{"jane", 0, JWT}},
		{"expired", es(in(-time.Minute)), "Get", nil, bad, "jwt_expired", Identity{}},
		{"expired a moment ago, as clocks differ", es(in(-leeway / 2)), "Get", nil, codes.OK, "", Identity{"jane", Operator, JWT}},
		{"without end", es(map[string]any{"exp": nil}), "Get", nil, bad, "jwt_claim", Identity{}},
		{"not valid yet", es(map[string]any{"nbf": time.Now().Add(time.Minute).Unix()}), "Get", nil, bad, "jwt_early", Identity{}},
		{"another audience", es(map[string]any{"aud": []string{"shop"}}), "Get", nil, bad, "jwt_audience", Identity{}},
		{"no audience", es(map[string]any{"aud": nil}), "Get", nil, bad, "jwt_claim", Identity{}},
		{"another issuer", es(map[string]any{"iss": issuer + "/"}), "Get", nil, bad, "jwt_issuer", Identity{}},
		{"no subject", es(map[string]any{"sub": nil}), "Get", nil, bad, "jwt_name", Identity{}},
		{"a subject with a line break", es(map[string]any{"sub": "a\nb"}), "Get", nil, bad, "jwt_name", Identity{}},
		{"an extension that must be understood", es(map[string]any{"crit": true}), "Get", nil, bad, "jwt_extension", Identity{}},
		{"an unknown kid", []string{sign(t, jwt.SigningMethodES256, "gone", w.ec, nil)}, "Get", nil, bad, "jwt_key", Identity{}},
		{"a stranger's key", []string{sign(t, jwt.SigningMethodES256, "ec", w.stranger, nil)}, "Get", nil, bad, "jwt_signature", Identity{}},
		{"the kid of a key for another algorithm", []string{sign(t, jwt.SigningMethodRS256, "ec", w.rsa, nil)}, "Get", nil, bad, "jwt_key", Identity{}},
		{"alg none", []string{sign(t, jwt.SigningMethodNone, "ec", jwt.UnsafeAllowNoneSignatureType, nil)}, "Get", nil, bad, "jwt_signature", Identity{}},
		{"HS256 by a shared key of the set", []string{sign(t, jwt.SigningMethodHS256, "shared", []byte("0123456789abcdef0123456789abcdef"), nil)}, "Get", nil, bad, "jwt_signature", Identity{}},
		{"HS256 by the text of a public key", []string{sign(t, jwt.SigningMethodHS256, "ec", raw, nil)}, "Get", nil, bad, "jwt_signature", Identity{}},
		{"RS384", []string{sign(t, jwt.SigningMethodRS384, "rsa", w.rsa, nil)}, "Get", nil, bad, "jwt_signature", Identity{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := metadata.NewIncomingContext(t.Context(), metadata.MD{"authorization": tt.header})
			ctx, who, err := w.Admit(ctx, "/s/"+tt.method, tt.req)
			st := apierr.Status(err)
			if st.Code() != tt.code {
				t.Fatalf("code %v, want %v: %v", st.Code(), tt.code, err)
			}
			if tt.who.Name == "" {
				tt.who.Name = caller.Anonymous
			}
			if who != tt.who {
				t.Errorf("caller %+v, want %+v", who, tt.who)
			}
			if got := caller.From(ctx).Name; got != tt.who.Name {
				t.Errorf("the context names %q", got)
			}
			if err == nil {
				return
			}
			want := map[codes.Code]string{bad: "UNAUTHENTICATED_CALLER", denied: "ACCESS_DENIED"}[tt.code]
			if got := apierr.Reason(st); got != want {
				t.Errorf("C2.177, C2.330: reason %s, want %s", got, want)
			}
			if got := causeOf(err); got != tt.cause {
				t.Errorf("cause %s, want %s: %v", got, tt.cause, err)
			}
			for _, h := range tt.header {
				if _, token, _ := strings.Cut(h, " "); len(token) > 8 && strings.Contains(err.Error(), token) {
					t.Errorf("the error tells the token: %v", err)
				}
			}
		})
	}
}

func TestOnlyThisProcessIsInside(t *testing.T) {
	w := newWorld(t)
	ctx := peer.NewContext(t.Context(), &peer.Peer{AuthInfo: Inside{"config", Reader, InProcess}})
	if _, who, err := w.Admit(ctx, "/s/Get", nil); err != nil || who.Name != "config" {
		t.Errorf("%v, %v", who, err)
	}
	if _, _, err := w.Admit(ctx, "/s/Change", nil); apierr.Status(err).Code() != codes.PermissionDenied {
		t.Errorf("a reader of this process changes things: %v", err)
	}
	nobody := peer.NewContext(t.Context(), &peer.Peer{AuthInfo: Inside{}})
	if _, _, err := w.Admit(nobody, "/s/Get", nil); apierr.Status(err).Code() != codes.PermissionDenied {
		t.Errorf("a listener in memory without a name: %v", err)
	}
}

func TestOpenIsForEverybody(t *testing.T) {
	g, err := New(Config{Open: true, Rule: rules})
	if err != nil {
		t.Fatal(err)
	}
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer whatever"))
	_, who, err := g.Admit(ctx, "/s/Key", nil)
	if want := (Identity{caller.Anonymous, Admin, Nobody}); err != nil || who != want {
		t.Errorf("%+v, %v", who, err)
	}
	if _, _, err := g.Admit(ctx, "/s/Nothing", nil); apierr.Status(err).Code() != codes.PermissionDenied {
		t.Errorf("an unknown method: %v", err)
	}
}

// TestFilesAreFollowed: a token that is taken out of the file, and a key that is
// rotated, count a second later; a file that is broken changes nothing.
func TestFilesAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		admit := func(header string) codes.Code {
			ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", header))
			_, _, err := w.Admit(ctx, "/s/Get", nil)
			return apierr.Status(err).Code()
		}
		replace := func(path, text string) {
			if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
			time.Sleep(reload.Interval)
		}
		old := sign(t, jwt.SigningMethodES256, "ec", w.ec, nil)
		next := sign(t, jwt.SigningMethodES256, "ec", w.stranger, nil)
		if admit("Bearer "+opToken) != codes.OK || admit(old) != codes.OK || admit(next) != codes.Unauthenticated {
			t.Fatal("the files as they are at first do not count")
		}
		replace(w.tokens, "operator otto too-short\n")
		replace(w.jwks, "{")
		if admit("Bearer "+opToken) != codes.OK || admit(old) != codes.OK {
			t.Error("a broken file takes away what was good")
		}
		w.ec = w.stranger
		replace(w.tokens, "operator otto another-token-0123456789\n")
		replace(w.jwks, string(w.keys(t)))
		for header, want := range map[string]codes.Code{
			"Bearer " + opToken: codes.Unauthenticated, "Bearer another-token-0123456789": codes.OK,
			old: codes.Unauthenticated, next: codes.OK,
		} {
			if got := admit(header); got != want {
				t.Errorf("%s…: %v, want %v", header[:20], got, want)
			}
		}
	})
}
