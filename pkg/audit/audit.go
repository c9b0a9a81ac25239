// SPDX-License-Identifier: Apache-2.0

// Package audit writes one line for each call of an API: who, what, on which resource,
// with which outcome, in which trace. Lines are JSON, one object each.
//
// It promises: a call waits for the log for a tenth of a second at most; what could
// not be written is counted and logged; a file that was moved away, or a SIGHUP, makes
// it open a new one; a file with a limit is moved aside when it is full. It never
// holds the content of a request: only what Line names.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// Line is one call.
type Line struct {
	// Log is always "audit": it tells the lines from others in the same stream.
	Log  string    `json:"log"`
	Time time.Time `json:"time"`
	// Principal is who calls, Role what they may do, Authentication how they are
	// known: certificate, token, jwt, in_process or none.
	Principal      string `json:"principal"`
	Role           string `json:"role"`
	Authentication string `json:"authentication"`
	// Peer is the address that the call comes from.
	Peer string `json:"peer,omitempty"`
	// Method is package.Service/Method.
	Method string `json:"method"`
	// Resources are the names in the request and in the answer.
	Resources []string `json:"resources,omitempty"`
	// ETag is the version that a change has made.
	ETag string `json:"etag,omitempty"`
	// ValidateOnly says that the call was to change nothing.
	ValidateOnly bool `json:"validate_only,omitempty"`
	// Code is the gRPC code, for example OK, Reason the one of the error.
	Code   string `json:"code"`
	Reason string `json:"reason,omitempty"`
	// TraceID is empty when the call is in no trace.
	TraceID string `json:"trace_id,omitempty"`
	// Milliseconds is how long the call took.
	Milliseconds float64 `json:"duration_ms"`
}

// Bounds of the queue between calls and the disk.
const (
	queueLength = 4096 // lines
	longestWait = 100 * time.Millisecond
	lookEvery   = time.Second // whether the file has been moved
)

// Config says where lines go.
type Config struct {
	// Path is the file; it is made with mode 0600. Empty: To gets the lines.
	Path string
	To   io.Writer
	// MostBytes, when set, is how large the file may get. Then it is moved to Path.1, in place
	// of the one before.
	MostBytes int64
	// Log is told when lines cannot be written. Nil: nobody is.
	Log *slog.Logger
	// Meter gets the counts of lines. Nil: nobody does.
	Meter metric.MeterProvider
}

// Log is an audit log. A nil *Log takes lines and drops them.
type Log struct {
	cfg    Config
	queue  chan []byte
	file   *os.File // nil: To, or the file could not be opened
	size   int64
	broken bool // the last write failed
	lines  metric.Int64Counter
}

// Open makes a log. It fails when the file cannot be opened. Lines are written by Run.
func Open(cfg Config) (*Log, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Meter == nil {
		cfg.Meter = noop.NewMeterProvider()
	}
	lines, err := cfg.Meter.Meter("seafront/audit").Int64Counter("seafront.audit.lines",
		metric.WithDescription("Lines of the audit log by result: written, dropped because the log was too slow, failed to be written."))
	if err != nil {
		return nil, fmt.Errorf("make metrics of the audit log: %w", err)
	}
	l := &Log{cfg: cfg, queue: make(chan []byte, queueLength), lines: lines}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return l, nil
}

// Write adds a line. It waits when the queue is full, for a moment, and then drops it.
func (l *Log) Write(ctx context.Context, line Line) {
	if l == nil {
		return
	}
	line.Log = "audit"
	b, err := json.Marshal(line)
	if err != nil {
		l.count(ctx, "failed")
		return
	}
	b = append(b, '\n')
	select {
	case l.queue <- b:
		return
	default:
	}
	patience := time.NewTimer(longestWait)
	defer patience.Stop()
	select {
	case l.queue <- b:
	case <-patience.C:
		l.count(ctx, "dropped")
	}
}

func (l *Log) count(ctx context.Context, result string) {
	l.lines.Add(ctx, 1, metric.WithAttributes(attribute.String("result", result)))
}

// Run writes lines until ctx ends, then those that wait still, and closes the file.
// End ctx after the last call. SIGHUP belongs to Run while it runs.
func (l *Log) Run(ctx context.Context) error {
	if l == nil {
		<-ctx.Done()
		return nil
	}
	defer l.close()
	if l.cfg.Path == "" {
		return l.write(ctx, nil, nil)
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	return l.write(ctx, hangup, look.C)
}

func (l *Log) write(ctx context.Context, hangup <-chan os.Signal, look <-chan time.Time) error {
	for {
		select {
		case b := <-l.queue:
			l.put(ctx, b)
		case <-hangup:
			l.reopen(ctx)
		case <-look:
			if l.moved() {
				l.reopen(ctx)
			}
		case <-ctx.Done():
			return l.drain(context.WithoutCancel(ctx))
		}
	}
}

// drain writes what is left.
func (l *Log) drain(ctx context.Context) error {
	for {
		select {
		case b := <-l.queue:
			l.put(ctx, b)
		default:
			return nil
		}
	}
}

// put writes one line, and says once when that begins or ceases to fail.
func (l *Log) put(ctx context.Context, b []byte) {
	err := l.append(b)
	if err != nil {
		l.count(ctx, "failed")
		if !l.broken {
			l.cfg.Log.LogAttrs(ctx, slog.LevelError, "the audit log cannot be written; lines are lost", slog.Any("error", err))
		}
		l.broken = true
		return
	}
	l.count(ctx, "written")
	if l.broken {
		l.broken = false
		l.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "the audit log can be written again")
	}
}

func (l *Log) append(b []byte) error {
	if l.cfg.Path == "" {
		_, err := l.cfg.To.Write(b)
		return err
	}
	if l.cfg.MostBytes > 0 && l.size > 0 && l.size+int64(len(b)) > l.cfg.MostBytes {
		if err := os.Rename(l.cfg.Path, l.cfg.Path+".1"); err != nil {
			return err
		}
		l.close()
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(b)
	l.size += int64(n)
	if err != nil && n > 0 {
		// A part of a line: what comes next begins on a line of its own.
		_, _ = l.file.Write([]byte("\n"))
	}
	return err
}

// open opens the file for what comes, if there is one.
func (l *Log) open() error {
	if l.cfg.Path == "" {
		if l.cfg.To == nil {
			return errors.New("there is neither a file nor a writer")
		}
		return nil
	}
	const mine = 0o600
	f, err := os.OpenFile(l.cfg.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, mine)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

func (l *Log) close() {
	if l.file == nil {
		return
	}
	if err := l.file.Close(); err != nil {
		l.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "close the audit log", slog.Any("error", err))
	}
	l.file = nil
}

// moved says whether the file at the path is another than the one that is open.
func (l *Log) moved() bool {
	if l.file == nil {
		return false // the next line opens it
	}
	there, err := os.Stat(l.cfg.Path)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	mine, err := l.file.Stat()
	return err == nil && !os.SameFile(there, mine)
}

func (l *Log) reopen(ctx context.Context) {
	l.close()
	if err := l.open(); err != nil {
		l.cfg.Log.LogAttrs(ctx, slog.LevelError, "open the audit log anew; lines are tried again", slog.Any("error", err))
	}
}
