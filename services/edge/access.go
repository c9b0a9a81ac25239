// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/seafront-cdn/seafront/services/edge/internal/accesslog"
)

// openAccessLog opens the log of requests; without one it stays nil.
func (e *Edge) openAccessLog() error {
	to, err := accesslog.Open(e.cfg.AccessLog, os.Stdout)
	if err != nil || to == nil {
		return err
	}
	e.access = accesslog.New(accesslog.Config{To: to, Log: e.cfg.Telemetry.Log})
	e.closers = append(e.closers, e.access.Close)
	e.accessFile, _ = to.(*accesslog.File)
	return e.access.Measure(e.cfg.Telemetry.Meter)
}

// writeAccessLog writes the log of requests until ctx ends, and opens its file anew at
// each SIGHUP, for whoever has moved it away.
func (e *Edge) writeAccessLog(ctx context.Context) error {
	if e.access == nil {
		return nil
	}
	moved := make(chan os.Signal, 1)
	if e.accessFile != nil {
		signal.Notify(moved, syscall.SIGHUP)
		defer signal.Stop(moved)
	}
	parts, writing := errgroup.WithContext(ctx)
	parts.Go(func() error { return e.access.Run(ctx) })
	parts.Go(func() error {
		for {
			select {
			case <-writing.Done():
				return nil
			case <-moved:
				if err := e.accessFile.Reopen(); err != nil {
					e.cfg.Telemetry.Log.ErrorContext(ctx, "access log cannot be opened anew; the old file stays in use", slog.Any("error", err))
				}
			}
		}
	})
	return parts.Wait()
}
