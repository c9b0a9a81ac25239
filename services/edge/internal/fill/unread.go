// SPDX-License-Identifier: Apache-2.0

package fill

import "time"

// abandon ends a fill without readers that is not worth finishing, or any when the
// Group is closed. With both locks held.
func (f *Fill[H]) abandon() {
	if len(f.readers)+f.behind > 0 || f.whole || f.ended {
		return // somebody reads, or there is nothing to save
	}
	if f.worth() && !f.group.closed {
		f.left = time.Now()
		return
	}
	f.group.unlist(f)
	f.cancel(errAbandoned)
}

// worth is D14.14: half of the body is there, or little is missing. Only for the
// store can that be of use.
func (f *Fill[H]) worth() bool {
	if f.background && !f.begun {
		return true
	}
	if !f.begun || f.passing && f.spill == nil {
		return false
	}
	return f.wanted || f.background || f.size >= 0 && (2*f.length >= f.size || f.size-f.length < almost)
}

// expire ends a fill that goes on without readers for too long.
func (f *Fill[H]) expire() error {
	if !f.overdue() {
		return nil
	}
	g := f.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if !f.overdue() {
		return nil // somebody has joined just now
	}
	g.unlist(f)
	return errAbandoned
}

func (f *Fill[H]) overdue() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.left.IsZero() && time.Since(f.left) > unreadTime
}

func (f *Fill[H]) unread() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers)+f.behind == 0
}
