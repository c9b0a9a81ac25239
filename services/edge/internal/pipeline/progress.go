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
	over    bool       // the fill has ended
	size    int64      // of the body, once it has come to its end; 0 before
	changed chan struct{}
}

// reach says that the first n slices will not change any more.
func (p *progress) reach(n int64) { p.tell(func() { p.reached = n }) }

// end says that no more slices come. It may be called again.
func (p *progress) end() { p.tell(func() { p.ended = true }) }

// whole says that all of the body has come, and how long it is.
func (p *progress) whole(size int64) { p.tell(func() { p.ended, p.over, p.size = true, true, size }) }

// stop says that the fill has ended, in whatever way.
func (p *progress) stop() { p.tell(func() { p.ended, p.over = true, true }) }

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
	return p.until(ctx, func() bool { return number < p.reached || p.ended })
}

// length waits for the length of the body; 0 if it broke off. Who only has a use for stored
// slices is not kept waiting when there are no more: 0 as well.
func (p *progress) length(ctx context.Context, storedOnly bool) (int64, error) {
	if err := p.until(ctx, func() bool { return p.over || p.ended && storedOnly }); err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size, nil
}

// until waits for what is the case with the lock held.
func (p *progress) until(ctx context.Context, so func() bool) error {
	for {
		changed := p.next(so)
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
func (p *progress) next(so func() bool) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if so() {
		return nil
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}
