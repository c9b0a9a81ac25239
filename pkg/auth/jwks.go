// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// The algorithms that are taken (RFC 7518 §3.1, RFC 8037 §3.1). None is not among
// them, and neither are those with shared secrets: a public key must never be taken
// for one.
const (
	rs256 = "RS256"
	es256 = "ES256"
	eddsa = "EdDSA"
)

// Bounds of a key set.
const (
	mostKeys     = 100
	leastRSABits = 2048
	mostRSABits  = 8192
)

// jwk is a key as RFC 7517 §4 writes it.
type jwk struct {
	Kty    string   `json:"kty"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	Kid    string   `json:"kid"`
	Crv    string   `json:"crv"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
}

// verifier is a key with the one algorithm that it is for.
type verifier struct {
	kid, alg string
	key      crypto.PublicKey
}

// keySet are the keys that sign tokens.
type keySet []verifier

// parseKeys reads a JWK set. Keys that are for something else, or of a kind that is
// not taken, are skipped, as RFC 7517 §5 asks; a set without a usable key is an
// error, and so is a key that is broken.
func parseKeys(raw []byte) (keySet, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("is no JSON Web Key Set: %w", err)
	}
	if len(set.Keys) > mostKeys {
		return nil, fmt.Errorf("has %d keys, at most %d", len(set.Keys), mostKeys)
	}
	var keys keySet
	for i, k := range set.Keys {
		v, ok, err := k.verifier()
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		if !ok {
			continue
		}
		if v.kid != "" && slices.ContainsFunc(keys, func(o verifier) bool { return o.kid == v.kid && o.alg == v.alg }) {
			return nil, fmt.Errorf("key %d: its kid is that of a key before it", i)
		}
		keys = append(keys, v)
	}
	if len(keys) == 0 {
		return nil, errors.New("has no key that signs by RS256, ES256 or EdDSA")
	}
	return keys, nil
}

// verifier makes a key of k; ok is false when k is for something else.
func (k jwk) verifier() (v verifier, ok bool, err error) {
	if k.Use != "" && k.Use != "sig" || len(k.KeyOps) > 0 && !slices.Contains(k.KeyOps, "verify") {
		return v, false, nil
	}
	v.kid = k.Kid
	switch {
	case k.Kty == "RSA":
		v.alg = rs256
		v.key, err = k.rsa()
	case k.Kty == "EC" && k.Crv == "P-256":
		v.alg = es256
		v.key, err = k.ec()
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		v.alg = eddsa
		v.key, err = k.ed25519()
	default:
		return v, false, nil
	}
	return v, k.Alg == "" || k.Alg == v.alg, err
}

func (k jwk) rsa() (*rsa.PublicKey, error) {
	n, err := number(k.N)
	if err != nil {
		return nil, fmt.Errorf("n: %w", err)
	}
	e, err := number(k.E)
	if err != nil {
		return nil, fmt.Errorf("e: %w", err)
	}
	if n.BitLen() < leastRSABits || n.BitLen() > mostRSABits {
		return nil, fmt.Errorf("n has %d bits; want %d to %d", n.BitLen(), leastRSABits, mostRSABits)
	}
	if n.Bit(0) == 0 {
		return nil, errors.New("n is even")
	}
	const mostExponentBits = 31 // as crypto/rsa
	if e.BitLen() > mostExponentBits || e.Int64() < 3 || e.Bit(0) == 0 {
		return nil, errors.New("e is not an odd number from 3 to 2147483647")
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

func (k jwk) ec() (*ecdsa.PublicKey, error) {
	const size = 32
	point := []byte{4} // uncompressed
	for _, c := range []string{k.X, k.Y} {
		b, err := base64.RawURLEncoding.DecodeString(c)
		if err != nil || len(b) != size {
			return nil, errors.New("x and y are not 32 bytes in base64url")
		}
		point = append(point, b...)
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
}

func (k jwk) ed25519() (ed25519.PublicKey, error) {
	b, err := base64.RawURLEncoding.DecodeString(k.X)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, errors.New("x is not 32 bytes in base64url")
	}
	return b, nil
}

func number(s string) (*big.Int, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) == 0 || len(b) > mostRSABits/8 {
		return nil, errors.New("is no number in base64url")
	}
	return new(big.Int).SetBytes(b), nil
}

// find is the key for a token. Without a kid there must be no doubt.
func (s keySet) find(kid, alg string) (crypto.PublicKey, error) {
	var found []crypto.PublicKey
	for _, v := range s {
		if v.alg == alg && (kid == "" || v.kid == kid) {
			found = append(found, v.key)
		}
	}
	switch len(found) {
	case 0:
		return nil, errUnknownKey
	case 1:
		return found[0], nil
	default:
		return nil, errManyKeys
	}
}

var (
	errUnknownKey = errors.New("no key of this kid and algorithm is trusted here")
	errManyKeys   = errors.New("the token names no kid, and several keys may have signed it")
	errCritical   = errors.New("the token has extensions that must be understood, and are not")
)
