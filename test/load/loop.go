// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"syscall"
	"time"
)

// readSize is how much is read at a time.
const readSize = 256 << 10

// loop is a run of a plan: one thread that waits for all connections at once.
type loop struct {
	plan     Plan
	request  *request
	epoll    int
	conns    []*connection
	byFD     map[int]*connection
	free     []*connection // without a request under way
	events   []syscall.EpollEvent
	buf      []byte
	began    time.Time
	now      time.Duration // since began, as of the last look
	sent     int
	body     int64
	took     []time.Duration
	interval time.Duration // between requests; 0 without a rate
}

// connection has at most one request under way.
type connection struct {
	file    *os.File
	fd      int
	due     time.Duration // when its request should have begun
	head    []byte        // of an answer whose head is not complete
	left    int64         // bytes of the body to come; -1 while the head is awaited
	waiting bool
}

func dial(p Plan) (*loop, error) {
	l := &loop{
		plan: p, request: p.request(), byFD: map[int]*connection{}, buf: make([]byte, readSize),
		events: make([]syscall.EpollEvent, 256), epoll: -1,
	}
	if p.Rate > 0 {
		l.interval = time.Duration(float64(time.Second) / p.Rate)
	}
	var err error
	if l.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	for i := range p.Connections {
		c, err := connect(p, i)
		if err == nil {
			l.conns = append(l.conns, c)
			l.byFD[c.fd] = c
			l.free = append(l.free, c)
			event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.fd)}
			err = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, c.fd, &event)
		}
		if err != nil {
			l.close()
			return nil, fmt.Errorf("connection %d: %w", i+1, err)
		}
	}
	return l, nil
}

func connect(p Plan, i int) (*connection, error) {
	d := net.Dialer{Timeout: answerTimeout}
	if len(p.Sources) > 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(p.Sources[i%len(p.Sources)])}
	}
	raw, err := d.Dial("tcp", p.Address)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	tcp, ok := raw.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("%T is not a TCP connection", raw)
	}
	file, err := tcp.File() // a copy that the runtime's poller does not know
	if err != nil {
		return nil, err
	}
	c := &connection{file: file, fd: int(file.Fd()), left: -1}
	return c, syscall.SetNonblock(c.fd, true)
}

func (l *loop) close() {
	for _, c := range l.conns {
		_ = c.file.Close()
	}
	if l.epoll >= 0 {
		_ = syscall.Close(l.epoll)
	}
}

// more says whether another request is to be sent.
func (l *loop) more() bool {
	return (l.plan.Count <= 0 || l.sent < l.plan.Count) && (l.plan.Duration <= 0 || l.due() < l.plan.Duration)
}

// due is when the next request should begin.
func (l *loop) due() time.Duration {
	if l.interval > 0 {
		return time.Duration(l.sent) * l.interval
	}
	return l.now
}

// ask is run with a clock of its own.
func (l *loop) ask() error {
	l.began = time.Now()
	return l.run()
}

func (l *loop) run() error {
	last := time.Duration(0)
	for {
		l.now = time.Since(l.began)
		for len(l.free) > 0 && l.more() && l.due() <= l.now {
			if err := l.send(); err != nil {
				return err
			}
		}
		if len(l.free) == len(l.conns) && !l.more() {
			return nil
		}
		n, err := syscall.EpollWait(l.epoll, l.events, l.patience())
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("epoll: %w", err)
		}
		if l.now = time.Since(l.began); n > 0 || len(l.free) == len(l.conns) {
			last = l.now
		}
		if l.now-last > answerTimeout {
			return fmt.Errorf("no answer for %v", answerTimeout)
		}
		for _, e := range l.events[:max(n, 0)] {
			if err := l.read(l.byFD[int(e.Fd)]); err != nil {
				return err
			}
		}
	}
}

// patience is how long to wait for events, in milliseconds. With a rate the thread
// never sleeps: it would wake late.
func (l *loop) patience() int {
	if l.interval > 0 {
		return 0
	}
	return 1000
}

func (l *loop) send() error {
	c := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	b := l.request.bytes(l.plan.First + l.sent)
	c.due, c.waiting, c.left = l.due(), true, -1
	l.sent++
	n, err := syscall.Write(c.fd, b)
	if err == nil && n < len(b) {
		err = errors.New("the server does not read")
	}
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// read takes what has come over a connection.
func (l *loop) read(c *connection) error {
	n, err := syscall.Read(c.fd, l.buf)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return errClosed
	case !c.waiting:
		return fmt.Errorf("bytes that nobody asked for: %.200q", l.buf[:n])
	}
	b := l.buf[:n]
	if c.left < 0 {
		if b, err = l.begin(c, b); err != nil || c.left < 0 {
			return err
		}
	}
	c.left -= int64(len(b))
	l.body += int64(len(b))
	if c.left < 0 {
		return fmt.Errorf("%d bytes after the answer", -c.left)
	}
	if c.left == 0 {
		c.waiting = false
		l.took = append(l.took, time.Since(l.began)-c.due)
		l.free = append(l.free, c)
	}
	return nil
}

// begin reads the head of an answer and returns what follows it.
func (l *loop) begin(c *connection, b []byte) ([]byte, error) {
	if len(c.head) > 0 {
		c.head = append(c.head, b...)
		b = c.head
	}
	h, err := parseHead(b)
	if errors.Is(err, errUnfinished) {
		if len(c.head) == 0 {
			c.head = append(c.head, b...)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if h.status != l.plan.Status || (l.plan.Length >= 0 && h.length != l.plan.Length && h.status != 304) {
		return nil, fmt.Errorf("status %d, length %d; want %d, %d", h.status, h.length, l.plan.Status, l.plan.Length)
	}
	b = b[h.size:]
	c.head = c.head[:0] // b may still be a part of it, and is used before the next read
	if c.left = 0; h.hasBody(l.request.before) {
		if h.length < 0 || h.length > math.MaxInt64/2 {
			return nil, errors.New("an answer without a length")
		}
		c.left = h.length
	}
	return b, nil
}
