// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// intake empties a watch. Neither etcd nor its client bounds usefully what waits
// there (C8.17), so somebody has to read at all times: usually the goroutine that also
// applies, as a change that passes from one goroutine to another comes later; while
// applies take long, the guard. No timer is set or stopped for a change: with cold caches
// that costs nearly as much as to compile one.
type intake struct {
	responses clientv3.WatchChan
	queue     *queue
	silence   time.Duration // how long the watch is believed without a word
	patience  time.Duration // how often the guard looks

	began time.Time
	heard atomic.Int64 // of the watch, last; nanoseconds since began

	// turn is odd during an apply, and grows with the beginning and the end of each. It
	// is 0 while the guard reads.
	turn   atomic.Uint64
	mine   uint64        // the turn, of the goroutine that applies
	stop   chan struct{} // ends the guard's reading
	done   chan error    // gets why it ended, nil when it was stopped
	failed error         // of the watch while the guard read
}

func newIntake(responses clientv3.WatchChan, l limits) *intake {
	in := &intake{
		responses: responses, queue: newQueue(l.pending), silence: l.silence, patience: l.patience,
		began: time.Now(), mine: 2, stop: make(chan struct{}), done: make(chan error, 1),
	}
	in.turn.Store(in.mine)
	return in
}

// next waits until there is something in the queue: what the watch says now, or what it
// said while an apply was relieved. After an error there may be something as well.
func (in *intake) next(ctx context.Context) error {
	if in.failed != nil {
		return in.failed
	}
	if in.queue.waiting() {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r, ok := <-in.responses:
		return in.take(r, ok)
	}
}

// take queues one response.
func (in *intake) take(r clientv3.WatchResponse, ok bool) error {
	if !ok {
		return errClosed
	}
	if err := r.Err(); err != nil { // compacted and no leader among them
		return fmt.Errorf("watch: %w", err)
	}
	in.heard.Store(int64(time.Since(in.began)))
	if !in.queue.add(r) {
		return errBehind
	}
	return nil
}

// relieve lets the guard read from now on, if it finds that needed, until resume.
func (in *intake) relieve() {
	in.mine++
	in.turn.Store(in.mine)
}

// resume ends that.
func (in *intake) resume() {
	relieved := !in.turn.CompareAndSwap(in.mine, in.mine+1)
	in.mine++
	if relieved {
		in.stop <- struct{}{}
		in.failed = <-in.done
		in.turn.Store(in.mine)
	}
}

// guard looks now and then whether the watch still speaks, and returns when it does not,
// and whether there is an apply, as there was before: the same one, or many of which each
// is too slow for what comes. Then it reads until the end of that one, and so all that
// waits becomes one batch.
func (in *intake) guard(ctx context.Context) error {
	tick := time.NewTicker(min(in.patience, in.silence))
	defer tick.Stop()
	busy := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if time.Since(in.began)-time.Duration(in.heard.Load()) >= in.silence {
			return errSilent
		}
		turn := in.turn.Load()
		applying := turn%2 == 1
		if busy && applying && in.turn.CompareAndSwap(turn, 0) {
			in.read()
		}
		busy = applying
	}
}

// read reads until resume, or until the watch fails.
func (in *intake) read() {
	for {
		select {
		case <-in.stop:
			in.done <- nil
			return
		case r, ok := <-in.responses:
			if err := in.take(r, ok); err != nil {
				<-in.stop
				in.done <- err
				return
			}
		}
	}
}
