// SPDX-License-Identifier: Apache-2.0

// Package embedded runs an etcd member inside the process: the default of `seafront
// up`, and the real store of tests. It is a package of its own so that programs
// which only talk to etcd do not carry the server.
//
// It promises that a data directory has one member at a time, that a member started
// again finds what was written, and that a start that fails says which address or
// directory is to blame. It does not join clusters.
package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
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
	// Log gets the member's errors; nil is standard error.
	Log *slog.Logger
	// Quota is how large the data may grow, in bytes; 0 is 8 GiB (C8.100).
	Quota int64
	// TLS makes clients speak TLS; nil does not.
	TLS *TLS
	// Volatile leaves out fsync. Only for tests.
	Volatile bool
}

// TLS names files in PEM form.
type TLS struct {
	Cert, Key string
	// ClientCA is the authority of client certificates, which are demanded then.
	ClientCA string
}

// Server is a running member.
type Server struct {
	etcd    *embed.Etcd
	lock    *fileutil.LockedFile // keeps a second member out of the directory
	closing *atomic.Bool
	close   sync.Once
}

// Settings of C8.100.
const (
	backendQuota     = 8 << 30
	maxRequestBytes  = 1572864
	compactRetention = "15m"
)

// memberName is what the one member calls itself.
const memberName = "seafront"

// startTimeout bounds the wait for the member to elect itself.
const startTimeout = time.Minute

// stopTimeout bounds the wait for the end of one that did not start.
const stopTimeout = 5 * time.Second

var errNotReady = errors.New("the member did not get ready within a minute; a part of its data may be missing")

// Start runs a member and returns once it answers, or when ctx ends.
func Start(ctx context.Context, c Config) (*Server, error) {
	s := &Server{closing: &atomic.Bool{}}
	err := s.start(ctx, c)
	if err != nil {
		s.giveUp()
		return nil, fmt.Errorf("start etcd in %s: %w", c.Dir, err)
	}
	return s, nil
}

// giveUp stops a member that did not start. One that waits for data which it will
// never have takes minutes to stop, and is left to itself after a while.
func (s *Server) giveUp() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.Close()
	}()
	patience := time.NewTimer(stopTimeout)
	defer patience.Stop()
	select {
	case <-closed:
	case <-patience.C:
	}
}

func (s *Server) start(ctx context.Context, c Config) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	lock, err := fileutil.TryLockFile(filepath.Join(c.Dir, "lock"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil { // etcd itself would wait for the other for ever
		return fmt.Errorf("the directory is in use by another process: %w", err)
	}
	s.lock = lock
	last := newLastWords()
	s.etcd, err = launch(settings(c, s.closing, last), last)
	if err != nil {
		return err // names the address that is in use
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errNotReady)
	defer cancel()
	select {
	case <-s.etcd.Server.ReadyNotify():
		last.started.Store(true)
		return nil
	case err := <-s.etcd.Err():
		return err
	case err := <-last.spoken:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// launch is StartEtcd for directories that etcd cannot read or write: there it
// panics, in goroutines of its own as well. What it has begun then stays behind; the
// process is to end, or to do without.
func launch(cfg *embed.Config, last *lastWords) (*embed.Etcd, error) {
	type result struct {
		etcd *embed.Etcd
		err  error
	}
	done := make(chan result, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				last.say(fmt.Errorf("the data cannot be used: %v", v))
			}
		}()
		e, err := embed.StartEtcd(cfg)
		done <- result{e, err}
	}()
	select {
	case r := <-done:
		return r.etcd, r.err
	case err := <-last.spoken:
		return nil, err
	}
}

func settings(c Config, closing *atomic.Bool, last *lastWords) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Dir = c.Dir
	cfg.Name = memberName
	log := c.Log
	if log == nil {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder((&bridge{to: log, closing: closing}).logger(last))
	clients, peers := url.URL{Scheme: "http", Host: c.ClientAddr}, url.URL{Scheme: "http", Host: c.PeerAddr}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{clients}, []url.URL{clients}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peers}, []url.URL{peers}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.MaxTxnOps = etcd.MaxOps
	cfg.QuotaBackendBytes = cmp.Or(c.Quota, backendQuota)
	cfg.MaxRequestBytes = maxRequestBytes
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "periodic", compactRetention
	cfg.UnsafeNoFsync = c.Volatile
	if c.TLS != nil {
		cfg.ListenClientUrls[0].Scheme, cfg.AdvertiseClientUrls[0].Scheme = "https", "https"
		cfg.ClientTLSInfo.CertFile, cfg.ClientTLSInfo.KeyFile = c.TLS.Cert, c.TLS.Key
		cfg.ClientTLSInfo.TrustedCAFile, cfg.ClientTLSInfo.ClientCertAuth = c.TLS.ClientCA, c.TLS.ClientCA != ""
	}
	// One member elects itself: short ticks make the start quick.
	cfg.TickMs, cfg.ElectionMs = 10, 100
	return cfg
}

// Client returns a client with no network in between. Close it before the server:
// it does not notice the server's end.
func (s *Server) Client() *clientv3.Client { return v3client.New(s.etcd.Server) }

// Endpoint is the address for other programs' clients, host:port.
func (s *Server) Endpoint() string { return s.etcd.Clients[0].Addr().String() }

// Run blocks until ctx ends or the member fails, and then stops it.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.etcd.Err():
		if err == nil { // Close was called
			return nil
		}
		return fmt.Errorf("etcd: %w", err)
	}
}

// Close stops the member and returns when it has stopped. It takes up to six
// seconds when another program still watches.
func (s *Server) Close() {
	s.close.Do(func() {
		s.closing.Store(true)
		if s.etcd != nil {
			s.etcd.Close()
		}
		if s.lock != nil {
			_ = s.lock.Close() // gives up the lock
		}
	})
}
