// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/secret"
)

func TestClusterKeys(t *testing.T) {
	line, err := secret.NewKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, file, variable, want string // want is in the error; empty: no error
		ids                        []string
	}{
		{"none", "", "", "", nil},
		{"a file", file, "", "", []string{"k1"}},
		{"the environment", "", line, "", []string{"k1"}},
		{"both", file, line, "want one of them", nil},
		{"no such file", file + "x", "", "no such file", nil},
		{"torn in the environment", "", line[:20], "SEAFRONT_CLUSTER_KEY: line 1", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(clusterKeyVariable, tt.variable)
			k, err := ClusterKeys{tt.file}.Keyring(t.Context(), slog.New(slog.DiscardHandler))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			if got := k.IDs(); !slices.Equal(got, tt.ids) {
				t.Errorf("keys %q, want %q", got, tt.ids)
			}
			if err != nil && strings.Contains(err.Error(), line[5:15]) {
				t.Errorf("C8.102: the error holds the key: %v", err)
			}
		})
	}
	t.Setenv(clusterKeyVariable, "")
	var log bytes.Buffer
	made := filepath.Join(t.TempDir(), "cluster.key")
	k, err := ClusterKeys{}.KeyringOrCreate(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), made)
	if err != nil || len(k.IDs()) != 1 {
		t.Fatalf("%v, %v", k, err)
	}
	if err := os.WriteFile(made, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if len(k.IDs()) != 1 || !strings.Contains(log.String(), "cluster keys stay as they were") {
		t.Errorf("after the file was torn: %v, log %s", k, &log)
	}
}
