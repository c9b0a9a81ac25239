// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// line is the connection below TLS. While timeout is set it bounds the wait for
// any packet, in either direction (D16.9).
//
// A deadline of the connection is moved only when it has passed: one that strikes
// before the wait is over is set anew. So most reads and writes cost no timer.
type line struct {
	net.Conn
	timeout time.Duration
	// written is the deadline for writing that is set, the zero Time for none.
	written time.Time

	mu sync.Mutex // guards the rest; no waiting while held
	// sending says that a body is on its way to the origin, which meanwhile owes no
	// answer.
	sending bool
	// polling makes a Read fail at once where it would have to wait.
	polling bool
	// read is the deadline for reading that is set, the zero Time for none, due the
	// end of the present wait.
	read, due time.Time
}

// arm sets the time-out of a request. It is called while nobody reads or writes.
func (l *line) arm(timeout time.Duration) {
	l.timeout, l.sending = timeout, false
}

// Read waits at most for the time-out.
func (l *line) Read(p []byte) (int, error) {
	if err := l.await(); err != nil {
		return 0, err
	}
	for {
		n, err := l.Conn.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || l.expired() {
			return n, err
		}
	}
}

// await begins a wait for a packet.
func (l *line) await() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.polling {
		return l.expect(longAgo)
	}
	if l.timeout == 0 || l.sending {
		return l.expect(time.Time{})
	}
	now := time.Now()
	l.due = now.Add(l.timeout)
	if !l.read.IsZero() && l.read.After(now) && !l.read.After(l.due) {
		return nil // expired looks again when it strikes
	}
	return l.expect(l.due)
}

// expired says whether the wait is over. If not, its deadline is set anew.
func (l *line) expired() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.polling {
		return true
	}
	if l.timeout == 0 || l.sending {
		return l.expect(time.Time{}) != nil
	}
	return !time.Now().Before(l.due) || l.expect(l.due) != nil
}

// expect sets the deadline for reading, with the lock held.
func (l *line) expect(deadline time.Time) error {
	if l.read.Equal(deadline) {
		return nil
	}
	l.read = deadline
	return l.SetReadDeadline(deadline)
}

// begin says that a body is being sent: the wait for the answer has no end before
// finish.
func (l *line) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending = true
}

// finish says that no more of the body is sent. The wait for the answer begins, also
// for a Read that is under way (D16.9).
func (l *line) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sending = false
	if l.timeout == 0 {
		return
	}
	l.due = time.Now().Add(l.timeout)
	_ = l.expect(l.due) // it fails when the connection is over, which Read finds out
}

// Write waits at most for the time-out before the origin takes the next bytes.
func (l *line) Write(p []byte) (int, error) {
	if l.timeout == 0 {
		if err := l.allow(time.Time{}); err != nil {
			return 0, err
		}
		return l.Conn.Write(p)
	}
	sent := 0
	for due := time.Now().Add(l.timeout); ; {
		now := time.Now()
		if !l.written.After(now) || l.written.After(due) {
			if err := l.allow(due); err != nil {
				return sent, err
			}
		}
		n, err := l.Conn.Write(p[sent:])
		sent += n
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return sent, err
		}
		now = time.Now()
		if n > 0 {
			due = now.Add(l.timeout)
		} else if !now.Before(due) {
			return sent, err
		}
	}
}

// allow sets the deadline for writing.
func (l *line) allow(deadline time.Time) error {
	if l.written.Equal(deadline) {
		return nil
	}
	l.written = deadline
	return l.SetWriteDeadline(deadline)
}

// CloseWrite tells the origin that nothing more comes.
func (l *line) CloseWrite() error {
	if c, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return l.Close()
}

// poll switches to reads that fail at once where they would have to wait, and back.
func (l *line) poll(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.polling = on
}

// longAgo is a deadline that has always passed.
var longAgo = time.Unix(1, 0)
