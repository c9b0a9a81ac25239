// SPDX-License-Identifier: Apache-2.0

package hitratio

// none is no key.
const none = int32(-1)

// links chain the keys of a trace into queues; each key is in one queue at most.
type links struct {
	newer, older []int32
	in           []*queue
}

func newLinks(objects int) *links {
	return &links{newer: make([]int32, objects), older: make([]int32, objects), in: make([]*queue, objects)}
}

// queue is a sequence of keys from the newest to the oldest.
type queue struct {
	links          *links
	newest, oldest int32
	n              int
	bytes          int64
}

func (l *links) queue() *queue { return &queue{links: l, newest: none, oldest: none} }

func (q *queue) has(key int32) bool { return q.links.in[key] == q }

// push makes key, which is in no queue, the newest.
func (q *queue) push(key int32, size int64) {
	l := q.links
	l.in[key], l.newer[key], l.older[key] = q, none, q.newest
	if q.newest != none {
		l.newer[q.newest] = key
	} else {
		q.oldest = key
	}
	q.newest = key
	q.n++
	q.bytes += size
}

// remove takes key, which is in q, out of it.
func (q *queue) remove(key int32, size int64) {
	l := q.links
	newer, older := l.newer[key], l.older[key]
	if newer != none {
		l.older[newer] = older
	} else {
		q.newest = older
	}
	if older != none {
		l.newer[older] = newer
	} else {
		q.oldest = newer
	}
	l.in[key] = nil
	q.n--
	q.bytes -= size
}
