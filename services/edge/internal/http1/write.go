// SPDX-License-Identifier: Apache-2.0

package http1

import (
	"errors"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

const (
	// maxJoined is how long head and body may be together to be copied into one buffer;
	// above, a write of two buffers is cheaper. TLS copies in any case.
	maxJoined    = 4 << 10
	maxJoinedTLS = 16 << 10 // a record
	// maxWrite is how many bytes a viewer has to take within the stall time.
	maxWrite = 256 << 10
)

// putHead sends a head. The head's memory is work.out.
func (c *conn) putHead(head []byte) error {
	_, err := c.put(head, nil, nil)
	return err
}

// put sends head, data and tail, and returns how many bytes of data went out. The
// head's memory is work.out, or it is nil; data is not written to.
func (c *conn) put(head, data, tail []byte) (sent int64, err error) {
	joined := maxJoined
	if c.tcp == nil {
		joined = maxJoinedTLS
	}
	if len(head) > 0 && len(head)+len(data)+len(tail) <= max(joined, len(head)) {
		begin := len(head)
		head = append(append(head, data...), tail...)
		c.work.out = head[:0]
		n, err := c.writeJoined(head)
		return min(max(n-int64(begin), 0), int64(len(data))), err
	}
	if len(head) > 0 {
		n, err := c.putFirst(head, data, tail)
		sent = min(max(n-int64(len(head)), 0), int64(len(data)))
		if err != nil || n == int64(len(head)+len(data)+len(tail)) {
			return sent, err
		}
	}
	n, err := c.write(data[sent:])
	sent += n
	if err == nil && len(tail) > 0 {
		_, err = c.write(tail)
	}
	return sent, err
}

// putFirst sends a head and what follows it, or the beginning of that, in one write.
func (c *conn) putFirst(head, data, tail []byte) (n int64, err error) {
	if c.tcp == nil {
		head = append(head, data[:min(len(data), max(maxJoinedTLS-len(head), 0))]...)
		c.work.out = head[:0]
		return c.write(head)
	}
	c.armWrite()
	w := c.work
	w.out = head[:0]
	w.parts = [3][]byte{head, data, tail}
	if len(data) > maxWrite {
		w.parts[1], w.parts[2] = data[:maxWrite], nil
	}
	w.bufs = w.parts[:]
	n, err = w.bufs.WriteTo(c.tcp)
	w.parts = [3][]byte{}
	return n, c.stalled(err)
}

// writeJoined sends what is short.
func (c *conn) writeJoined(b []byte) (n int64, err error) {
	if c.tcp == nil || len(b) > maxJoined {
		return c.write(b)
	}
	c.armWrite()
	c.pending, c.pushErr = b, nil
	err = c.raw.Write(c.push)
	n = int64(len(b) - len(c.pending))
	c.pending = nil
	if err == nil {
		err = c.pushErr
	}
	return n, c.stalled(err)
}

// write sends bytes, in portions that each have the whole stall time.
func (c *conn) write(b []byte) (n int64, err error) {
	for len(b) > 0 {
		c.armWrite()
		m, err := c.nc.Write(b[:min(len(b), maxWrite)])
		n += int64(m)
		if err != nil {
			return n, c.stalled(err)
		}
		b = b[m:]
	}
	return n, nil
}

// armWrite gives the viewer at least the stall time from now on. A deadline that is
// late enough is left alone; one that strikes too early would break TLS.
func (c *conn) armWrite() {
	now, stall := c.now(), c.server.cfg.StallTimeout
	c.quiet = now
	if c.writeBy < now+stall {
		c.writeBy = now + stall + stall/2
		_ = c.nc.SetWriteDeadline(c.server.began.Add(c.writeBy)) // it fails on what is closed; then writes fail too
	}
}

// stalled counts a viewer that has stopped reading.
func (c *conn) stalled(err error) error {
	if errors.Is(err, errPast) {
		c.server.metrics.timeout(answering)
	}
	return err
}

// copyFile sends a piece of a file through memory.
func (c *conn) copyFile(head []byte, p exchange.Piece) (sent int64, err error) {
	block, ok := c.server.blocks.Get().(*[blockBytes]byte)
	if !ok {
		block = new([blockBytes]byte)
	}
	defer c.server.blocks.Put(block)
	for sent < p.Length {
		n, err := p.File.ReadAt(block[:min(p.Length-sent, blockBytes)], p.Offset+sent)
		if n == 0 {
			return sent, errors.Join(errLength, err)
		}
		m, err := c.put(head, block[:n], nil)
		sent += m
		if err != nil {
			return sent, err
		}
		head = nil
	}
	return sent, nil
}
