// SPDX-License-Identifier: Apache-2.0

// Package sample is a small origin with a real site: pages, a style sheet, an image
// and a large file. It gives a first distribution something to serve. It is an
// ordinary HTTP server that knows nothing of the CDN in front of it.
package sample

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

//go:embed site
var site embed.FS

// LargeSize is the size of /large.bin.
const LargeSize = 64 << 20

// Time-outs of the server.
const (
	headTimeout = 10 * time.Second
	idleTimeout = time.Minute
	grace       = 5 * time.Second
)

// Site is the content, ready to be served.
type Site struct {
	files map[string]file
	large string // name of the large file on disk
}

type file struct {
	body []byte
	etag string
}

// New prepares the site. The large file lies in dir, which is made; one that is
// there already is used again.
func New(dir string) (*Site, error) {
	s := &Site{files: map[string]file{}, large: filepath.Join(dir, "large.bin")}
	err := fs.WalkDir(site, "site", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := site.ReadFile(name)
		if err != nil {
			return err
		}
		s.add(strings.TrimPrefix(name, "site"), body)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read sample site: %w", err)
	}
	picture, err := harbour()
	if err != nil {
		return nil, fmt.Errorf("draw sample image: %w", err)
	}
	s.add("/harbour.png", picture)
	return s, makeLarge(s.large)
}

func (s *Site) add(name string, body []byte) {
	sum := sha256.Sum256(body)
	s.files[name] = file{body, `"` + hex.EncodeToString(sum[:8]) + `"`}
}

// ServeHTTP answers GET and HEAD. Every answer has an ETag, a Last-Modified and a
// lifetime.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are answered", http.StatusMethodNotAllowed)
		return
	}
	name := r.URL.Path
	if strings.HasSuffix(name, "/") {
		name += "index.html"
	}
	w.Header().Set("Cache-Control", lifetime(name))
	if name == "/large.bin" {
		s.serveLarge(w, r)
		return
	}
	f, ok := s.files[name]
	if !ok {
		w.Header().Del("Cache-Control")
		http.Error(w, "there is no such page in the harbour", http.StatusNotFound)
		return
	}
	w.Header().Set("ETag", f.etag)
	http.ServeContent(w, r, path.Base(name), built(), bytes.NewReader(f.body))
}

func (s *Site) serveLarge(w http.ResponseWriter, r *http.Request) {
	f, err := os.Open(s.large)
	if err != nil {
		http.Error(w, "the large file is gone", http.StatusInternalServerError)
		return
	}
	defer f.Close()
	w.Header().Set("ETag", `"large-1"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "large.bin", built(), f)
}

// lifetime is what the origin asks caches to do.
func lifetime(name string) string {
	switch path.Ext(name) {
	case ".html":
		if name == "/tides.html" {
			return "public, max-age=3600"
		}
		return "public, max-age=300"
	default:
		return "public, max-age=86400"
	}
}

// built is the Last-Modified of everything: the content changes with the program.
func built() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

// makeLarge writes the large file unless it is there whole.
func makeLarge(name string) error {
	if info, err := os.Stat(name); err == nil && info.Size() == LargeSize {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("make sample file: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "large-*")
	if err != nil {
		return fmt.Errorf("make sample file: %w", err)
	}
	_, err = io.CopyN(f, noise(), LargeSize)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("make sample file %s: %w", name, err)
	}
	return nil
}

// Serve answers on l until ctx ends.
func (s *Site) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: headTimeout, IdleTimeout: idleTimeout}
	ctx, failed := context.WithCancel(ctx)
	defer failed()
	var g errgroup.Group
	g.Go(func() error {
		<-ctx.Done()
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if server.Shutdown(bound) != nil {
			return server.Close()
		}
		return nil
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("sample origin: %w", err)
	}
	return g.Wait()
}
