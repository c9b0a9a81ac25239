// SPDX-License-Identifier: Apache-2.0

// Package debug shows an operator what an edge serves and why: /debug/config tells
// where the configuration comes from, and /debug/key what CacheService says about a URL.
// It changes nothing and asks nobody.
package debug

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/follow"
)

// Config is what the pages show.
type Config struct {
	// Edge and Pop are the names of the edge and its place; Build is its release.
	Edge, Pop, Build string
	Follower         *follow.Follower
	// Inspect takes the steps of a request.
	Inspect Inspector
	// Refused says why what was on disk at the start was not served; empty when it
	// was, or when there was nothing.
	Refused string
	// Disk says why what is served cannot be written.
	Disk interface{ Failure() error }
}

// Register adds the pages.
func Register(mux *http.ServeMux, cfg Config) {
	mux.HandleFunc("GET /debug/config", func(w http.ResponseWriter, _ *http.Request) {
		show(w, http.StatusOK, cfg.overview(time.Now()))
	})
	mux.HandleFunc("GET /debug/key", cfg.key)
}

// overview is the page /debug/config.
type overview struct {
	Edge  string `json:"edge"`
	Pop   string `json:"pop"`
	Build string `json:"build"`

	Loaded   bool    `json:"loaded"`
	Revision int64   `json:"revision"`
	Epoch    string  `json:"epoch"`
	Source   string  `json:"source"`
	Age      float64 `json:"age_seconds"` // since it came into service

	Connected  bool     `json:"connected"`
	ContactAge *float64 `json:"contact_age_seconds"` // null: etcd was not reached in this run
	Edges      int      `json:"registered_edges"`

	Counts      map[keys.Collection]int `json:"counts"`
	Rejections  []rejection             `json:"rejections"`
	DiskRefused string                  `json:"disk_refused,omitempty"`
	DiskFailure string                  `json:"disk_failure,omitempty"` // of the last write
}

type rejection struct {
	Resource string `json:"resource"`
	Revision int64  `json:"revision"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`
}

func (c Config) overview(now time.Time) overview {
	s, status := c.Follower.Current(), c.Follower.Status()
	out := overview{
		Edge: c.Edge, Pop: c.Pop, Build: c.Build,
		Loaded: status.Loaded, Revision: s.Revision, Epoch: s.Epoch, Source: status.Source.String(),
		Connected: status.Connected, Edges: status.Edges,
		Counts: s.Counts(), Rejections: rejections(s), DiskRefused: c.Refused,
	}
	if err := c.Disk.Failure(); err != nil {
		out.DiskFailure = err.Error()
	}
	if status.Loaded {
		out.Age = now.Sub(status.Since).Seconds()
	}
	if !status.Contact.IsZero() {
		age := now.Sub(status.Contact).Seconds()
		out.ContactAge = &age
	}
	return out
}

func rejections(s *snapshot.Snapshot) []rejection {
	out := []rejection{}
	for _, r := range s.Rejections() {
		out = append(out, rejection(r))
	}
	return out
}

func show(w http.ResponseWriter, status int, page any) {
	begin(w, status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(page) // whoever asked has left
}

func begin(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
}
