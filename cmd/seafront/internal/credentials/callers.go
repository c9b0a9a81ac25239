// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/seafront-cdn/seafront/pkg/auth"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
)

// adminName is the common name of the person's certificate.
const adminName = "admin"

// roles are those of certificates: config asks origin-registry what an origin is.
const roles = "admin " + adminName + "\nreader " + keys.ConfigProgram + "\n"

// tokens gives the person a token of each role, and returns what servers know of them:
// their hashes.
func (c Config) tokens() ([]byte, error) {
	var lines bytes.Buffer
	for _, role := range []auth.Role{auth.Reader, auth.Operator, auth.Admin} {
		name := fmt.Sprintf("%s.token", role)
		raw, err := os.ReadFile(c.person().file(name))
		if errors.Is(err, fs.ErrNotExist) {
			raw = []byte(auth.NewToken() + "\n")
			err = c.person().write(name, raw)
		}
		if err != nil {
			return nil, err
		}
		token, err := auth.OneToken(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.person().file(name), err)
		}
		fmt.Fprintf(&lines, "%s trial-%s sha256:%x\n", role, role, sha256.Sum256([]byte(token)))
	}
	return lines.Bytes(), nil
}

// signer is the JSON Web Key Set of the key in a file. Whoever has that key makes
// tokens for any name and role.
func (f folder) signer(file string) ([]byte, error) {
	key, err := f.key(file, func() (crypto.Signer, error) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	})
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%s: want an Ed25519 key", f.file(file))
	}
	return json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KeyID, "x": base64.RawURLEncoding.EncodeToString(public),
	}}})
}
