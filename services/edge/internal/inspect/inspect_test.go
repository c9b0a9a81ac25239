// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/memory"
	"github.com/seafront-cdn/seafront/services/edge/internal/pipeline"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// steps finds what it was told to.
type steps struct {
	found  pipeline.Explanation
	counts pipeline.Counts
}

func (s *steps) Explain(context.Context, *exchange.Request) pipeline.Explanation { return s.found }
func (s *steps) Counts() pipeline.Counts                                         { return s.counts }
func (s *steps) Fills() fill.Stats                                               { return fill.Stats{Fills: 3, Bytes: 4} }

var now = time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)

// newService looks at an empty store in memory.
func newService(t *testing.T, s *steps) (*Service, *store.Store) {
	t.Helper()
	objects, err := store.Open(store.Config{MemoryBytes: 64 << 20, Ended: invalidation.New(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := objects.Close(); err != nil {
			t.Error(err)
		}
	})
	s.found.Config, s.found.At = snapshot.Empty(), now
	return New(Config{Edge: "e1", Pipeline: s, Store: objects, Loaded: func() bool { return true }, Started: now}), objects
}

func TestStates(t *testing.T) {
	object := func(change func(*store.Object)) *store.Object {
		o := &store.Object{
			Status: 200, Size: 5, ResponseTime: now.Add(-10 * time.Second), Lifetime: time.Minute, Retain: time.Hour,
			Header: header.Fields{{Name: "Cache-Control", Value: "max-age=60"}, {Name: "X", Value: "\xff"}}, Tags: []string{"a"},
			Stamp: invalidation.Moment{Era: 1, Revision: 9}.Stamp(),
		}
		change(o)
		return o
	}
	for _, tt := range []struct {
		name   string
		object *store.Object
		dead   bool
		want   edgev1.StoredObject_State
		source string
	}{
		{"D14.1: fresh", object(func(*store.Object) {}), false, edgev1.StoredObject_STATE_FRESH, "max-age"},
		{"D14.5: stale", object(func(o *store.Object) { o.Lifetime = time.Second }), false, edgev1.StoredObject_STATE_STALE, "rules that have changed since; now it would be 1m0s by max-age"},
		{"D13.24: stale-while-revalidate", object(func(o *store.Object) { o.Lifetime, o.Windows.Refreshing = time.Second, time.Minute }), false, edgev1.StoredObject_STATE_STALE_WHILE_REVALIDATE, "rules that"},
		{"D13.26: too old", object(func(o *store.Object) { o.Retain = time.Second }), false, edgev1.StoredObject_STATE_EXPIRED, "max-age"},
		{"D25.14: invalidated", object(func(*store.Object) {}), true, edgev1.StoredObject_STATE_INVALIDATED, "max-age"},
		{"D14.10: a mark", object(func(o *store.Object) { o.HitForMiss = true }), false, edgev1.StoredObject_STATE_HIT_FOR_MISS, "the edge"},
		{"a mark whose time is over", object(func(o *store.Object) { o.HitForMiss, o.Lifetime = true, time.Second }), false, edgev1.StoredObject_STATE_EXPIRED, "the edge"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			steps := &steps{}
			s, _ := newService(t, steps)
			steps.found.Rules = httpcache.Policy{Default: time.Hour, Max: 24 * time.Hour}
			steps.found.Found = []pipeline.Found{{
				Object: tt.object, Tier: store.Disk, Dead: tt.dead, Vary: "accept,origin",
				Use: httpcache.Decide(tt.object.Span(), httpcache.Request{Method: "GET"}, now),
			}}
			res, err := s.InspectRequest(t.Context(), &edgev1.InspectRequestRequest{Url: "http://h/"})
			if err != nil {
				t.Fatal(err)
			}
			o := res.GetInspection().GetObjects()[0]
			if o.GetState() != tt.want || !strings.HasPrefix(o.GetLifetimeSource(), tt.source) {
				t.Errorf("%v by %q, want %v by %q", o.GetState(), o.GetLifetimeSource(), tt.want, tt.source)
			}
			if o.GetTier() != edgev1.TierStats_KIND_DISK || o.GetAge().AsDuration() != 10*time.Second || o.GetCheckedRevision() != 9 ||
				len(o.GetTags()) != 1 || strings.Join(o.GetVary(), " ") != "accept origin" || o.GetHeaders()[1].GetValue() != "\uFFFD" {
				t.Errorf("%v", o)
			}
		})
	}
}

func TestSlices(t *testing.T) {
	steps := &steps{}
	s, objects := newService(t, steps)
	at := invalidation.Moment{Era: 1, Revision: 1}
	id := objects.NewSlices()
	for _, n := range []int64{0, 2} {
		if !objects.PutSlice(id, n, at, make([]byte, 10)) {
			t.Fatal("not stored")
		}
	}
	o := &store.Object{Status: 200, Slices: id, Size: 3*int64(store.SliceBytes) + 1, Stamp: at.Stamp()}
	steps.found.Found = []pipeline.Found{{Object: o}}
	res, err := s.InspectRequest(t.Context(), &edgev1.InspectRequestRequest{Url: "http://h/"})
	if err != nil {
		t.Fatal(err)
	}
	if got := res.GetInspection().GetObjects()[0]; got.GetSlicesStored() != 2 || got.GetSlices() != 4 {
		t.Errorf("%d of %d slices, want 2 of 4", got.GetSlicesStored(), got.GetSlices())
	}
}

func TestBadRequestsAndClose(t *testing.T) {
	s, _ := newService(t, &steps{})
	_, err := s.InspectRequest(t.Context(), &edgev1.InspectRequestRequest{Url: "x", Method: "("})
	var e *apierr.Error
	if !errors.As(err, &e) || e.Kind != apierr.Invalid || len(e.Violations) != 2 {
		t.Errorf("bad fields: %v", err)
	}
	leave, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	leave()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := s.GetCacheStats(t.Context(), nil); !errors.As(err, &e) || e.Kind != apierr.Unavailable {
		t.Errorf("after Close: %v", err)
	}
	if _, err := s.InspectRequest(t.Context(), &edgev1.InspectRequestRequest{Url: "http://h/"}); !errors.As(err, &e) || e.Kind != apierr.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}

func TestNoConfiguration(t *testing.T) {
	s, _ := newService(t, &steps{})
	s.cfg.Loaded = func() bool { return false }
	res, err := s.InspectRequest(t.Context(), &edgev1.InspectRequestRequest{Url: "http://h/"})
	if err != nil || res.GetInspection().GetEnds() == "" {
		t.Errorf("%v, %v", res, err)
	}
}

func TestStats(t *testing.T) {
	var c pipeline.Counts
	c.Requests[pipeline.Hit], c.Requests[pipeline.Stale], c.Requests[pipeline.Miss], c.Requests[pipeline.Bypass] = 6, 1, 2, 3
	c.Bytes[pipeline.Hit], c.Bytes[pipeline.Miss] = 100, 300
	s, objects := newService(t, &steps{counts: c})
	objects.Put(&store.Object{Key: "k", Status: 200, Stamp: invalidation.Moment{Era: 1, Revision: 1}.Stamp()})
	res, err := s.GetCacheStats(t.Context(), &edgev1.GetCacheStatsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	got := res.GetStats()
	if l := got.GetLookups(); l.GetHits() != 6 || l.GetStale() != 1 || l.GetMisses() != 2 || l.GetBypasses() != 3 || l.GetHitRatio() != 0.5 || l.GetByteHitRatio() != 0.25 {
		t.Errorf("lookups %v", l)
	}
	if len(got.GetTiers()) != 1 || got.GetTiers()[0].GetRecords() != 1 || got.GetTiers()[0].GetLimitBytes() != 64<<20 || !got.GetTiers()[0].GetInService() {
		t.Errorf("tiers %v", got.GetTiers())
	}
	if got.GetEdge() != "edges/e1" || !got.GetStartTime().AsTime().Equal(now) || got.GetFills() != 3 || got.GetFillBytes() != 4 {
		t.Errorf("%v", got)
	}
}

// TestTiers holds the reasons of what had to go against the counters.
func TestTiers(t *testing.T) {
	got := tiers(store.Stats{
		Memory: memory.Stats{Counts: memory.Counts{EvictedRoom: 1, EvictedReplaced: 2, EvictedDeleted: 3, EvictedInvalidated: 4}},
		Disk: &disk.Stats{
			State: "out_of_service", Failure: "the disk fails again and again", Evicted: 5, Removals: 6, FailedChecks: 7, Lost: 8,
			Dropped: map[string]int64{"busy": 1, "no_room": 1},
		},
	})
	want := []string{
		`[{"reason":"room","records":"1"},{"reason":"replaced","records":"2"},{"reason":"deleted","records":"3"},{"reason":"invalidated","records":"4"}]`,
		`[{"reason":"room","records":"5"},{"reason":"deleted","records":"6"},{"reason":"corrupt","records":"7"},{"reason":"dropped","records":"10"}]`,
	}
	for i, tier := range got {
		b, err := protojson.Marshal(tier)
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Evictions []struct {
				Reason  string `json:"reason"`
				Records string `json:"records"`
			} `json:"evictions"`
		}
		if err := json.Unmarshal(b, &page); err != nil {
			t.Fatal(err)
		}
		if b, err = json.Marshal(page.Evictions); err != nil || string(b) != want[i] {
			t.Errorf("tier %d: %s, %v; want %s", i, b, err, want[i])
		}
	}
	if got[1].GetInService() || got[1].GetFailure() == "" {
		t.Errorf("a disk that fails: %v", got[1])
	}
}
