// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/embedded"
	"github.com/seafront-cdn/seafront/services/edge/internal/recordtest"
)

// growth is what changes add to etcd while its history is kept.
type growth struct {
	revisions, bytes int64
	changes          int
}

// sizeOf is what there is at a moment.
func sizeOf(t *testing.T, c *clientv3.Client, store string) growth {
	t.Helper()
	s, err := c.Status(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return growth{revisions: s.Header.GetRevision(), bytes: s.DbSizeInUse}
}

func (g growth) since(before growth, changes int) growth {
	return growth{g.revisions - before.revisions, g.bytes - before.bytes, changes}
}

// hour projects one change in a second, with the statuses of n edges, onto an hour. The
// bare key that is written in turn counts as much as the change and is taken off.
func (g growth) hour(edges int) string {
	const retention = 15 * time.Minute // of history (C8.100)
	revisions := float64(g.revisions)/float64(g.changes) - 1
	bytes := float64(g.bytes) / float64(g.revisions) * revisions
	return fmt.Sprintf("etcd, %d edges: %.1f revisions and %.1f KB a change; with one in a second %.0f revisions in an hour, %.0f MB of history within %v",
		edges, revisions, bytes/1e3, revisions*3600, bytes*retention.Seconds()/1e6, retention)
}

// load writes the distribution that changes and n others.
func load(t *testing.T, store string, n int) {
	t.Helper()
	c := dial(t, store)
	defer c.Close()
	const batch = 500
	ops := []clientv3.Op{clientv3.OpPut(keys.Resource(keys.Distributions, "BENCH"), string(recordtest.Distribution(t, "BENCH", "")))}
	for i := range n {
		id := fmt.Sprintf("E%013d", i)
		ops = append(ops, clientv3.OpPut(keys.Resource(keys.Distributions, id), string(recordtest.Distribution(t, id, ""))))
	}
	for some := range slices.Chunk(ops, batch) {
		if _, err := c.Txn(t.Context()).Then(some...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// startStore runs etcd in a process of its own and returns its address.
func startStore(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestPropagation$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), storeEnv+"="+t.TempDir())
	stdin, err := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	t.Cleanup(func() {
		_ = stdin.Close()
		rest, err := io.ReadAll(out)
		if err := errors.Join(err, cmd.Wait()); err != nil {
			t.Errorf("etcd: %v\n%s", err, rest)
		}
	})
	text, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("etcd did not start: %v %s", err, text)
	}
	return strings.TrimSpace(text)
}

// beStore runs etcd until standard input ends.
func beStore(t *testing.T, dir string) {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, ClientAddr: "127.0.0.1:0", PeerAddr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, _ = fmt.Fprintln(os.Stdout, s.Endpoint())
	_, _ = io.Copy(io.Discard, os.Stdin)
}
