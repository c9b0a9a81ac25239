// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/seafront-cdn/seafront/pkg/program"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
)

type secretsCommand struct {
	NewKey newKeyCommand `cmd:"" help:"Print a line for a cluster key file, with a new key."`
	Rotate rotateCommand `cmd:"" help:"Encrypt the secrets in etcd with the first of the cluster keys, so that the others can be dropped. Everything goes on serving meanwhile."`
}

type newKeyCommand struct {
	ID string `help:"Name of the key, unlike those in the file. Empty: k and the time." name:"id" placeholder:"ID"`
}

// Run is called by the parser.
func (c *newKeyCommand) Run(out io.Writer) error {
	if c.ID == "" {
		c.ID = "k" + time.Now().UTC().Format("20060102150405")
	}
	line, err := secret.NewKey(c.ID)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, line)
	return err
}

type rotateCommand struct {
	store
	program.ClusterKeys
}

// Run is called by the parser. Secrets that keep another key make it fail.
func (c *rotateCommand) Run(ctx context.Context, out io.Writer) error {
	keyring, err := c.Keyring(ctx, slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		return err
	}
	if keyring == nil {
		return secret.ErrNoKey
	}
	store, err := c.Dial(c.EtcdEndpoints)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer store.Close()
	// The second look finds what a server that does not know the new key yet has written
	// behind the first.
	for _, look := range []string{"first", "second"} {
		r, err := records.Rewrap(ctx, store, keyring)
		_, _ = fmt.Fprintf(out, "%s look: %d records, %d with secrets, %d re-encrypted with key %q, %d failed\n",
			look, r.Records, r.Sealed, r.Changed, keyring.IDs()[0], len(r.Failed))
		for _, line := range r.Failed {
			_, _ = fmt.Fprintln(out, line)
		}
		for _, id := range slices.Sorted(maps.Keys(r.Left)) {
			_, _ = fmt.Fprintf(out, "key %q is still needed by %d records\n", id, r.Left[id])
		}
		switch {
		case err != nil:
			return err
		case len(r.Failed) > 0:
			return fmt.Errorf("%d records failed", len(r.Failed))
		case look == "second" && r.Changed > 0:
			return errors.New("secrets are still being written with another key: let every config and origin-registry have the new key first, then rotate again")
		}
	}
	return nil
}
