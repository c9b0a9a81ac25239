// SPDX-License-Identifier: Apache-2.0

// Package mirror keeps a copy of a range of etcd's keys up to date: it lists, then
// watches, and lists the differences again whenever the watch cannot prove that
// nothing was missed (C8.80 to C8.83). It hands over whole revisions in order, one
// batch at a time, and never claims a revision on the strength of silence: only a
// list, an event or a progress notice moves it on (design 3.1).
package mirror

import (
	"iter"
)

// Event is one key at its newest version.
type Event struct {
	Key         string
	Value       []byte // unused when Deleted
	ModRevision int64
	Deleted     bool
}

// Batch is a step forward. After it the copy is complete up to Revision.
type Batch struct {
	Revision int64
	// Events holds at most one event for each key and revision, in order of
	// revision. It is empty when only the revision moved on.
	Events []Event
	// Live says that the events came from a watch: they have just been written.
	// Events of a list may be old.
	Live bool
	// Reset says that the copy belongs to another data set and has to be forgotten
	// before Events are applied: they are all there is (C8.88).
	Reset bool
	// Epoch names the data set that Revision belongs to: the value of Config.Epoch's
	// key.
	Epoch string
}

// Point is how far a copy has come.
type Point struct {
	Revision int64
	Epoch    string
}

// Config says what to copy.
type Config struct {
	// From and To bound the keys: From <= key < To.
	From, To string
	// EpochKey holds the name of the data set. It lies within the range or not.
	EpochKey string
	// Start is how far the copy has come already, zero for an empty one.
	Start Point
	// Keys yields the keys that the copy holds, so that a list finds the deleted
	// ones. It is called between batches only.
	Keys func() iter.Seq[string]
	// Connected, when set, is told when the watch stands (true, after its list) and
	// when it is lost (false).
	Connected func(bool)
}
