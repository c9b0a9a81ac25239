// SPDX-License-Identifier: Apache-2.0

package memory

import "sync/atomic"

// mode is one way to choose who goes.
type mode struct {
	// lru: whoever was not asked for the longest. The rest is for the other ways,
	// which are S3-FIFO (Yang and others, SOSP 2023) with these settings.
	lru bool
	// share of the room, in thousandths, that is for what is new.
	share int64
	// asked is how often a new record must be asked for before it is old enough to
	// go, or else it goes.
	asked uint32
}

// modes are the ways between which shadows choose; the first is the one to begin with.
func modes() []mode {
	return []mode{{lru: true}, {share: 100, asked: 2}, {share: 100, asked: 1}, {share: 300, asked: 1}, {share: 20, asked: 2}}
}

const (
	// mostMarks is up to how many requests are counted for a record.
	mostMarks = 3
	// patience is how many records are spared for their marks until one goes in
	// spite of them: nobody waits for a walk through all.
	patience = 128
	// scale is the room in units of time: the clock advances by what comes in.
	scale = 1 << 16
	// slack is the time, as a part of the room, within which a record counts as
	// just asked for: to move it again would bring nothing but locks.
	slack = scale / 10
	// window is for how long evicted hashes are remembered.
	window = scale * 9 / 10
)

// The queues that a node may be in.
const (
	nowhere = iota
	isNew
	isMain
)

// node is the place of one record in an order. 0 is no node.
type node struct {
	newer, older uint32
	size         uint32
	stamp        atomic.Uint32 // when it was last put in front
	marks        atomic.Uint32 // requests since, up to mostMarks
	in           uint32
}

// queue is a list of nodes.
type queue struct {
	newest, oldest uint32
	bytes          int64
}

// order says who goes when room is needed. All of it but mark and stale is called
// under a lock.
type order struct {
	at    func(uint32) *node
	lists [3]queue // by node.in
	gone  ghost
	// capacity is how many bytes there is room for.
	capacity int64
	mode     mode
	lru      atomic.Bool // as in mode
	now      atomic.Uint32
	rest     uint64 // what came in since now, times scale
}

func (o *order) setMode(m mode) {
	o.mode = m
	o.lru.Store(m.lru)
}

func (o *order) bytes() int64 { return o.lists[isNew].bytes + o.lists[isMain].bytes }

// advance moves the clock.
func (o *order) advance(bytes uint32) {
	room := uint64(max(o.capacity, 1))
	o.rest += uint64(bytes) * scale
	o.now.Add(uint32(o.rest / room))
	o.rest %= room
}

// mark notes that a record was asked for. It may lose one of two at the same moment.
func (n *node) mark() {
	if m := n.marks.Load(); m < mostMarks {
		n.marks.Store(m + 1)
	}
}

// stale says that n was asked for and should be moved to the front.
func (o *order) stale(n *node) bool { return o.lru.Load() && o.now.Load()-n.stamp.Load() >= slack }

// renew moves a record to the front.
func (o *order) renew(id uint32) {
	n := o.at(id)
	if in := n.in; in != nowhere {
		o.remove(id)
		o.push(id, in)
		o.advance(n.size)
	}
}

// admit takes a record in.
func (o *order) admit(id uint32, hash uint64) {
	n := o.at(id)
	n.marks.Store(0)
	o.advance(n.size)
	if o.gone.take(uint32(hash), o.now.Load(), window) {
		o.push(id, isMain)
	} else {
		o.push(id, isNew)
	}
}

// replace puts a record in the place of another, which leaves.
func (o *order) replace(old, id uint32) {
	was, n := o.at(old), o.at(id)
	in := was.in
	n.marks.Store(was.marks.Load())
	o.remove(old)
	o.advance(n.size)
	o.push(id, in)
}

// next takes the record that should go out of the order; 0 when there is none.
func (o *order) next() uint32 {
	if o.mode.lru {
		return o.longest()
	}
	for spared := 0; ; spared++ {
		young := &o.lists[isNew]
		in, promote := isMain, uint32(1)
		if young.oldest != 0 && (young.bytes*1000 > o.capacity*o.mode.share || o.lists[isMain].oldest == 0) {
			in, promote = isNew, o.mode.asked
		}
		id := o.lists[in].oldest
		if id == 0 {
			return 0
		}
		o.remove(id)
		n := o.at(id)
		marks := n.marks.Load()
		if marks < promote || spared >= patience {
			return id
		}
		if in == isNew {
			n.marks.Store(0)
		} else {
			n.marks.Store(marks - 1)
		}
		o.push(id, isMain)
	}
}

// longest takes the record that was not moved the longest.
func (o *order) longest() uint32 {
	id := o.lists[isNew].oldest
	if old := o.lists[isMain].oldest; id == 0 || (old != 0 && int32(o.at(old).stamp.Load()-o.at(id).stamp.Load()) < 0) {
		id = old
	}
	if id != 0 {
		o.remove(id)
	}
	return id
}

// spare puts a record that next has taken, but that cannot go, back to the front.
func (o *order) spare(id uint32) { o.push(id, isMain) }

// bury remembers a record that has gone for want of room.
func (o *order) bury(hash uint64, records int) {
	o.gone.room(records)
	now := o.now.Load()
	o.gone.put(uint32(hash), now, now)
}

func (o *order) push(id, in uint32) {
	n, q := o.at(id), &o.lists[in]
	n.in, n.newer, n.older = in, 0, q.newest
	n.stamp.Store(o.now.Load())
	if q.newest != 0 {
		o.at(q.newest).newer = id
	} else {
		q.oldest = id
	}
	q.newest = id
	q.bytes += int64(n.size)
}

func (o *order) remove(id uint32) {
	n := o.at(id)
	if n.in == nowhere {
		return
	}
	q := &o.lists[n.in]
	if n.newer != 0 {
		o.at(n.newer).older = n.older
	} else {
		q.newest = n.older
	}
	if n.older != 0 {
		o.at(n.older).newer = n.newer
	} else {
		q.oldest = n.newer
	}
	q.bytes -= int64(n.size)
	n.in, n.newer, n.older = nowhere, 0, 0
}
