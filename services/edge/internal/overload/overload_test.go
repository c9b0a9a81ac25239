// SPDX-License-Identifier: Apache-2.0

package overload

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHysteresis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used, released atomic.Int64
		var fails atomic.Bool
		w, err := New(Config{
			Watermark: 1000, Log: slog.New(slog.DiscardHandler), Meter: metricnoop.NewMeterProvider(),
			Used: func() (int64, error) {
				if fails.Load() {
					return 0, errors.New("no reading")
				}
				return used.Load(), nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.release = func() { released.Add(1) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		for _, step := range []struct {
			used  int64
			fails bool
			want  bool
		}{
			{0, false, false}, {999, false, false}, {1000, false, true}, {1500, false, true}, {950, false, true}, {949, false, false},
			{999, false, false}, {2000, false, true}, {2000, true, false}, {2000, false, true}, {0, false, false},
		} {
			used.Store(step.used)
			fails.Store(step.fails)
			time.Sleep(DefaultInterval)
			synctest.Wait()
			if got := w.Over(); got != step.want {
				t.Errorf("%+v: over %v", step, got)
			}
		}
		if n := released.Load(); n != 1 {
			t.Errorf("the heap gave back %d times within a second", n)
		}
		used.Store(2000)
		time.Sleep(3*release + DefaultInterval)
		synctest.Wait()
		if n := released.Load(); n != 4 {
			t.Errorf("the heap gave back %d times, want once more for each %v", n, release)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestResident(t *testing.T) {
	page := int64(os.Getpagesize())
	for content, want := range map[string]int64{"100 20 5 1 0 30 0\n": 20 * page, "": -1, "100": -1, "100 x 5": -1, "100 -5 5": -1, "1 9223372036854775807": -1} {
		got, err := resident(fstest.MapFS{"proc/self/statm": {Data: []byte(content)}})
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v, want %d", content, got, err, want)
		}
	}
	if _, err := resident(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without /proc: %v", err)
	}
	if runtime.GOOS == "linux" {
		if got, err := resident(os.DirFS("/")); err != nil || got < 1<<20 {
			t.Errorf("this process: %d, %v", got, err)
		}
	}
}

func TestAvailable(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int64 // 0: an error
	}{
		{"machine", map[string]string{"proc/meminfo": "MemTotal:  1000 kB\nMemFree: 5 kB\n"}, 1024000},
		{"nothing", nil, 0},
		{"no number", map[string]string{"proc/meminfo": "MemTotal: x kB\n"}, 0},
		{"group in a container", map[string]string{
			"proc/meminfo": "MemTotal: 1000 kB\n", "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "500000\n",
		}, 500000},
		{"group without a limit", map[string]string{
			"proc/meminfo": "MemTotal: 1000 kB\n", "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n",
		}, 1024000},
		{"a group above", map[string]string{
			"proc/meminfo": "MemTotal: 1000 kB\n", "proc/self/cgroup": "0::/system.slice/edge.service\n",
			"sys/fs/cgroup/system.slice/edge.service/memory.max": "max\n", "sys/fs/cgroup/system.slice/memory.max": "7000\n",
		}, 7000},
		{"version 1", map[string]string{
			"proc/meminfo": "MemTotal: 1000 kB\n", "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/a\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "600000\n",
		}, 600000},
		{"version 1 without a limit", map[string]string{
			"proc/meminfo": "MemTotal: 1000 kB\n", "proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 1024000},
		{"group alone", map[string]string{"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/memory.max": "500\n"}, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			system := fstest.MapFS{}
			for name, content := range tt.files {
				system[name] = &fstest.MapFile{Data: []byte(content)}
			}
			got, err := available(system)
			if got != tt.want || (err != nil) != (tt.want == 0) {
				t.Errorf("%d, %v, want %d", got, err, tt.want)
			}
		})
	}
}

// Where nothing can be told nothing is refused, and Run ends all the same.
func TestNoWatermark(t *testing.T) {
	w, err := New(Config{Log: slog.New(slog.DiscardHandler), Meter: metricnoop.NewMeterProvider()})
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && w.cfg.Watermark < 1<<20 {
		t.Errorf("watermark of this machine: %d", w.cfg.Watermark)
	}
	w.cfg.Watermark = 0
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Run(ctx); err != nil || w.Over() {
		t.Errorf("%v, over %v", err, w.Over())
	}
}
