// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"log/slog"
	"time"
)

// A disk that has failed so often within such a time is out of service.
const (
	mostFaults = 8
	faultsTime = time.Minute
)

// health is when the disk has failed lately.
type health struct {
	faults []time.Time
	failed string // why it is out of service
}

// fault takes an error of the disk into account. Neither mu nor a lock of the index is
// held.
func (l *Log) fault(ctx context.Context, doing string, err error) {
	l.n.faults.Add(1)
	now := l.cfg.now()
	l.mu.Lock()
	recent := l.health.faults[:0]
	for _, t := range l.health.faults {
		if now.Sub(t) < faultsTime {
			recent = append(recent, t)
		}
	}
	l.health.faults = append(recent, now)
	many := len(l.health.faults) >= mostFaults
	l.mu.Unlock()
	l.cfg.Log.WarnContext(ctx, "disk cache: the disk has failed",
		slog.String("directory", l.cfg.Dir), slog.String("doing", doing), slog.Any("error", err))
	if many {
		l.stop(ctx, "the disk fails again and again")
	}
}

// stop takes the disk out of service until the next start.
func (l *Log) stop(ctx context.Context, why string) {
	if !l.state.CompareAndSwap(int32(serving), int32(out)) {
		return
	}
	l.cfg.Log.ErrorContext(ctx, "disk cache is out of service until the next start",
		slog.String("directory", l.cfg.Dir), slog.String("reason", why))
	l.mu.Lock()
	l.health.failed = why
	disown := l.givesUp()
	l.mu.Unlock()
	if disown {
		l.disown(ctx, "removals could not be written")
	}
	signal(l.wake) // what waits is given up
}
