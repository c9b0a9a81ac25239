// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// intake empties a watch. Neither etcd nor its client bounds usefully what waits
// there (C8.17), so somebody has to read at all times: usually the goroutine that also
// applies, as a change that passes from one goroutine to another comes later; while an
// apply takes long, a goroutine that relieves it.
type intake struct {
	responses clientv3.WatchChan
	queue     *queue
	silence   time.Duration // how long the watch is believed without a word
	patience  time.Duration // how long an apply may take before it is relieved

	quiet *time.Timer
	heard time.Time // of the watch, last

	relief *time.Timer   // begins the relief
	stop   chan struct{} // ends it
	done   chan error    // gets why the relief ended, nil when it was stopped
	failed error         // of the watch while relieved
}

func newIntake(responses clientv3.WatchChan, l limits) *intake {
	in := &intake{
		responses: responses, queue: newQueue(l.pending), silence: l.silence, patience: l.patience,
		quiet: time.NewTimer(l.silence), heard: time.Now(),
		stop: make(chan struct{}), done: make(chan error, 1),
	}
	in.relief = time.AfterFunc(l.patience, in.run)
	in.resume()
	return in
}

func (in *intake) close() { in.quiet.Stop() }

// next waits until there is something in the queue: what the watch says now, or what it
// said while an apply was relieved. After an error there may be something as well.
func (in *intake) next(ctx context.Context) error {
	if in.failed != nil {
		return in.failed
	}
	if in.queue.waiting() {
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-in.quiet.C:
			left := in.silence - time.Since(in.heard)
			if left <= 0 {
				return errSilent
			}
			in.quiet.Reset(left)
		case r, ok := <-in.responses:
			return in.take(r, ok)
		}
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
	in.heard = time.Now()
	if !in.queue.add(r) {
		return errBehind
	}
	return nil
}

// relieve lets somebody else read from now on if it takes long until resume.
func (in *intake) relieve() { in.relief.Reset(in.patience) }

// resume ends that.
func (in *intake) resume() {
	if !in.relief.Stop() {
		in.stop <- struct{}{}
		in.failed = <-in.done
	}
}

// run reads until resume, or until the watch fails.
func (in *intake) run() {
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
