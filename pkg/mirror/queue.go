// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// eventSize is what an event weighs besides its key and value.
const eventSize = 64

// queue holds what the watch brought and apply has not taken.
type queue struct {
	limit int // in bytes

	mu       sync.Mutex // guards the rest
	events   []Event    // in order of revision
	size     int
	revision int64
}

func newQueue(limit int) *queue {
	return &queue{limit: limit}
}

// add puts a response at the end. It is false when there is too much: then nothing
// is left, as a list will bring it all.
func (q *queue) add(r clientv3.WatchResponse) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range r.Events {
		q.events = append(q.events, Event{
			Key: string(e.Kv.Key), Value: e.Kv.Value, ModRevision: e.Kv.ModRevision,
			Deleted: e.Type == mvccpb.Event_DELETE,
		})
		q.size += eventSize + len(e.Kv.Key) + len(e.Kv.Value)
	}
	switch {
	case q.size > q.limit:
		q.events, q.size, q.revision = nil, 0, 0
		return false
	case len(r.Events) > 0: // the header may be ahead of what is in the response
		q.revision = r.Events[len(r.Events)-1].Kv.ModRevision
	case r.IsProgressNotify():
		q.revision = max(q.revision, r.Header.Revision)
	}
	return true
}

// take removes everything: the last event of each key, in order of revision, and the
// revision that they lead to. Without events it is that of a progress notice, which
// may be an old one, or 0.
func (q *queue) take() (events []Event, revision int64) {
	q.mu.Lock()
	events, revision = q.events, q.revision
	q.events, q.size, q.revision = nil, 0, 0
	q.mu.Unlock()
	return lastOfEach(events), revision
}

// waiting says whether there is something to take.
func (q *queue) waiting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.revision != 0
}

func lastOfEach(events []Event) []Event {
	if len(events) < 2 {
		return events
	}
	last := make(map[string]int, len(events))
	for i, e := range events {
		last[e.Key] = i
	}
	if len(last) == len(events) {
		return events
	}
	i := -1
	return slices.DeleteFunc(events, func(e Event) bool {
		i++
		return last[e.Key] != i
	})
}
