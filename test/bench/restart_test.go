// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/internal/fleet"
	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
	"github.com/seafront-cdn/seafront/test/load"
)

// Objects of the row restart: 10 GB of them.
const (
	warmObjects = 10_000
	warmSize    = 1_000_000
)

func warmTarget(n any) string { return fmt.Sprintf("/%d/warm-%v", warmSize, n) }

// restart tells how long an edge with a full cache on disk takes from its start to its
// first hit: stopped in order, and killed.
func restart(t *testing.T, b *bench) {
	const bar = 2 * time.Second
	dir := t.TempDir()
	objects, note := room(t, dir, warmObjects/b.scale)
	spec := edgeSpec(t, "restart", b.core, "SEAFRONT_DISK_CACHE_BYTES="+strconv.Itoa(objects*warmSize*5/4))
	spec.Data = dir
	e := b.control.Edge(t, spec)
	b.warm(t, e, objects)
	for _, end := range []struct {
		name string
		stop func(*program.Process, testing.TB)
	}{{"SIGTERM", (*program.Process).Stop}, {"kill -9", (*program.Process).Kill}} {
		end.stop(e.Process, t)
		forget(t, dir)
		began := time.Now()
		e = b.control.Launch(t, spec)
		took, misses := b.firstHit(t, e, began, objects)
		sample := min(100, objects)
		b.add(t, line{
			id: "restart", what: fmt.Sprintf("start after %s with %s GB on disk, to the first hit", end.name, strconv.FormatFloat(float64(objects)*warmSize/1e9, 'g', 3, 64)),
			edge: seconds(took), peer: "bar", theirs: seconds(bar), ratio: bar.Seconds() / took.Seconds(), bar: 1, goal: 1,
			note: fmt.Sprintf("nothing in the page cache; misses before it: %d; then %d of %d from all over the cache were hits%s", misses, b.hits(t, e, objects, sample), sample, note),
		})
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// room is how many of the objects the file system of dir has room for, and says so
// when these are not all.
func room(t testing.TB, dir string, objects int) (n int, note string) {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	free := s.Bavail * uint64(s.Bsize)
	if n = min(objects, int(free/(2*warmSize))); n < objects {
		note = fmt.Sprintf("; %s has only %s MB free", dir, count(float64(free)/1e6))
	}
	return n, note
}

// warm fills an edge until all objects are hits: what the disk was too slow for is
// asked for again.
func (b *bench) warm(t testing.TB, e *fleet.Edge, objects int) {
	t.Helper()
	const rounds = 10
	for range rounds {
		before := b.asked(t)
		_, err := load.Run(load.Plan{Address: e.HTTP, Host: b.host, Target: warmTarget("#"), Connections: 4, Count: objects, Status: 200, Length: warmSize})
		if err != nil {
			t.Fatal(err)
		}
		if b.asked(t) == before {
			return
		}
	}
	t.Fatalf("the edge does not keep %d objects", objects)
}

// forget takes the files of a directory out of the page cache, as a start of the whole
// machine would.
func forget(t testing.TB, dir string) {
	t.Helper()
	const dontNeed = 4 // POSIX_FADV_DONTNEED
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := file.Sync(); err != nil { // what is dirty stays
			return err
		}
		if _, _, code := syscall.Syscall6(syscall.SYS_FADVISE64, file.Fd(), 0, 0, dontNeed, 0, 0); code != 0 {
			return fmt.Errorf("forget %s: %w", path, code)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// firstHit asks an edge that starts for one object after the other, the newest first,
// until it has one.
func (b *bench) firstHit(t testing.TB, e *fleet.Edge, began time.Time, objects int) (took time.Duration, misses int) {
	t.Helper()
	const pause = 2 * time.Millisecond
	for misses < objects {
		before := b.asked(t)
		v := viewer.New(e.HTTP)
		a, err := v.Get(b.host, warmTarget(objects-1-misses))
		took = time.Since(began)
		v.Close()
		switch {
		case took > startTimeout:
			t.Fatalf("no hit within %v of the start", startTimeout)
		case err != nil || a.Status != 200:
			time.Sleep(pause)
		case a.Cache() != "Hit":
			misses++
		case !bytes.Equal(a.Body, load.Body(warmSize)) || b.asked(t) != before:
			t.Fatal("a hit with other bytes than the origin's, or that needed the origin")
		default:
			return took, misses
		}
	}
	t.Fatal("nothing that was stored is found after the start")
	return 0, 0
}

// hits is how many of n objects, from all over the cache, are hits.
func (b *bench) hits(t testing.TB, e *fleet.Edge, objects, n int) int {
	t.Helper()
	found := 0
	for i := range n {
		if a := viewer.Get(t, e.HTTP, b.host, warmTarget(i*objects/n)); a.Status == 200 && a.Cache() == "Hit" {
			found++
		}
	}
	return found
}
