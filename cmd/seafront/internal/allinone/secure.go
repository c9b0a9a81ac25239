// SPDX-License-Identifier: Apache-2.0

package allinone

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/seafront-cdn/seafront/pkg/auth"
	"github.com/seafront-cdn/seafront/pkg/program"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
)

// In the data directory: the admin's token, and what was done by whom.
const (
	tokenFile = "token"
	auditFile = "audit.log"
)

// mostAudit is how large the audit log gets before it is moved aside: nobody rotates
// it on a laptop.
const mostAudit = 64 << 20

// secure opens the way in: the admin's token is always there, the flags add others.
func (c Config) secure(t *telemetry.Telemetry) (program.Secure, error) {
	if err := makeToken(c.dir(tokenFile)); err != nil {
		return program.Secure{}, fmt.Errorf("admin token: %w", err)
	}
	a := c.Access
	a.AdminToken, a.AuditDefault, a.AuditMost = c.dir(tokenFile), c.dir(auditFile), mostAudit
	return a.Open(t, c.GRPCListen, os.Stderr)
}

// makeToken writes a token that nobody else can read, whole or not at all, unless
// there is one.
func makeToken(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	const mine = 0o600
	next := path + ".tmp"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // left by a start that was cut off
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mine)
	if err != nil {
		return err
	}
	_, err = f.WriteString(auth.NewToken() + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(next, path)
}
