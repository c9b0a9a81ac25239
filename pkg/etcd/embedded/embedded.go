// SPDX-License-Identifier: Apache-2.0

// Package embedded runs an etcd member inside the process: the default of `seafront
// up`, and the real store of tests. It is a package of its own so that programs
// which only talk to etcd do not carry the server.
package embedded

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"

	"github.com/seafront-cdn/seafront/pkg/etcd"
)

// Config says where the member keeps its data and listens.
type Config struct {
	// Dir is the data directory; it is made.
	Dir string
	// ClientAddr and PeerAddr are host:port. Port 0 lets the system choose.
	ClientAddr, PeerAddr string
	// Volatile leaves out fsync. Only for tests.
	Volatile bool
}

// Server is a running member.
type Server struct {
	etcd *embed.Etcd
}

// Settings of C8.100.
const (
	backendQuota     = 8 << 30
	maxRequestBytes  = 1572864
	compactRetention = "15m"
)

// Start runs a member and returns once it answers, or when ctx ends.
func Start(ctx context.Context, c Config) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(c.Dir), 0o700); err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	cfg := embed.NewConfig()
	cfg.Dir = c.Dir
	cfg.Name = "seafront"
	cfg.LogLevel = "error"
	clients, peers := url.URL{Scheme: "http", Host: c.ClientAddr}, url.URL{Scheme: "http", Host: c.PeerAddr}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{clients}, []url.URL{clients}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peers}, []url.URL{peers}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.MaxTxnOps = etcd.MaxOps
	cfg.QuotaBackendBytes = backendQuota
	cfg.MaxRequestBytes = maxRequestBytes
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "periodic", compactRetention
	cfg.UnsafeNoFsync = c.Volatile
	// One member elects itself: short ticks make the start quick.
	cfg.TickMs, cfg.ElectionMs = 10, 100
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", c.Dir, err)
	}
	select {
	case <-e.Server.ReadyNotify():
		return &Server{e}, nil
	case err = <-e.Err():
	case <-time.After(time.Minute):
		err = context.DeadlineExceeded
	case <-ctx.Done():
		err = ctx.Err()
	}
	e.Close()
	return nil, fmt.Errorf("start etcd in %s: %w", c.Dir, err)
}

// Client returns a client with no network in between. Close it before the server.
func (s *Server) Client() *clientv3.Client { return v3client.New(s.etcd.Server) }

// Endpoint is the address for other programs' clients.
func (s *Server) Endpoint() string { return s.etcd.Clients[0].Addr().String() }

// Run blocks until ctx ends or the member fails, and then stops it.
func (s *Server) Run(ctx context.Context) error {
	defer s.etcd.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.etcd.Err():
		return fmt.Errorf("etcd: %w", err)
	}
}

// Close stops the member.
func (s *Server) Close() { s.etcd.Close() }
