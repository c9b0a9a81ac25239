// SPDX-License-Identifier: Apache-2.0

package disk

// chunkBytes is how much is written at once, if there is so much.
const chunkBytes = 1 << 20

// mostSpare is how many buffers are kept for the next chunks.
const mostSpare = 4

// chunk is a run of records of one segment that waits to be written. Its bytes are
// read from it meanwhile: they do not move, for buf never grows beyond its capacity.
type chunk struct {
	seg   *segment
	start int64
	buf   []byte
	read  bool // somebody has a part of buf: it is not used again
}

// newChunk begins a chunk that holds at least size bytes. mu is held.
func (l *Log) newChunk(seg *segment, size int) *chunk {
	c := &chunk{seg: seg, start: seg.end}
	if n := len(l.spare); n > 0 && size <= chunkBytes {
		c.buf, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		c.buf = make([]byte, 0, max(size, chunkBytes))
	}
	return c
}

// closeChunk puts the current chunk into the queue. mu is held.
func (l *Log) closeChunk() {
	if l.current != nil {
		l.queue = append(l.queue, l.current)
		l.current = nil
	}
}

// next returns the chunk that is to be written next, nil if there is none. It stays in
// the queue, so that it can be read.
func (l *Log) next() *chunk {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.closeChunk()
	}
	if len(l.queue) == 0 {
		return nil
	}
	return l.queue[0]
}

// done takes the first chunk out of the queue. mu is held.
func (l *Log) done(c *chunk) {
	l.queue[0] = nil
	l.queue = l.queue[1:]
	l.queued -= len(c.buf)
	if !c.read && cap(c.buf) == chunkBytes && len(l.spare) < mostSpare {
		l.spare = append(l.spare, c.buf[:0])
	}
	l.written.Broadcast()
}

// pending returns the bytes of a record that is not in its file yet.
func (l *Log) pending(seg *segment, p place) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := func(c *chunk) []byte {
		if c == nil || c.seg != seg || p.at() < c.start || p.at()+int64(p.length()) > c.start+int64(len(c.buf)) {
			return nil
		}
		c.read = true
		at := int(p.at() - c.start)
		return c.buf[at : at+p.length() : at+p.length()]
	}
	for _, c := range l.queue {
		if b := in(c); b != nil {
			return b
		}
	}
	return in(l.current)
}
