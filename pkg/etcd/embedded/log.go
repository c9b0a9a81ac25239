// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// storageVersionNoise is logged as an error by every member that is not a few
// seconds old, and mends itself.
const storageVersionNoise = "failed to update storage version"

// bridge hands etcd's log to ours: errors, and what ends the process. etcd calls
// every listener that it closes an error, so errors of a closing member are left out.
type bridge struct {
	to      *slog.Logger
	fields  []zapcore.Field
	closing *atomic.Bool
}

func (b *bridge) logger() *zap.Logger { return zap.New(b) }

// Enabled is part of zapcore.Core.
func (b *bridge) Enabled(l zapcore.Level) bool {
	return l > zapcore.ErrorLevel || l == zapcore.ErrorLevel && !b.closing.Load()
}

// With is part of zapcore.Core.
func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	out := *b
	out.fields = append(slices.Clip(b.fields), fields...)
	return &out
}

// Check is part of zapcore.Core.
func (b *bridge) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !b.Enabled(e.Level) || e.Message == storageVersionNoise {
		return to
	}
	return to.AddCore(e, b)
}

// Write is part of zapcore.Core.
func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range append(slices.Clip(b.fields), fields...) {
		f.AddTo(values)
	}
	b.to.LogAttrs(context.Background(), slog.LevelError, "etcd", slog.String("message", e.Message), slog.Any("fields", values.Fields))
	return nil
}

// Sync is part of zapcore.Core.
func (b *bridge) Sync() error { return nil }
