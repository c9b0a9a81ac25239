// SPDX-License-Identifier: Apache-2.0

// Package pki holds what public keys, key groups and certificates may be. It is pure:
// time is an argument, and whether what is referred to exists is another's question. It
// promises that what it finds no fault with can be used to check a signature or to
// serve a viewer, that every violation is found at once, and that no text makes it
// panic or repeats anything of a private key in an error.
package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Reasons of this package's violations.
const (
	ReasonTooManyKeys        = "TOO_MANY_PUBLIC_KEYS_IN_KEY_GROUP" // C2.287
	ReasonInvalidCertificate = "INVALID_VIEWER_CERTIFICATE"        // C2.259
)

// DefaultKeysPerGroup is how many keys a group may have unless the server is set to
// another limit (C4.40).
const DefaultKeysPerGroup = 5

// maxPublicKey is the size of the PEM text of a public key, in bytes: ten times what
// one of 2048 bits needs.
const maxPublicKey = 4 << 10

// CheckPublicKey returns all that is wrong with a public key by itself (C2.145).
func CheckPublicKey(k *configv1.PublicKey) []rules.Violation {
	var f rules.Findings
	f.Join(rules.CheckLabels("labels", k.GetLabels()))
	f.Join(rules.CheckCallerReference("caller_reference", k.GetCallerReference()))
	f.Join(rules.CheckUniqueName("display_name", k.GetDisplayName()))
	if _, _, err := parsePublicKey(k.GetPem()); err != nil {
		f.Add("pem", rules.ReasonInvalid, "%v", err)
	}
	f.Comment("comment", k.GetComment())
	return f.Found()
}

// FillPublicKey sets what follows from the key: algorithm and fingerprint. Of a key
// that is none they are absent.
func FillPublicKey(k *configv1.PublicKey) {
	k.Algorithm, k.FingerprintSha256 = 0, ""
	algorithm, der, err := parsePublicKey(k.GetPem())
	if err != nil {
		return
	}
	sum := sha256.Sum256(der)
	k.Algorithm, k.FingerprintSha256 = algorithm, hex.EncodeToString(sum[:])
}

// CheckKeyGroup returns all that is wrong with a key group by itself (C2.147). most is
// how many keys it may have.
func CheckKeyGroup(g *configv1.KeyGroup, most int) []rules.Violation {
	var f rules.Findings
	f.Join(rules.CheckLabels("labels", g.GetLabels()))
	f.Join(rules.CheckUniqueName("display_name", g.GetDisplayName()))
	names := g.GetPublicKeys()
	if len(names) == 0 {
		f.Add("public_keys", rules.ReasonInvalid, "is empty; want 1 to %d public keys", most)
	}
	for i, name := range names[:f.Count("public_keys", ReasonTooManyKeys, len(names), most)] {
		at := fmt.Sprintf("public_keys[%d]", i)
		_, bad := rules.ParseName(at, keys.PublicKeys, name)
		f.Join(bad)
		if first := slices.Index(names, name); first < i {
			f.Add(at, rules.ReasonInvalid, "is the same as public_keys[%d]; want each key once", first)
		}
	}
	f.Comment("comment", g.GetComment())
	return f.Found()
}

// parsePublicKey returns the kind of a key and its SubjectPublicKeyInfo. The text of
// the error continues a sentence that begins with the field.
func parsePublicKey(text string) (configv1.PublicKey_Algorithm, []byte, error) {
	const want = "want one PEM block PUBLIC KEY with an RSA key of 2048 bits or an ECDSA key on P-256"
	if len(text) > maxPublicKey {
		return 0, nil, fmt.Errorf("has %d bytes, more than %d; %s", len(text), maxPublicKey, want)
	}
	blocks, err := decode(text, 1)
	if err != nil {
		return 0, nil, fmt.Errorf("%w; %s", err, want)
	}
	if len(blocks) != 1 || blocks[0].Type != "PUBLIC KEY" {
		return 0, nil, fmt.Errorf("holds %s; %s", describe(blocks), want)
	}
	der := blocks[0].Bytes
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return 0, nil, fmt.Errorf("holds no key that can be read; %s", want)
	}
	switch k := parsed.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n != 2048 {
			return 0, nil, fmt.Errorf("holds an RSA key of %d bits; %s", n, want)
		}
		if k.E < 3 || k.E%2 == 0 {
			return 0, nil, fmt.Errorf("holds an RSA key with the exponent %d, which is none; %s", k.E, want)
		}
		return configv1.PublicKey_ALGORITHM_RSA_2048, der, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return 0, nil, fmt.Errorf("holds an ECDSA key on %s; %s", k.Curve.Params().Name, want)
		}
		return configv1.PublicKey_ALGORITHM_ECDSA_P256, der, nil
	default:
		return 0, nil, fmt.Errorf("holds a key of another kind; %s", want)
	}
}

// decode takes a text of PEM blocks apart, and refuses one with more than most blocks,
// with anything between them, or with headers, which only encrypted keys have.
func decode(text string, most int) ([]*pem.Block, error) {
	rest := bytes.TrimSpace([]byte(text))
	if len(rest) == 0 {
		return nil, errors.New("is empty")
	}
	var out []*pem.Block
	for len(rest) > 0 {
		if !bytes.HasPrefix(rest, []byte("-----BEGIN ")) {
			return nil, errors.New("holds other text than PEM blocks")
		}
		block, after := pem.Decode(rest)
		if block == nil {
			return nil, errors.New("holds a PEM block that cannot be read")
		}
		if n := bytes.Count(rest[:len(rest)-len(after)], []byte("-----BEGIN ")); n != 1 {
			return nil, errors.New("holds a PEM block that cannot be read") // Decode passed over it
		}
		if len(block.Headers) > 0 {
			return nil, errors.New("holds a PEM block with headers, as encrypted keys have them")
		}
		if len(out) == most {
			return nil, fmt.Errorf("holds more than %d PEM blocks", most)
		}
		out, rest = append(out, block), bytes.TrimSpace(after)
	}
	return out, nil
}

// describe names the types of blocks.
func describe(blocks []*pem.Block) string {
	var types []string
	for _, b := range blocks {
		types = append(types, fmt.Sprintf("%.40q", b.Type))
	}
	return "the PEM blocks " + strings.Join(types, ", ")
}
