// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// TestRotate changes the cluster key by the commands of docs/operations.md.
func TestRotate(t *testing.T) {
	member := etcdtest.Start(t)
	kv := member.Client(t)
	command := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), args, &out)
		return out.String(), err
	}
	newKey := func(id string) string {
		line, err := command("secrets", "new-key", "--id", id)
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	old, next := newKey("old"), newKey("next")
	file := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(old)
	keyring, err := secret.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, rec := keys.Resource(keys.Origins, "o"), records.Next(t.Context(), records.Version{})
	o := &originv1.Origin{CustomHeaders: []*originv1.OriginHeader{{Name: "X-Key", Value: "hush"}}}
	if err := records.Seal(keyring, rec, key, o, nil); err != nil {
		t.Fatal(err)
	}
	tx := etcd.NewTx(kv)
	if err := records.Put(tx, key, rec, o); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	rotate := func() (string, error) {
		return command("secrets", "rotate", "--etcd-endpoints", member.Endpoint(), "--cluster-key-file", file)
	}
	write(next)
	if out, err := rotate(); err == nil || !strings.Contains(out, `key "old" is still needed by 1 records`) {
		t.Errorf("C8.102: without the old key: %v\n%s", err, out)
	}
	write(next + old)
	if out, err := rotate(); err != nil || !strings.Contains(out, `1 re-encrypted with key "next", 0 failed`) {
		t.Errorf("C8.102: %v\n%s", err, out)
	}
	write(next)
	if out, err := rotate(); err != nil || !strings.Contains(out, "0 re-encrypted") || strings.Contains(out, "needed") {
		t.Errorf("C8.102: once more, with the new key alone: %v\n%s", err, out)
	}
	_, sealed, _, err := records.GetWithSecrets(t.Context(), kv, key, o)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := records.Open(keyring, key, sealed); err != nil || len(got) != 1 {
		t.Errorf("C8.102: by the new key alone, as a running program has it now: %q, %v", got, err)
	}
	if out, err := command("secrets", "rotate"); err == nil || !strings.Contains(err.Error(), "--cluster-key-file") {
		t.Errorf("without keys: %v\n%s", err, out)
	}
}
