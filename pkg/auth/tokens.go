// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/reload"
)

// Bounds of the token file and of what callers send.
const (
	mostLines  = 1000 // of a file of tokens or of roles
	leastToken = 16   // bytes: what is shorter can be guessed
	mostToken  = 8 << 10
)

// hashed marks a token in the file that is given by its SHA-256 in hexadecimal.
const hashed = "sha256:"

// Tokens are static tokens, by their hashes.
type Tokens struct {
	entries []entry
}

type entry struct {
	hash [sha256.Size]byte
	who  Identity
}

// OpenTokens reads a token file and follows it. Each line is a role, the name of a
// caller and a token of at least 16 bytes, or sha256: and the token's hash in
// hexadecimal; empty lines and those that begin with # are skipped. A file that
// others than its owner can read is warned about.
func OpenTokens(log *slog.Logger, path string) (*reload.Value[*Tokens], error) {
	tokens, err := reload.Open(log, func(files [][]byte) (*Tokens, error) {
		t, err := parseTokens(string(files[0]))
		if err != nil {
			return nil, fmt.Errorf("token file %s: %w", path, err)
		}
		return t, nil
	}, path)
	if err != nil {
		return nil, err
	}
	const others = 0o077
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&others != 0 {
		log.Warn("the token file can be read by others: chmod 600", slog.String("file", path))
	}
	return tokens, nil
}

// parseTokens never puts a token into an error.
func parseTokens(text string) (*Tokens, error) {
	t := &Tokens{}
	seen := map[[sha256.Size]byte]bool{}
	err := eachLine(text, func(fields []string) error {
		if len(fields) != 3 {
			return fmt.Errorf("has %d words; want a role, a name and a token", len(fields))
		}
		role, name, err := principal(fields[0], fields[1])
		if err != nil {
			return err
		}
		hash, err := hashOf(fields[2])
		if err != nil {
			return err
		}
		if seen[hash] {
			return fmt.Errorf("the token stands in a line above as well")
		}
		seen[hash] = true
		t.entries = append(t.entries, entry{hash, Identity{name, role, Token}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// eachLine calls with the words of each line that says something.
func eachLine(text string, with func(words []string) error) error {
	n, said := 0, 0
	for line := range strings.Lines(text) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if said++; said > mostLines {
			return fmt.Errorf("line %d: there are more than %d", n, mostLines)
		}
		if err := with(words); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

// principal checks a role and a name.
func principal(role, name string) (Role, string, error) {
	r, err := ParseRole(role)
	if err != nil {
		return 0, "", err
	}
	return r, name, checkName(name)
}

func hashOf(token string) (hash [sha256.Size]byte, err error) {
	if digits, ok := strings.CutPrefix(token, hashed); ok {
		if n, err := hex.Decode(hash[:], []byte(digits[:min(len(digits), 2*len(hash))])); err != nil || n != len(hash) || len(digits) != 2*len(hash) {
			return hash, fmt.Errorf("the hash of the token is not 64 hexadecimal digits")
		}
		return hash, nil
	}
	if len(token) < leastToken || len(token) > mostToken {
		return hash, fmt.Errorf("the token has %d bytes; want %d to %d", len(token), leastToken, mostToken)
	}
	return sha256.Sum256([]byte(token)), nil
}

// find looks at all entries whatever the token is, so that the time tells nothing.
func (t *Tokens) find(token string) (who Identity, ok bool) {
	hash := sha256.Sum256([]byte(token))
	for _, e := range t.entries {
		if subtle.ConstantTimeCompare(e.hash[:], hash[:]) == 1 {
			who, ok = e.who, true
		}
	}
	return who, ok
}

// OpenAdmin reads a file that holds one token and nothing else, and follows it. Who
// sends the token is an admin of that name.
func OpenAdmin(log *slog.Logger, path, name string) (*reload.Value[*Tokens], error) {
	return reload.Open(log, func(files [][]byte) (*Tokens, error) {
		token, err := OneToken(files[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		hash, err := hashOf(token)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return &Tokens{[]entry{{hash, Identity{name, Admin, Token}}}}, nil
	}, path)
}

// OneToken is the token that a client's file holds: one word.
func OneToken(file []byte) (string, error) {
	words := strings.Fields(string(file))
	if len(words) != 1 {
		return "", fmt.Errorf("holds %d words; want one token", len(words))
	}
	if len(words[0]) > mostToken {
		return "", fmt.Errorf("holds a token of %d bytes; at most %d", len(words[0]), mostToken)
	}
	return words[0], nil
}

// NewToken makes a token that cannot be guessed: more than 128 random bits.
func NewToken() string { return rand.Text() }
