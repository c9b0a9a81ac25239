// SPDX-License-Identifier: Apache-2.0

package lastgood

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/mirror"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		if victim(dir, os.Stdout) != nil {
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

func mustOpen(t testing.TB, dir string) (*Store, Content) {
	t.Helper()
	s, c, refused, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil || refused != "" {
		t.Fatalf("Open: %v, refused %q", err, refused)
	}
	return s, c
}

func put(key string, revision int64, value string) snapshot.Change {
	return snapshot.Change{Key: key, ModRevision: revision, Value: []byte(value)}
}

func gone(key string, revision int64) snapshot.Change {
	return snapshot.Change{Key: key, ModRevision: revision, Deleted: true}
}

// keep writes steps and closes the store.
func keep(t testing.TB, dir string, steps ...Step) {
	t.Helper()
	s, _ := mustOpen(t, dir)
	for _, step := range steps {
		s.Keep(step)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, dir string) Content {
	t.Helper()
	c := loadAll(t, dir)
	c.Era, c.Contact = 0, time.Time{}
	return c
}

func loadAll(t testing.TB, dir string) Content {
	t.Helper()
	s, c := mustOpen(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return c
}

func at(revision int64) mirror.Point { return mirror.Point{Revision: revision, Epoch: "one"} }

func TestKept(t *testing.T) {
	long := strings.Repeat("long ", 20000)
	for _, tt := range []struct {
		name  string
		steps []Step
		want  Content
	}{
		{"nothing", nil, Content{}},
		{
			"C8.84: pairs, revision and epoch",
			[]Step{{Point: at(7), Served: []snapshot.Change{put("b", 7, "B"), put("a", 3, long)}}},
			Content{Point: at(7), Served: []snapshot.Change{put("a", 3, long), put("b", 7, "B")}},
		},
		{
			"deleted keys are removed",
			[]Step{
				{Point: at(2), Served: []snapshot.Change{put("a", 1, "A"), put("b", 2, "B")}},
				{Point: at(4), Served: []snapshot.Change{gone("a", 4), gone("never", 4)}},
			},
			Content{Point: at(4), Served: []snapshot.Change{put("b", 2, "B")}},
		},
		{
			"C8.76: a rejected version stands beside the one in service",
			[]Step{
				{Point: at(1), Served: []snapshot.Change{put("a", 1, "good")}},
				{Point: at(2), Rejected: []snapshot.Change{put("a", 2, "bad"), put("b", 2, "bad")}},
			},
			Content{
				Point: at(2), Served: []snapshot.Change{put("a", 1, "good")},
				Rejected: []snapshot.Change{put("a", 2, "bad"), put("b", 2, "bad")},
			},
		},
		{
			"C8.76: a good version ends the rejection",
			[]Step{
				{Point: at(1), Rejected: []snapshot.Change{put("a", 1, "bad"), put("b", 1, "bad")}},
				{Point: at(3), Served: []snapshot.Change{put("a", 2, "good"), gone("b", 3)}},
			},
			Content{Point: at(3), Served: []snapshot.Change{put("a", 2, "good")}},
		},
		{
			"C8.88: another data set leaves nothing of the old one",
			[]Step{
				{Point: at(9), Served: []snapshot.Change{put("a", 1, "A")}, Rejected: []snapshot.Change{put("b", 2, "B")}},
				{Point: mirror.Point{Revision: 2, Epoch: "two"}, Reset: true, Served: []snapshot.Change{put("c", 2, "C")}},
			},
			Content{Point: mirror.Point{Revision: 2, Epoch: "two"}, Served: []snapshot.Change{put("c", 2, "C")}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			keep(t, dir, tt.steps...)
			if diff := cmp.Diff(tt.want, load(t, dir)); diff != "" {
				t.Errorf("one transaction each (-want +got):\n%s", diff)
			}
			dir = t.TempDir()
			s, _ := mustOpen(t, dir)
			for _, step := range tt.steps {
				s.Keep(step)
			}
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, load(t, dir)); diff != "" {
				t.Errorf("all in one transaction (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	_, _, _, err := Open(dir, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), dir+" is in use") {
		t.Errorf("second Open: %v, want an error that names %s", err, dir)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	load(t, dir)
}

func TestWrittenInBatches(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, _ := mustOpen(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		revision := func() int64 {
			synctest.Wait()
			var now state
			if err := s.db.View(func(tx *bbolt.Tx) (err error) {
				now, err = decodeState(tx.Bucket([]byte(bucketState)).Get([]byte(keyState)))
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return now.point.Revision
		}
		for i := range int64(4) {
			s.Keep(Step{Point: at(i + 1), Served: []snapshot.Change{put("a", i+1, "A")}})
			time.Sleep(100 * time.Millisecond)
		}
		if got := revision(); got != 0 {
			t.Errorf("revision %d is on disk before the batch is due", got)
		}
		time.Sleep(100 * time.Millisecond)
		if got := revision(); got != 4 {
			t.Errorf("design 3.3: revision on disk is %d 500 ms after the first change, want 4", got)
		}
		s.Keep(Step{Point: at(50)})
		time.Sleep(time.Second)
		if got := revision(); got != 4 {
			t.Errorf("revision %d is on disk: a revision without changes need not be written at once", got)
		}
		s.Keep(Step{Point: at(51), Rejected: []snapshot.Change{put("a", 51, "bad")}})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := revision(); got != 51 {
			t.Errorf("revision on disk after a clean stop is %d, want 51", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFailedWriteStaysPending(t *testing.T) {
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	s.Keep(Step{Point: at(1), Served: []snapshot.Change{put("a", 1, "A"), put("b", 1, "B")}})
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Failure(); err != nil {
		t.Errorf("before anything failed: %v", err)
	}
	if err := s.flush(); err == nil || s.Failure() == nil {
		t.Fatalf("a write to a closed file succeeds: %v, %v", err, s.Failure())
	}
	s.Keep(Step{Point: at(2), Served: []snapshot.Change{gone("b", 2)}})
	var err error
	if s.db, err = openDB(s.path); err != nil {
		t.Fatal(err)
	}
	if err := s.flush(); err != nil || s.Failure() != nil {
		t.Fatal(err, s.Failure())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := Content{Point: at(2), Served: []snapshot.Change{put("a", 1, "A")}}
	if diff := cmp.Diff(want, load(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whoever looks for the first time long after a disk failed has to see that it does,
// and then that it does no more.
func TestFailureIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, _, _, err := Open(t.TempDir(), slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		reader := sdkmetric.NewManualReader()
		if err := s.Measure(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		if err := s.db.Close(); err != nil {
			t.Fatal(err)
		}
		s.Keep(Step{Point: at(1), Served: []snapshot.Change{put("a", 1, "A")}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 || s.Failure() == nil || kept(t, reader) != 0 {
			t.Errorf("failure is logged %d times, Failure is %v, the metric %d", n, s.Failure(), kept(t, reader))
		}
		s.mu.Lock() // Run takes it before each write
		s.db, err = openDB(s.path)
		s.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !strings.Contains(log.String(), "written again") || s.Failure() != nil || kept(t, reader) != 1 {
			t.Errorf("the end of it is not told: Failure is %v, the metric %d, log:\n%s", s.Failure(), kept(t, reader), log.String())
		}
		cancel()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	})
}

// kept is the metric.
func kept(t *testing.T, from *sdkmetric.ManualReader) int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := from.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	return all.ScopeMetrics[0].Metrics[0].Data.(metricdata.Gauge[int64]).DataPoints[0].Value
}

func TestHostOwnerOrder(t *testing.T) {
	dir := t.TempDir()
	keep(t, dir, Step{Point: at(9), Served: []snapshot.Change{put("a", 9, ""), put("b", 2, ""), put("c", 5, "")}})
	var got []string
	for _, c := range load(t, dir).Served {
		got = append(got, fmt.Sprint(c.Key, c.ModRevision))
	}
	if diff := cmp.Diff([]string{"b2", "c5", "a9"}, got); diff != "" {
		t.Errorf("order of revision (-want +got):\n%s", diff)
	}
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Open(file, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file passes for a directory")
	}
}
