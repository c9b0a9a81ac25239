// SPDX-License-Identifier: Apache-2.0

// Package etcdtest gives tests a real etcd: one member for each test binary with a
// key space of its own for each test, or a member of the test's own that can be
// stopped and started again.
//
// It promises that nothing is left behind: no goroutine, no file. Every package
// whose tests use it calls Main from TestMain.
package etcdtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.uber.org/goleak"

	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/embedded"
)

var (
	mu      sync.Mutex // guards running and dir
	running *embedded.Server
	dir     string
	spaces  atomic.Int64
)

// Space is a key space of a test.
type Space struct {
	endpoint, prefix string
}

// New gives the test a key space that nobody else uses.
func New(t testing.TB) Space {
	t.Helper()
	return Space{endpoint: endpoint(t), prefix: fmt.Sprintf("/space-%d/", spaces.Add(1))}
}

// Client makes a client of its own connection, closed when the test ends. Each
// server of a test takes its own, as in life.
func (s Space) Client(t testing.TB) *clientv3.Client {
	t.Helper()
	c, err := etcd.Dial([]string{s.endpoint})
	if err != nil {
		t.Fatal(err)
	}
	c.KV = namespace.NewKV(c.KV, s.prefix)
	c.Watcher = namespace.NewWatcher(c.Watcher, s.prefix)
	c.Lease = namespace.NewLease(c.Lease, s.prefix)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Client is New and one client.
func Client(t testing.TB) *clientv3.Client { return New(t).Client(t) }

func endpoint(t testing.TB) string {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	if running != nil {
		return running.Endpoint()
	}
	var err error
	if dir, err = os.MkdirTemp("", "seafront-etcd-"); err != nil {
		t.Fatal(err)
	}
	running, err = embedded.Start(context.Background(), embedded.Config{
		Dir: filepath.Join(dir, "etcd"), ClientAddr: "127.0.0.1:0", PeerAddr: "127.0.0.1:0", Volatile: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return running.Endpoint()
}

// Main runs the tests of a package, stops the member, removes its files and fails
// when a goroutine is left. Call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	stop()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines left:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func stop() {
	mu.Lock()
	defer mu.Unlock()
	if running != nil {
		running.Close()
	}
	if dir != "" {
		_ = os.RemoveAll(dir)
	}
}
