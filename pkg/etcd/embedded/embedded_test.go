// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/seafront-cdn/seafront/pkg/etcd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t testing.TB, c Config) (*Server, error) {
	t.Helper()
	if c.ClientAddr == "" {
		c.ClientAddr = "127.0.0.1:0"
	}
	if c.PeerAddr == "" {
		c.PeerAddr = "127.0.0.1:0"
	}
	s, err := Start(t.Context(), c)
	if err == nil {
		t.Cleanup(s.Close)
	}
	return s, err
}

func mustStart(t testing.TB, c Config) *Server {
	t.Helper()
	s, err := start(t, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRestartFindsTheData(t *testing.T) {
	var log bytes.Buffer
	dir := filepath.Join(t.TempDir(), "not", "yet", "made")
	config := Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))}
	s := mustStart(t, config)
	inside := s.Client()
	if _, err := inside.Put(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	_ = inside.Close()
	s.Close()
	s.Close() // once more does nothing

	s = mustStart(t, config)
	outside, err := etcd.Dial([]string{s.Endpoint()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = outside.Close() }()
	res, err := outside.Get(t.Context(), "k")
	if err != nil || len(res.Kvs) != 1 || string(res.Kvs[0].Value) != "v" {
		t.Errorf("k = %v, %v after a restart", res, err)
	}
	if err := etcd.Probe(t.Context(), outside); err != nil {
		t.Errorf("C8.100: %v", err)
	}
	_ = outside.Close()
	s.Close()
	if log.Len() > 0 {
		t.Errorf("an ordinary life logged errors:\n%s", &log)
	}
}

func TestStartSaysWhatIsInTheWay(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	running := filepath.Join(t.TempDir(), "running")
	mustStart(t, Config{Dir: running, Volatile: true})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		config Config
		want   []string
	}{
		{"address of clients in use", Config{Dir: t.TempDir(), ClientAddr: address}, []string{address, "in use"}},
		{"address of peers in use", Config{Dir: t.TempDir(), PeerAddr: address}, []string{address, "in use"}},
		{"directory in use", Config{Dir: running}, []string{running, "in use by another process"}},
		{"not a directory", Config{Dir: file}, []string{file, "not a directory"}},
		{"not an address", Config{Dir: t.TempDir(), ClientAddr: "nowhere"}, []string{"nowhere"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			tt.config.Log = slog.New(slog.NewTextHandler(&log, nil))
			_, err := start(t, tt.config)
			if err == nil {
				t.Fatal("it started")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

// TestStartRefusesDamage: etcd itself panics over each of these, in whatever
// goroutine. What it leaves behind then cannot be stopped, so the attempts are made
// by a process of their own.
func TestStartRefusesDamage(t *testing.T) {
	if dir := os.Getenv("SEAFRONT_TEST_DAMAGED"); dir != "" {
		_, err := start(t, Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		_, _ = fmt.Fprintf(os.Stdout, "start = %v\n", err)
		os.Exit(0)
	}
	for _, tt := range []struct{ name, file, want string }{
		{"database", "member/snap/db", "start etcd in %s: failed to open database: invalid database"},
		{"log", "member/wal/*.wal", "start etcd in %s: the data cannot be used"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			mustStart(t, Config{Dir: dir, Volatile: true}).Close()
			files, err := filepath.Glob(filepath.Join(dir, tt.file))
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			f, err := os.OpenFile(files[0], os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = f.Write(bytes.Repeat([]byte("damage"), 4000)); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			self := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStartRefusesDamage$")
			self.Env = append(os.Environ(), "SEAFRONT_TEST_DAMAGED="+dir)
			out, err := self.CombinedOutput()
			if want := fmt.Sprintf(tt.want, dir); err != nil || !strings.Contains(string(out), want) {
				t.Errorf("it ended with %v, and did not say %q:\n%s", err, want, out)
			}
		})
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	s, err := Start(ctx, Config{Dir: dir, ClientAddr: "127.0.0.1:0", PeerAddr: "127.0.0.1:0", Volatile: true})
	if err == nil {
		s.Close() // it was quicker
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	mustStart(t, Config{Dir: dir, Volatile: true}) // nothing holds the directory
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	s := mustStart(t, Config{Dir: dir, Volatile: true})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	mustStart(t, Config{Dir: dir, Volatile: true}) // it has let go
}

func TestErrorsAreLogged(t *testing.T) {
	var log bytes.Buffer
	closing := &atomic.Bool{}
	etcd := (&bridge{to: slog.New(slog.NewTextHandler(&log, nil)), closing: closing}).logger(newLastWords()).With(zap.Int("id", 7))
	etcd.Warn("slow")
	etcd.Error(storageVersionNoise)
	etcd.Error("disk full", zap.String("path", "/d"))
	closing.Store(true)
	etcd.Error("listener closed")
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg=etcd message="disk full" fields="map[id:7 path:/d]"`) {
		t.Errorf("logged:\n%s", got)
	}
}

// BenchmarkStart is the time from nothing to a member that answers.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s := mustStart(b, Config{Dir: b.TempDir(), Volatile: true})
		c := s.Client()
		if _, err := c.Put(b.Context(), "k", "v"); err != nil {
			b.Fatal(err)
		}
		_ = c.Close()
		s.Close()
	}
}
