// SPDX-License-Identifier: Apache-2.0

package config

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
)

// tick is how often time is looked at: for edges that fall behind, and for the beat.
const tick = time.Second

// beatInterval is how old the last beat is when the next is due (design 3.1). The
// margin makes up for ticks that come a little early.
const beatInterval = 5*time.Second - tick/10

// writeTimeout bounds the service's own writes.
const writeTimeout = 2 * time.Second

// every calls do each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			do()
		}
	}
}

// nameDataSet gives the data set its epoch unless it has one, and returns true once
// it has. It tries until ctx ends.
func (s *Service) nameDataSet(ctx context.Context) bool {
	for {
		tx := etcd.NewTx(s.cfg.Etcd)
		tx.Absent("epoch", keys.Epoch)
		tx.Put(keys.Epoch, []byte(uuid.NewString()))
		err := commit(ctx, tx)
		if _, exists := errors.AsType[*etcd.Conflict](err); err == nil || exists {
			return true
		}
		pause := time.NewTimer(tick)
		select {
		case <-ctx.Done():
			pause.Stop()
			return false
		case <-pause.C:
		}
	}
}

// beat touches the beat when the last one is old. Of several replicas that find it
// so, the condition lets one through; a replica that has lost its watch finds
// another revision and is refused. A beat that fails is made up for by the next.
func (s *Service) beat(ctx context.Context, now time.Time) {
	last, loaded := s.index.LastBeat()
	if !loaded || now.Sub(last.Seen) < beatInterval {
		return
	}
	tx := etcd.NewTx(s.cfg.Etcd)
	tx.AtRevision("beat", keys.Beat, last.Revision)
	tx.Put(keys.Beat, []byte(now.UTC().Format(time.RFC3339Nano)))
	err := commit(ctx, tx)
	if _, other := errors.AsType[*etcd.Conflict](err); err != nil && !other && ctx.Err() == nil {
		s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "beat not written", slog.Any("error", err))
	}
}

func commit(ctx context.Context, tx *etcd.Tx) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	_, err := tx.Commit(ctx)
	return err
}

// health joins what serving depends on: etcd answers, and the index is loaded.
type health struct {
	changed chan struct{} // of capacity one

	mu     sync.Mutex // guards all below
	index  bool
	quorum bool
}

func newHealth() *health { return &health{changed: make(chan struct{}, 1)} }

// store is told when etcd begins or ceases to answer.
func (h *health) store(answers bool) { h.set(&h.quorum, answers) }

// loaded is told that the index has been loaded.
func (h *health) loaded() { h.set(&h.index, true) }

func (h *health) set(part *bool, to bool) {
	h.mu.Lock()
	*part = to
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default: // run has yet to look, and will see this
	}
}

// run calls serving on each change until ctx ends.
func (h *health) run(ctx context.Context, log *slog.Logger, serving func(bool)) {
	was := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.changed:
		}
		h.mu.Lock()
		now, quorum := h.index && h.quorum, h.quorum
		h.mu.Unlock()
		if now == was {
			continue
		}
		was = now
		log.LogAttrs(ctx, slog.LevelInfo, "serving", slog.Bool("serving", now), slog.Bool("etcd_answers", quorum))
		serving(now)
	}
}
