// SPDX-License-Identifier: Apache-2.0

package lastgood

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// sample is a file of several pages, with overflow, branches and freed pages.
func sample(t testing.TB) (file []byte, want Content) {
	t.Helper()
	dir := t.TempDir()
	var changes []snapshot.Change
	for i := range 120 {
		changes = append(changes, put(fmt.Sprintf("/r/distributions/%03d", i), int64(i+1), strings.Repeat(fmt.Sprint(i, " "), 60)))
	}
	changes[7].Value = bytes.Repeat([]byte("overflow"), 1500)
	keep(t, dir,
		Step{Point: at(120), Served: changes},
		Step{Point: at(121), Served: []snapshot.Change{gone(changes[3].Key, 121), put("x", 121, "x")}},
		Step{Point: at(122), Rejected: []snapshot.Change{put("x", 122, "bad")}, Invalidations: []snapshot.Change{put("i", 122, "/a")}},
		Step{Point: at(123), Invalidations: []snapshot.Change{put("j", 123, strings.Repeat("/b", 3000))}})
	want = loadAll(t, dir)
	want.Contact = time.Time{}
	file, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	return file, want
}

// reopen opens a copy of a file and says what was read and what was refused.
func reopen(t testing.TB, dir string, file []byte) (Content, string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, fileName), file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, c, refused, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return c, refused
}

func TestDamagedFileIsNamedAndRefused(t *testing.T) {
	file, _ := sample(t)
	for _, size := range []int{1, 100, pageSize, 2 * pageSize, 3*pageSize + 5, len(file) / 2, len(file) - len(file)/8} {
		dir := t.TempDir()
		c, refused := reopen(t, dir, file[:size])
		if c.Point.Revision != 0 || len(c.Served)+len(c.Rejected) != 0 {
			t.Errorf("cut to %d bytes: something of it is served", size)
		}
		path := filepath.Join(dir, fileName)
		if !strings.Contains(refused, path) || !strings.Contains(refused, fileName+".corrupt-1") {
			t.Errorf("cut to %d bytes: refused %q, want the names of the file and of what became of it", size, refused)
		}
		if moved, err := os.ReadFile(path + ".corrupt-1"); err != nil || len(moved) != size {
			t.Errorf("cut to %d bytes: the file is not kept: %v", size, err)
		}
	}
}

func TestDamagedFilesDoNotFillTheDisk(t *testing.T) {
	dir := t.TempDir()
	for range 2 * keptDamaged {
		reopen(t, dir, []byte("not a database"))
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.corrupt-*"))
	if err != nil || len(files) != keptDamaged {
		t.Errorf("%d damaged files are kept, want %d", len(files), keptDamaged)
	}
}

// readBytes reads a file as Open does, without replacing it.
func readBytes(t testing.TB, file []byte) (Content, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), fileName)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, c, lost, err := read(path)
	if err != nil {
		if _, ok := errors.AsType[damagedError](err); !ok {
			t.Fatalf("%v is not taken for damage", err)
		}
		return Content{}, err
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	c.Contact = time.Time{}
	return c, lost
}

func TestFlippedBytesAreNeverServed(t *testing.T) {
	file, want := sample(t)
	const flips = 300
	refusals := 0
	for i := range flips {
		offset := i * len(file) / flips
		bad := bytes.Clone(file)
		bad[offset] ^= 1 << (i % 8)
		c, err := readBytes(t, bad)
		if err != nil {
			refusals++
			continue
		}
		if !reflect.DeepEqual(want, c) {
			t.Fatalf("byte %d flipped: something else is served", offset)
		}
	}
	if refusals == 0 {
		t.Error("no flipped byte was noticed")
	}
	t.Logf("%d of %d flipped bytes lay in use and were refused", refusals, flips)
}

func TestZeroedPagesAreNeverServed(t *testing.T) {
	file, want := sample(t)
	for offset := 0; offset < len(file); offset += pageSize {
		bad := bytes.Clone(file)
		clear(bad[offset : offset+pageSize])
		if c, err := readBytes(t, bad); err == nil && !reflect.DeepEqual(want, c) {
			t.Errorf("page %d lost: what is left is served", offset/pageSize)
		}
	}
}

// A page that the disk never wrote holds what was there before: a valid page of
// another time.
func TestLostWriteIsNoticed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	keep(t, dir, Step{Point: at(1), Served: []snapshot.Change{put("a", 1, "one"), put("b", 1, "one")}})
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, dir, Step{Point: at(2), Served: []snapshot.Change{put("a", 2, "two")}, Invalidations: []snapshot.Change{put("i", 2, "/a")}})
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := loadAll(t, dir)
	want.Contact = time.Time{}
	for offset := 0; offset < len(before); offset += pageSize {
		lost := bytes.Clone(after)
		copy(lost[offset:], before[offset:offset+pageSize])
		if c, err := readBytes(t, lost); err == nil && c.Point.Revision == 2 && !reflect.DeepEqual(want, c) {
			t.Errorf("page %d of an older time is served as the newest", offset/pageSize)
		}
	}
}

func FuzzCheckPages(f *testing.F) {
	file, want := sample(f)
	f.Add(0, uint64(1), len(file))
	f.Add(pageSize*3+8, uint64(0xffff), len(file)-1)
	f.Fuzz(func(t *testing.T, offset int, bits uint64, size int) {
		bad := bytes.Clone(file)
		if size >= 0 && size < len(bad) {
			bad = bad[:size]
		}
		for i := range 8 {
			if at := offset + i; at >= 0 && at < len(bad) {
				bad[at] ^= byte(bits >> (8 * i))
			}
		}
		if checkPages(bytes.NewReader(bad), int64(len(bad))) != nil {
			return
		}
		if c, err := readBytes(t, bad); err == nil && !reflect.DeepEqual(want, c) {
			t.Error("something else is served")
		}
	})
}

const victimDir = "SEAFRONT_TEST_VICTIM_DIR"

// victim keeps steps until it is killed, and says which are on disk.
func victim(dir string, out io.Writer) error {
	s, c, _, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	for i := c.Point.Revision + 1; ; i++ {
		s.Keep(Step{Point: at(i), Served: []snapshot.Change{put("a", i, fmt.Sprint(i)), put(fmt.Sprint("b", i%50), i, strings.Repeat("x", int(i%9000)))}})
		if err := s.flush(); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, i); err != nil {
			return err
		}
	}
}

func TestKilled(t *testing.T) {
	dir := t.TempDir()
	for round := range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := exec.CommandContext(ctx, os.Args[0]) // killed with SIGKILL when ctx ends
		cmd.Env = append(os.Environ(), victimDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var written int64
		lines := bufio.NewScanner(out)
		for n := 0; n < 20+7*round && lines.Scan(); n++ {
			if written, err = strconv.ParseInt(lines.Text(), 10, 64); err != nil {
				t.Fatal(lines.Text())
			}
		}
		cancel()
		_ = cmd.Wait() // it was killed
		c := load(t, dir)
		if c.Point.Revision < written {
			t.Fatalf("round %d: revision %d after a kill, %d was on disk", round, c.Point.Revision, written)
		}
		if last := c.Served[len(c.Served)-1]; last.ModRevision != c.Point.Revision {
			t.Errorf("round %d: newest record is of %d, the file of %d", round, last.ModRevision, c.Point.Revision)
		}
	}
}
