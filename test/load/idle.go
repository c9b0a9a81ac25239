// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"syscall"
)

// Held are connections that have had one answer each and now idle.
type Held struct{ l *loop }

// Hold opens the connections of a plan, asks once over each, and keeps them.
func Hold(p Plan) (*Held, error) {
	p.Count, p.Rate, p.Duration = p.Connections, 0, 0
	if err := p.validate(); err != nil {
		return nil, err
	}
	held := &Held{&loop{epoll: -1}}
	for i := range p.Connections {
		one := p
		one.Connections, one.Count = 1, 1
		if len(p.Sources) > 0 {
			one.Sources = p.Sources[i%len(p.Sources):][:1]
		}
		l, err := dial(one)
		if err == nil {
			held.l.conns = append(held.l.conns, l.conns...)
			err = l.ask()
			_ = syscall.Close(l.epoll)
		}
		if err != nil {
			held.Close()
			return nil, fmt.Errorf("connection %d: %w", i+1, err)
		}
	}
	return held, nil
}

// Close ends the connections.
func (h *Held) Close() { h.l.close() }

// Raise lets the process, and what it starts, open as many files as n, or as many as
// it may. It returns how many that are.
func Raise(n uint64) (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	if limit.Cur >= n {
		return limit.Cur, nil
	}
	raised := syscall.Rlimit{Cur: n, Max: max(n, limit.Max)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
		return n, nil
	}
	limit.Cur = limit.Max // more is for the superuser only
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("limit of open files: %w", err)
	}
	return limit.Cur, nil
}
