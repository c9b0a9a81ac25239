// SPDX-License-Identifier: Apache-2.0

package reload

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestValueFollowsItsFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
		write := func(path, text string) {
			if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
		write(one, "a")
		write(two, "a")
		parsed := 0
		var said bytes.Buffer
		v, err := Open(slog.New(slog.NewTextHandler(&said, nil)), func(files [][]byte) (string, error) {
			parsed++
			if !bytes.Equal(files[0], files[1]) {
				return "", errors.New("they do not go together")
			}
			return string(files[0]), nil
		}, one, two)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			what   string
			change func()
			want   string
			parsed int
		}{
			{"nothing changed", func() {}, "a", 1},
			{"one of two changed", func() { write(one, "b") }, "a", 2},
			{"still", func() {}, "a", 3},
			{"both changed", func() { write(two, "b") }, "b", 4},
			{"one is gone", func() { _ = os.Remove(one) }, "b", 4},
			{"it is back with something new", func() { write(one, "c"); write(two, "c") }, "c", 5},
			{"it is too large", func() { write(one, strings.Repeat("x", MostBytes+1)) }, "c", 5},
		} {
			step.change()
			time.Sleep(Interval)
			for range 3 {
				if got := v.Get(); got != step.want {
					t.Errorf("%s: %.20q, want %q", step.what, got, step.want)
				}
			}
			if parsed != step.parsed {
				t.Errorf("%s: parsed %d times, want %d", step.what, parsed, step.parsed)
			}
		}
		if n := strings.Count(said.String(), "do not go together"); n != 1 {
			t.Errorf("the same failure is logged %d times", n)
		}
	})
}

func TestNoFirstValue(t *testing.T) {
	fine := func([][]byte) (int, error) { return 0, nil }
	if _, err := Open(slog.New(slog.DiscardHandler), fine, filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file: no error")
	}
}
