// SPDX-License-Identifier: Apache-2.0

// Package overload tells when the process has so much memory that it must not take on
// more: a watermark, with hysteresis.
//
// It promises an answer that costs an atomic load. It refuses nothing itself: whoever
// takes connections and requests asks it. It bounds nothing either; the parts of the
// edge have bounds of their own, and this is for when their sum is too much.
package overload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// scope names the metrics of this package.
const scope = "github.com/seafront-cdn/seafront/services/edge/internal/overload"

// DefaultInterval is that of Config.
const DefaultInterval = 100 * time.Millisecond

// release is how often memory that the heap has free is given back to the system while
// there is too little. It takes a collection.
const release = 10 * time.Second

// Config is what a Watch needs.
type Config struct {
	// Watermark is how many bytes of memory the process may have. 0 is nine tenths of
	// what the machine has or the control group may have; where neither can be told
	// there is none.
	Watermark int64
	// Interval is how often the memory is read; 0 is DefaultInterval.
	Interval time.Duration
	// Used reads the memory in bytes; nil is what the process has resident.
	Used  func() (int64, error)
	Log   *slog.Logger
	Meter metric.MeterProvider
}

// Watch knows whether there is too much.
type Watch struct {
	cfg      Config
	over     atomic.Bool
	blind    bool      // the last reading failed
	released time.Time // when the heap was last told to give back
	release  func()
	gauge    metric.Registration
}

// New returns a Watch, which sees nothing until Run.
func New(cfg Config) (*Watch, error) {
	cfg.Interval = cmp.Or(cfg.Interval, DefaultInterval)
	system := os.DirFS("/")
	if cfg.Used == nil {
		cfg.Used = func() (int64, error) { return resident(system) }
	}
	if cfg.Watermark == 0 {
		all, err := available(system)
		if err != nil {
			cfg.Log.Warn("memory of this system cannot be told; there is no watermark", slog.Any("error", err))
		}
		cfg.Watermark = all / 10 * 9
	}
	w := &Watch{cfg: cfg, release: debug.FreeOSMemory}
	meter := cfg.Meter.Meter(scope)
	over, err := meter.Int64ObservableGauge("seafront.edge.overloaded",
		metric.WithDescription("1 while memory is above its watermark and new connections are refused."))
	mark, err2 := meter.Int64ObservableGauge("seafront.edge.memory.watermark", metric.WithUnit("By"),
		metric.WithDescription("Memory of the process above which new connections are refused; 0: none."))
	if err := errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("metrics of overload: %w", err)
	}
	w.gauge, err = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		var n int64
		if w.Over() {
			n = 1
		}
		to.ObserveInt64(over, n)
		to.ObserveInt64(mark, cfg.Watermark)
		return nil
	}, over, mark)
	if err != nil {
		return nil, fmt.Errorf("metrics of overload: %w", err)
	}
	return w, nil
}

// Over says whether nothing new is to be taken on.
func (w *Watch) Over() bool { return w.over.Load() }

// Run watches until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	defer w.gauge.Unregister() //nolint:errcheck // it never fails in the SDK
	if w.cfg.Watermark == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(w.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			w.look(ctx, now)
		}
	}
}

// look reads the memory once. Where that fails nothing is refused: the reading is a
// help, and no reason to stop serving.
func (w *Watch) look(ctx context.Context, now time.Time) {
	used, err := w.cfg.Used()
	if err != nil {
		if !w.blind {
			w.cfg.Log.ErrorContext(ctx, "memory of the process cannot be read; nothing is refused for it", slog.Any("error", err))
		}
		w.blind = true
		w.over.Store(false)
		return
	}
	w.blind = false
	was, over := w.over.Load(), used >= w.cfg.Watermark
	if was && used >= w.cfg.Watermark-w.cfg.Watermark/20 {
		over = true // it ends a twentieth below, so that it does not flap
	}
	w.over.Store(over)
	switch {
	case over && !was:
		w.cfg.Log.WarnContext(ctx, "memory is above its watermark; new connections are refused",
			slog.Int64("bytes", used), slog.Int64("watermark", w.cfg.Watermark))
	case was && !over:
		w.cfg.Log.InfoContext(ctx, "memory is below its watermark again", slog.Int64("bytes", used), slog.Int64("watermark", w.cfg.Watermark))
	}
	if over && now.Sub(w.released) >= release {
		w.released = now
		w.release()
	}
}
