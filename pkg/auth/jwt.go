// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seafront-cdn/seafront/pkg/reload"
)

// leeway is how far clocks may be apart.
const leeway = 30 * time.Second

// JWTConfig says which tokens are believed.
type JWTConfig struct {
	// Keys is the path of a JWK set (RFC 7517). It is followed: keys are rotated by
	// writing it anew.
	Keys string
	// Issuer and Audience must be in each token (RFC 7519 §4.1). Both are required:
	// without them a token that was made for somebody else would do.
	Issuer, Audience string
	// NameClaim holds the caller's name; default sub. RoleClaim holds a role, a list
	// of roles or roles with spaces between; default roles. Of several the most
	// powerful counts, and words that are no role are skipped. Dots go into objects:
	// realm_access.roles.
	NameClaim, RoleClaim string
}

// Bearers verifies JSON Web Tokens.
type Bearers struct {
	keys       *reload.Value[keySet]
	parser     *jwt.Parser
	name, role []string
}

// OpenJWT reads the keys.
func OpenJWT(log *slog.Logger, c JWTConfig) (*Bearers, error) {
	if c.Issuer == "" || c.Audience == "" {
		return nil, errors.New("JWT: an issuer and an audience are required")
	}
	keys, err := reload.Open(log, func(files [][]byte) (keySet, error) {
		keys, err := parseKeys(files[0])
		if err != nil {
			return nil, fmt.Errorf("JWKS file %s: %w", c.Keys, err)
		}
		return keys, nil
	}, c.Keys)
	if err != nil {
		return nil, err
	}
	return &Bearers{
		keys: keys,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{rs256, es256, eddsa}),
			jwt.WithIssuer(c.Issuer), jwt.WithAudience(c.Audience),
			jwt.WithExpirationRequired(), jwt.WithLeeway(leeway),
			jwt.WithStrictDecoding(),
		),
		name: claimPath(c.NameClaim, "sub"), role: claimPath(c.RoleClaim, "roles"),
	}, nil
}

func claimPath(name, otherwise string) []string {
	if name == "" {
		name = otherwise
	}
	return strings.Split(name, ".")
}

// identify is the caller that a token names.
func (b *Bearers) identify(token string) (Identity, error) {
	claims := jwt.MapClaims{}
	_, err := b.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		// RFC 7515 §4.1.11: what must be understood and is not makes a token invalid.
		if _, ok := t.Header["crit"]; ok {
			return nil, errCritical
		}
		kid, _ := t.Header["kid"].(string)
		return b.keys.Get().find(kid, t.Method.Alg())
	})
	if err != nil {
		cause, text := tokenFault(err)
		return Identity{}, refuse(cause, text)
	}
	name, _ := claim(claims, b.name).(string)
	if err := checkName(name); err != nil {
		return Identity{}, refuse("jwt_name", "the token names nobody: "+err.Error())
	}
	return Identity{name, roleIn(claim(claims, b.role)), JWT}, nil
}

// tokenFault is the cause for programs and the words for callers: those of the
// library quote the token.
func tokenFault(err error) (cause, text string) {
	for _, f := range []struct {
		is          error
		cause, text string
	}{
		{errUnknownKey, "jwt_key", errUnknownKey.Error()},
		{errManyKeys, "jwt_key", errManyKeys.Error()},
		{errCritical, "jwt_extension", errCritical.Error()},
		{jwt.ErrTokenMalformed, "jwt_form", "the token is neither known nor a JSON Web Token"},
		{jwt.ErrTokenSignatureInvalid, "jwt_signature", "the token is signed by an algorithm that is not taken, or its signature is wrong"},
		{jwt.ErrTokenExpired, "jwt_expired", "the token has expired"},
		{jwt.ErrTokenNotValidYet, "jwt_early", "the token is not valid yet"},
		{jwt.ErrTokenInvalidIssuer, "jwt_issuer", "the token is from an issuer that is not trusted here"},
		{jwt.ErrTokenInvalidAudience, "jwt_audience", "the token is meant for somebody else"},
		{jwt.ErrTokenRequiredClaimMissing, "jwt_claim", "the token lacks a claim; exp, iss and aud are required"},
	} {
		if errors.Is(err, f.is) {
			return f.cause, f.text
		}
	}
	return "jwt_form", "the token cannot be verified"
}

// claim is the value at a path, or nil.
func claim(claims map[string]any, path []string) any {
	// A claim may have dots in its name, as those of some issuers do that are URLs.
	if v, ok := claims[strings.Join(path, ".")]; ok {
		return v
	}
	var v any = claims
	for _, step := range path {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[step]
	}
	return v
}

// roleIn is the most powerful role among what a claim says.
func roleIn(said any) (most Role) {
	var words []string
	switch v := said.(type) {
	case string:
		words = strings.Fields(v)
	case []any:
		for _, w := range v {
			if w, ok := w.(string); ok {
				words = append(words, w)
			}
		}
	}
	for _, w := range words {
		if r, err := ParseRole(w); err == nil {
			most = max(most, r)
		}
	}
	return most
}
