// SPDX-License-Identifier: Apache-2.0

package fill

import (
	"sync"
	"sync/atomic"
)

// mostIdle is how many goroutines wait for a next fill.
const mostIdle = 64

// workers run fills. A goroutine that has run one waits for the next: what a fill needs
// of its stack is there already, and growing that costs a small fill a tenth of its time.
type workers struct {
	tasks   chan func() // to those who wait
	idle    atomic.Int64
	running sync.WaitGroup
}

// do runs a task in a goroutine that waits, or a new one. It is not called after stop.
func (w *workers) do(task func()) {
	select {
	case w.tasks <- task:
	default:
		w.running.Go(func() { w.work(task) })
	}
}

// work runs task and others after it.
func (w *workers) work(task func()) {
	for ok := true; ok; {
		task()
		if w.idle.Add(1) <= mostIdle {
			task, ok = <-w.tasks
		} else {
			ok = false
		}
		w.idle.Add(-1)
	}
}

// stop ends the goroutines that wait, and lets the others end with their tasks.
func (w *workers) stop() { close(w.tasks) }

// wait waits until there is none.
func (w *workers) wait() { w.running.Wait() }
