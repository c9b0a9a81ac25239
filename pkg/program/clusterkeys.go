// SPDX-License-Identifier: Apache-2.0

package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/seafront-cdn/seafront/pkg/secret"
)

// ClusterKeys are the flags by which a program gets the keys of the cluster, which
// encrypt the secrets in the store (C8.102).
type ClusterKeys struct {
	ClusterKeyFile string `help:"File with the cluster keys, which encrypt the secrets in etcd: lines of an id and 32 bytes in base64, the one to encrypt with first. It is read again when it changes. SEAFRONT_CLUSTER_KEY may hold the keys themselves instead. With neither, secrets are refused." name:"cluster-key-file" type:"path" env:"SEAFRONT_CLUSTER_KEY_FILE" placeholder:"FILE"`
}

// clusterKeyVariable holds keys themselves. It is no flag: everybody on a machine can
// read the arguments of its programs.
const clusterKeyVariable = "SEAFRONT_CLUSTER_KEY"

// Keyring reads the keys; log hears when the file cannot be read again later. It is
// nil when none are configured.
func (c ClusterKeys) Keyring(ctx context.Context, log *slog.Logger) (*secret.Keyring, error) {
	text := os.Getenv(clusterKeyVariable)
	switch {
	case text != "" && c.ClusterKeyFile != "":
		return nil, errors.New("both --cluster-key-file and " + clusterKeyVariable + " are set; want one of them")
	case text != "":
		keys, err := secret.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", clusterKeyVariable, err)
		}
		return keys, nil
	case c.ClusterKeyFile != "":
		return secret.Load(c.ClusterKeyFile, keyFailure(ctx, log))
	}
	return nil, nil
}

// KeyringOrCreate is Keyring, and with none configured it reads the file name, which
// it makes with a new key if there is none.
func (c ClusterKeys) KeyringOrCreate(ctx context.Context, log *slog.Logger, name string) (*secret.Keyring, error) {
	keys, err := c.Keyring(ctx, log)
	if keys != nil || err != nil {
		return keys, err
	}
	return secret.LoadOrCreate(name, keyFailure(ctx, log))
}

func keyFailure(ctx context.Context, log *slog.Logger) func(error) {
	return func(err error) { log.ErrorContext(ctx, "cluster key file", slog.Any("error", err)) }
}
