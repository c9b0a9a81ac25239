// SPDX-License-Identifier: Apache-2.0

package etcdtest

import (
	"fmt"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/embedded"
)

// Member is an etcd of one test's own, for tests in which it goes away. Its address
// stays the same for life.
type Member struct {
	dir    string
	stores int // how many data sets there have been
	gate   *gate
	server *embedded.Server // nil while stopped
	change []func(*embedded.Config)
}

// Start runs a member until the test ends. Changes are made to each configuration that
// it is started with.
func Start(t testing.TB, change ...func(*embedded.Config)) *Member {
	t.Helper()
	g, err := newGate()
	if err != nil {
		t.Fatal(err)
	}
	m := &Member{dir: t.TempDir(), gate: g, change: change}
	t.Cleanup(func() {
		m.Stop()
		g.close()
	})
	m.Restart(t)
	return m
}

// Endpoint is the member's address, host:port, whether it runs or not.
func (m *Member) Endpoint() string { return m.gate.Addr().String() }

// Dir is where the member keeps its data.
func (m *Member) Dir() string { return filepath.Join(m.dir, fmt.Sprintf("store-%d", m.stores)) }

// Stop cuts every connection and stops the member. It returns when it has stopped.
func (m *Member) Stop() {
	m.gate.shut()
	if m.server != nil {
		m.server.Close()
		m.server = nil
	}
}

// Restart stops the member if it runs and starts it with the data that it had.
func (m *Member) Restart(t testing.TB) {
	t.Helper()
	m.Stop()
	cfg := embedded.Config{Dir: m.Dir(), ClientAddr: "127.0.0.1:0", PeerAddr: "127.0.0.1:0", Volatile: true}
	for _, f := range m.change {
		f(&cfg)
	}
	server, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.server = server
	m.gate.open(server.Endpoint())
}

// Replace is Restart with an empty store: all data is lost, revisions begin anew.
func (m *Member) Replace(t testing.TB) {
	t.Helper()
	m.Stop() // before another store is named
	m.stores++
	m.Restart(t)
}

// Swap is Replace with a store that fill makes in a directory which does not exist yet,
// from a backup for example.
func (m *Member) Swap(t testing.TB, fill func(dir string)) {
	t.Helper()
	m.Stop()
	m.stores++
	fill(m.Dir())
	m.Restart(t)
}

// Cut breaks every connection of the running member; clients come back at once.
func (m *Member) Cut() {
	m.gate.shut()
	m.gate.open(m.server.Endpoint())
}

// Client makes a client of its own connection, with the whole key space, closed
// when the test ends. It may be made while the member is stopped.
func (m *Member) Client(t testing.TB) *clientv3.Client {
	t.Helper()
	c, err := etcd.Dial([]string{m.Endpoint()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
