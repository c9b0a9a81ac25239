// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFileIsFollowed is a change of the key as an operator makes it.
func TestFileIsFollowed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys")
	if _, err := Load(name, nil); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
		t.Fatalf("no file: %v", err)
	}
	write(t, name, line("a", 1))
	var failures []error
	k, err := Load(name, func(err error) { failures = append(failures, err) })
	if err != nil {
		t.Fatal(err)
	}
	old, err := k.Seal("r", map[string]string{"x": "1"})
	if err != nil || old.KeyID != "a" {
		t.Fatalf("%v, %v", old, err)
	}
	write(t, name, line("b", 2)+"\n"+line("a", 1)) // at once: its length tells
	fresh, err := k.Seal("r", map[string]string{"x": "1"})
	if err != nil || fresh.KeyID != "b" {
		t.Fatalf("C8.102: %v, %v; want the new primary", fresh, err)
	}
	if _, err := k.Open("r", old); err != nil {
		t.Errorf("C8.102: what the old key sealed: %v", err)
	}
	write(t, name, "b torn")
	for range 3 {
		if got := k.IDs(); !slices.Equal(got, []string{"b", "a"}) {
			t.Errorf("keys of a torn file: %q; want those of before", got)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := k.IDs(); !slices.Equal(got, []string{"b", "a"}) {
			t.Errorf("keys of a lost file: %q; want those of before", got)
		}
	}
	if len(failures) != 2 {
		t.Errorf("told of %d failures, want one for each: %v", len(failures), failures)
	}
	write(t, name, line("b", 2))
	if got := k.IDs(); !slices.Equal(got, []string{"b"}) {
		t.Errorf("keys %q, want what the file says now", got)
	}
}

func TestLoadOrCreate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "data", "cluster.key")
	const processes = 8
	ids := make([]*Keyring, processes)
	var wg sync.WaitGroup
	for i := range processes {
		wg.Go(func() {
			k, err := LoadOrCreate(name, nil)
			if err != nil {
				t.Error(err)
			}
			ids[i] = k
		})
	}
	wg.Wait()
	s, err := ids[0].Seal("r", map[string]string{"x": "1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range ids {
		if _, err := k.Open("r", s); err != nil {
			t.Errorf("one of several that began together: %v", err)
		}
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files left, %v; want the key file alone", len(entries), err)
	}
	write(t, name, "torn")
	if _, err := LoadOrCreate(name, nil); err == nil {
		t.Error("a torn file was replaced or passed over")
	}
}
