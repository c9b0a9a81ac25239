// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// tinyData is up to how many octets a DATA frame counts as tiny; padded ones may be
// all padding.
const (
	tinyData   = 16
	tinyPadded = 1 + 255
)

// answered is what a connection has sent to its viewer. It is written by who writes to
// the connection and read by who reads from it.
type answered struct {
	scanner scanner
	answers atomic.Int64 // in full
	bytes   atomic.Int64 // of their bodies
	faults  atomic.Int64 // streams reset for an error of the viewer
	refused refusals

	// resets are the streams that were reset last, in turn from next on: a viewer whose
	// upload is answered early goes on for what is under way, and x/net resets the
	// stream for each frame of that once more.
	resets [64]uint32
	next   int
}

// sent counts what is in p, and returns what is to be sent: p, or p with refusals.
func (a *answered) sent(p []byte) []byte {
	all := p
	for f, rest, ok := a.scanner.next(p); ok; f, rest, ok = a.scanner.next(rest) {
		switch f.kind {
		case typeData, typeHeaders:
			if f.has(flagEndStream) {
				a.answers.Add(1)
			}
			if f.kind == typeData {
				a.bytes.Add(int64(f.length))
			}
		case typeReset:
			if f.code == uint32(http2.ErrCodeInternal) && a.refused.end(f.stream) {
				all = refusing(all, len(all)-len(rest))
			}
			if a.first(f.stream) && isFault(f.code) {
				a.faults.Add(1)
			}
		}
	}
	return all
}

// first notes the reset of a stream, and says whether it was none of the last.
func (a *answered) first(stream uint32) bool {
	if slices.Contains(a.resets[:], stream) {
		return false
	}
	a.resets[a.next] = stream
	a.next = (a.next + 1) % len(a.resets)
	return true
}

// isFault says whether a stream was reset for what the viewer did: not because the
// answer is there (NO_ERROR) or broke off (INTERNAL_ERROR).
func isFault(code uint32) bool {
	switch http2.ErrCode(code) {
	case http2.ErrCodeNo, http2.ErrCodeInternal, http2.ErrCodeCancel:
		return false
	}
	return true
}

// counter counts what a viewer sends and tells when it is a flood. Its memory does not
// depend on what comes.
type counter struct {
	limits  *Limits
	out     *answered
	scanner scanner
	buckets [sorts]bucket
	// paid is what of out has been added to the buckets.
	paid struct{ answers, bytes, faults int64 }

	block struct { // the header block that is under way
		open   bool // frames of it are to follow
		last   bool // so far the last frame seen was of it
		bytes  int
		frames int // CONTINUATION
	}
}

func newCounter(limits *Limits, out *answered) *counter {
	return &counter{limits: limits, out: out, scanner: scanner{skip: len(http2.ClientPreface)}}
}

// received counts what is in p, which came at now, and returns the reason why the
// connection has to end, or none.
func (c *counter) received(p []byte, now time.Time) Reason {
	if r := c.settle(now); r != none {
		return r
	}
	for f, rest, ok := c.scanner.next(p); ok; f, rest, ok = c.scanner.next(rest) {
		if r := c.frame(f, now); r != none {
			return r
		}
	}
	return none
}

// settle adds to the budgets what was answered since the last time, and takes off the
// faults.
func (c *counter) settle(now time.Time) Reason {
	answers, bytes, faulty := c.out.answers.Load(), c.out.bytes.Load(), c.out.faults.Load()
	if more, body := answers-c.paid.answers, bytes-c.paid.bytes; more > 0 || body > 0 {
		for i := range c.buckets {
			c.buckets[i].left += float64(more)*worth[i].answer + float64(body)*worth[i].perBytes
		}
	}
	c.paid.answers, c.paid.bytes = answers, bytes
	for ; c.paid.faults < faulty; c.paid.faults++ {
		if !c.buckets[faults].take(c.limits.Faults, now) {
			return faults
		}
	}
	return none
}

// frame counts one.
func (c *counter) frame(f frame, now time.Time) Reason {
	c.block.last = f.kind == typeHeaders || f.kind == typeContinuation
	if c.block.last {
		if r := c.headers(f); r != none {
			return r
		}
	}
	sort := sortOf(f)
	if sort != none && !c.buckets[sort].take(*c.limits.budgets()[sort], now) {
		return sort
	}
	return none
}

// headers counts a frame of a header block.
func (c *counter) headers(f frame) Reason {
	if f.kind == typeHeaders {
		c.block.bytes, c.block.frames = 0, 0
	} else {
		c.block.frames++
	}
	c.block.bytes += f.length
	c.block.open = !f.has(flagEndHeaders)
	switch {
	case c.block.bytes > c.limits.HeaderBytes:
		return headerBytes
	case c.block.frames > c.limits.Continuations:
		return continuations
	}
	return none
}

// inHeaders says that a header block has begun and not all of it is there.
func (c *counter) inHeaders() bool {
	return c.block.open || c.block.last && c.scanner.skip > 0
}

// sortOf says which budget a frame is taken from; none for requests and their bodies.
func sortOf(f frame) Reason {
	switch f.kind {
	case typeData:
		switch {
		case f.has(flagEndStream):
			return none
		case f.length == 0:
			return empty
		case f.length <= tinyData, f.has(flagPadded) && f.length <= tinyPadded:
			return tiny
		}
		return none
	case typeHeaders, typeContinuation:
		if f.length == 0 {
			return empty
		}
		return none
	case typePriority, typePriorityUpdate:
		return priorities
	case typeReset:
		return resets
	case typeSettings:
		return settings
	case typePing:
		return pings
	case typeWindowUpdate:
		return windowUpdates
	}
	return unknown
}
