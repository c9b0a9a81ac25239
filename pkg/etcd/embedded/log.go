// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
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

// logger makes etcd's logger. etcd panics or exits by it where it cannot go on; last
// decides what happens then.
func (b *bridge) logger(last zapcore.CheckWriteHook) *zap.Logger {
	return zap.New(b, zap.WithPanicHook(last), zap.WithFatalHook(last))
}

// lastWords takes part in what etcd's logger does at the end. While the member
// starts, they are the error of the start, and only the goroutine ends that spoke.
// Afterwards nothing can be done but to end the process, as etcd wants it.
type lastWords struct {
	spoken  chan error // of capacity one
	started atomic.Bool
}

func newLastWords() *lastWords { return &lastWords{spoken: make(chan error, 1)} }

// OnWrite is part of zapcore.CheckWriteHook.
func (w *lastWords) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	if w.started.Load() && e.Level == zapcore.FatalLevel {
		os.Exit(1)
	}
	if w.started.Load() {
		panic(e.Message)
	}
	err := errors.New(e.Message)
	for _, f := range fields {
		if cause, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			err = fmt.Errorf("%s: %w", e.Message, cause)
		}
	}
	w.say(err)
	runtime.Goexit()
}

// say keeps the first error.
func (w *lastWords) say(err error) {
	select {
	case w.spoken <- err:
	default:
	}
}

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
