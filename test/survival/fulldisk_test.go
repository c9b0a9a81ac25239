// SPDX-License-Identifier: Apache-2.0

package survival

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/fleet"
	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
)

// smallDisk mounts a file system of so many MiB that only this test and the programs that
// it starts see: they inherit the mounts of the thread, which the test keeps and which
// ends with it.
func smallDisk(t *testing.T, mebibytes int) string {
	t.Helper()
	const hint = "%v: the test mounts a tmpfs, for which it has to be root with CAP_SYS_ADMIN"
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // for good: the thread is of no use to others
	if err := syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS); err != nil {
		t.Fatalf(hint, fmt.Errorf("unshare: %w", err))
	}
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatalf(hint, fmt.Errorf("make mounts private: %w", err))
	}
	if err := syscall.Mount("seafront-test", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mebibytes)); err != nil {
		t.Fatalf(hint, fmt.Errorf("mount: %w", err))
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// neighbour is something else on the machine that takes space.
type neighbour struct{ *os.File }

func newNeighbour(t *testing.T, dir string) neighbour {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "of-somebody-else"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return neighbour{f}
}

// takeAll takes all that is left.
func (n neighbour) takeAll(t *testing.T) {
	t.Helper()
	for _, size := range []int{1 << 20, 4 << 10} {
		err, zeros := error(nil), make([]byte, size)
		for err == nil {
			_, err = n.Write(zeros)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

// giveBack gives all of it back.
func (n neighbour) giveBack(t *testing.T) {
	t.Helper()
	if err := errors.Join(n.Close(), os.Remove(n.Name())); err != nil {
		t.Fatal(err)
	}
}

// metric is the sum of a metric of the edge over its attributes.
func metric(t *testing.T, e *fleet.Edge, name string) float64 {
	t.Helper()
	res, err := http.Get("http://" + e.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	sum, lines := 0.0, regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)`).FindAllSubmatch(text, -1)
	if lines == nil {
		t.Fatalf("no metric %s", name)
	}
	for _, line := range lines {
		n, err := strconv.ParseFloat(string(line[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// askAll asks for paths as many viewers, and fails the test unless each answer is the
// origin's byte for byte. It returns how many were hits.
func askAll(t *testing.T, what string, e *fleet.Edge, host string, paths []string) (hits int) {
	t.Helper()
	const viewers = 4
	var found [viewers]int
	var all errgroup.Group
	for v := range viewers {
		all.Go(func() error {
			c := viewer.New(e.HTTP)
			defer c.Close()
			for i := v; i < len(paths); i += viewers {
				a, err := c.Get(host, paths[i])
				if err != nil {
					return err
				}
				if a.Status != 200 || !bytes.Equal(a.Body, content(paths[i])) {
					return fmt.Errorf("%s: %d, %d bytes, which are not those of the origin", paths[i], a.Status, len(a.Body))
				}
				if a.Cache() == "Hit" {
					found[v]++
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for _, n := range found {
		hits += n
	}
	return hits
}

// series are paths of so many objects of a size.
func series(name string, count, size int) []string {
	var out []string
	for i := range count {
		out = append(out, fmt.Sprintf("/%s/%d/%d", name, i, size))
	}
	return out
}

// TestFullDisk has an edge on a file system that is smaller than its disk cache may be.
// It is filled by what viewers ask for, then by somebody else to the last page. Every
// answer stays right, the edge says what happens and goes on when there is space again,
// and after restarts it serves what verifies.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 24)
	origin, cdn := startSite(t), fleet.Start(t, 0)
	e := cdn.Edge(t, fleet.Spec{ID: "full", Data: filepath.Join(dir, "data"), Env: []string{
		"SEAFRONT_ACCESS_LOG=off", "SEAFRONT_CACHE_BYTES=1048576", "SEAFRONT_DISK_CACHE_BYTES=67108864", "SEAFRONT_ORIGIN_CONCURRENCY_PER_VIEWER=100",
	}})
	host := cdn.Site(t, "full", control.Site(fleet.Origin(t, origin.address)))

	// 40 MB of what fits into a record and of what lies in slices.
	askAll(t, "filled", e, host, append(series("short", 300, 60_000), series("long", 16, 1_500_000)...))
	if n := metric(t, e, "seafront_edge_disk_evicted_total"); n == 0 {
		t.Error("nothing made room")
	}
	if n := metric(t, e, "seafront_edge_disk_serving"); n != 1 {
		t.Error("a full file system took the disk cache out of service")
	}
	last := series("last", 20, 60_000)
	askAll(t, "stored in place of older ones", e, host, last)
	if hits := askAll(t, "read again", e, host, last); hits != len(last) {
		t.Errorf("%d of %d objects that were just stored are hits", hits, len(last))
	}

	e.Stop(t)
	checkRestart(t, "full by its own cache", e, host, last)

	crowd := newNeighbour(t, dir)
	round := 0
	program.Await(t, "the edge says that the disk is full", time.Minute, func(context.Context) error {
		crowd.takeAll(t) // what the edge frees, too
		round++
		askAll(t, "full by somebody else", e, host, series(fmt.Sprint("crowded-", round), 50, 60_000))
		if !strings.Contains(e.Log(), "disk cache has no room") || metric(t, e, "seafront_edge_disk_dropped_total") == 0 {
			return errors.New(e.Log())
		}
		return nil
	})
	if n := metric(t, e, "seafront_edge_disk_serving"); n != 1 {
		t.Error("a file system that somebody else has filled took the disk cache out of service")
	}
	askAll(t, "full by somebody else", e, host, last)
	crowd.takeAll(t)
	e.Stop(t)
	checkRestart(t, "full by somebody else", e, host, nil)

	crowd.giveBack(t)
	after := series("after", 20, 60_000)
	program.Await(t, "the disk cache takes records again", time.Minute, func(context.Context) error {
		before := metric(t, e, "seafront_edge_disk_dropped_total")
		askAll(t, "with space again", e, host, after)
		if hits := askAll(t, "with space again", e, host, after); hits != len(after) || metric(t, e, "seafront_edge_disk_dropped_total") > before {
			return fmt.Errorf("%d hits of %d", hits, len(after))
		}
		return nil
	})
	e.Stop(t)
	checkRestart(t, "with space again", e, host, after)
}

// checkRestart starts an edge that has been stopped, which has to have all of some objects
// and serves right bytes of all.
func checkRestart(t *testing.T, what string, e *fleet.Edge, host string, has []string) {
	t.Helper()
	e.Restart(t)
	if hits := askAll(t, what+", restarted", e, host, has); hits != len(has) {
		t.Errorf("%s, restarted: %d hits of %d\n%s", what, hits, len(has), e.Log())
	}
	askAll(t, what+", restarted", e, host, append(series("short", 300, 60_000), series("long", 16, 1_500_000)...))
	if n := metric(t, e, "seafront_edge_disk_failed_checks_total"); n != 0 {
		t.Errorf("%s, restarted: %v records were not what was written", what, n)
	}
}
