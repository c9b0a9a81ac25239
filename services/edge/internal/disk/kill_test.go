// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

const victimDir = "SEAFRONT_TEST_DISK_VICTIM"

// victim puts and deletes until it is killed, and says what is on disk.
func victim(dir string) error {
	l, err := Open(small(dir))
	if err != nil {
		return err
	}
	ctx := context.Background()
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx) })
	for i := 1; ; i++ {
		_ = putOn(l, fmt.Sprint("k", i%200), i, i*131%12_000) // may be busy
		if i%7 == 0 {
			l.Delete(fmt.Sprint("k", i%200))
		}
		if i%50 == 0 {
			l.Delete("gone")
			if err := l.Sync(ctx); err != nil {
				return err
			}
			if _, err := fmt.Fprintln(os.Stdout, "synced", i); err != nil {
				return err
			}
			_ = putOn(l, "gone", i, 100) // from here on, a version above i
		}
	}
}

func TestKilled(t *testing.T) {
	dir := t.TempDir()
	for round := range 6 {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := exec.CommandContext(ctx, os.Args[0]) // killed with SIGKILL when ctx ends
		cmd.Env = append(os.Environ(), victimDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		synced := 0
		lines := bufio.NewScanner(out)
		for n := 0; n < 3+11*round && lines.Scan(); n++ {
			if _, err := fmt.Sscanf(lines.Text(), "synced %d", &synced); err != nil {
				t.Fatal(lines.Text())
			}
		}
		cancel()
		for lines.Scan() {
			if !strings.HasPrefix(lines.Text(), "synced") {
				continue
			}
			if _, err := fmt.Sscanf(lines.Text(), "synced %d", &synced); err != nil {
				break // killed in mid-line
			}
		}
		_ = cmd.Wait() // it was killed
		j := &journal{}
		cfg := small(dir)
		cfg.Log = j.logger()
		l := start(t, cfg)
		<-l.Loaded()
		hits := 0
		for i := range 200 {
			if get(t, l.Log, fmt.Sprint("k", i)) >= 0 {
				hits++
			}
		}
		if v := get(t, l.Log, "gone"); v >= 0 && v < synced {
			t.Errorf("round %d: version %d is back, though deleted and synced at %d", round, v, synced)
		}
		// What the kernel has, a killed process has not lost.
		if hits < 20 {
			t.Errorf("round %d: %d hits", round, hits)
		}
		if r := l.Recovery(); r.Clean || r.DamagedBytes > 0 || !strings.Contains(j.String(), "disk cache is read") {
			t.Errorf("round %d: recovery %+v\n%s", round, r, j)
		}
		l.kill()
	}
}
