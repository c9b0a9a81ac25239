// SPDX-License-Identifier: Apache-2.0

package accesslog

import (
	"sync"
	"time"
)

// shard is a part of the buffer. While one half is written the other takes lines.
type shard struct {
	mu    sync.Mutex // guards the rest but spare; no waiting while held
	lines []byte     // never grows beyond its capacity
	// dropped is how many lines found no room.
	dropped int64
	// woken says that the writer knows that there is enough.
	woken bool
	// second is the time up to seconds that begins a line, of the second now. Most lines
	// of a second find it there.
	now    int64
	second [len("2006-01-02T15:04:05")]byte

	spare []byte // guarded by the Log's lock
}

func newShard(size int) *shard {
	return &shard{lines: make([]byte, 0, size), spare: make([]byte, 0, size)}
}

// append adds a line, with the lock held, and says whether the writer should be woken.
func (s *shard) append(e *Event) (full bool) {
	if e.most() > cap(s.lines)-len(s.lines) {
		s.dropped++
		return s.wakes()
	}
	s.lines = e.append(s.lines, s.clock(e.Time))
	return len(s.lines) >= enough && s.wakes()
}

// wakes says whether nobody has woken the writer before.
func (s *shard) wakes() bool {
	before := s.woken
	s.woken = true
	return !before
}

// clock returns the time up to the second, in UTC.
func (s *shard) clock(t time.Time) []byte {
	if unix := t.Unix(); unix != s.now || s.second[0] == 0 {
		s.now = unix
		t.UTC().AppendFormat(s.second[:0], "2006-01-02T15:04:05")
	}
	return s.second[:]
}

// swap takes the lines out if they are at least so many bytes. They are valid until the
// next swap.
func (s *shard) swap(least int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) < least || len(s.lines) == 0 {
		return nil
	}
	s.lines, s.spare = s.spare[:0], s.lines
	s.woken = false
	return s.spare
}
