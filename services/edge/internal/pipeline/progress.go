// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"sync"
)

// progress tells who waits for slices how many a fill has stored. The zero value is that of
// a fill that has stored none.
type progress struct {
	mu      sync.Mutex // guards the rest
	reached int64      // slices that were stored, or given up
	ended   bool       // there will be no more
	changed chan struct{}
}

// reach says that the first n slices will not change any more.
func (p *progress) reach(n int64) { p.tell(func() { p.reached = n }) }

// end says that no more slices come. It may be called again.
func (p *progress) end() { p.tell(func() { p.ended = true }) }

func (p *progress) tell(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// wait waits until a slice is stored, if it ever will be. It fails as ctx ends.
func (p *progress) wait(ctx context.Context, number int64) error {
	for {
		changed := p.next(number)
		if changed == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// next is what to wait for; nil if there is nothing.
func (p *progress) next(number int64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if number < p.reached || p.ended {
		return nil
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}
