// SPDX-License-Identifier: Apache-2.0

// Package mirror keeps a copy of a range of etcd's keys up to date: it lists, then
// watches, and lists the differences again whenever the watch cannot prove that
// nothing was missed (C8.80 to C8.83).
//
// It promises, to the function that takes the batches:
//   - After a batch the copy is what etcd held at the batch's revision: whole
//     revisions, nothing missed, deletions included (C9.47, C9.50). States in between
//     may be left out: a batch has the last state of each key.
//   - Revisions never go back, except by a Reset, which says that the data set is
//     another one and that the batch is all of it (C8.88).
//   - A revision is claimed on the strength of a list, an event or a progress notice,
//     never of silence. A lost connection, a lost leader, compaction and a minute of
//     silence all end in a list, and every list in a batch, be it an empty one.
//   - However slow the function is, and however much changes meanwhile, what waits for
//     it is bounded (C8.17).
//
// It does not store the copy, knows no key but that of the epoch, and does not make
// reads linearizable: who has just written waits for the revision (C9.46).
package mirror

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/connectivity"
)

// Event is one key at its newest version.
type Event struct {
	Key string
	// Value is nil when Deleted. It may be shared: it is not to be changed.
	Value []byte
	// ModRevision is the revision that wrote or deleted the key. A list that finds a
	// key gone cannot know when that was: it gives its own revision.
	ModRevision int64
	Deleted     bool
}

// Batch is a step forward. After it the copy is complete up to Revision.
type Batch struct {
	Revision int64
	// Events holds at most one event for each key, its last, in order of revision.
	// It is empty when only the revision moved on, or when a list found nothing new.
	Events []Event
	// Live says that the events came from a watch: they have just been written.
	// Events of a list may be old.
	Live bool
	// Reset says that the copy belongs to another data set and has to be forgotten
	// before Events are applied: they are all there is (C8.88).
	Reset bool
	// Epoch names the data set that Revision belongs to: the value of Config.EpochKey's
	// key, empty when that key does not exist.
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
	// EpochKey holds the name of the data set. It should lie within the range, so
	// that its change is seen at once; otherwise the next list sees it. A data set
	// that gets its first name is the same data set; one that gets another name, or
	// loses its name, is not. Empty when data sets have no names.
	EpochKey string
	// Start is how far the copy has come already, zero for an empty one.
	Start Point
	// Keys yields the keys that the copy holds within the range, so that a list finds
	// the deleted ones. It is called between batches only, by the goroutine that calls
	// apply. Nil is an empty copy.
	Keys func() iter.Seq[string]
	// Connected, when set, is told when the watch stands (true, after its list) and
	// when it is lost (false), by the goroutine that calls apply. Where a list takes
	// the place of a watch that was merely silent or outrun, nothing is told.
	Connected func(bool)
	// Failed, when set, is told why a watch or a list failed, before it is tried
	// again, by the goroutine that calls apply.
	Failed func(error)
}

// limits are what tests make smaller.
type limits struct {
	// page is how many records one request lists. A record has some 3 KiB and at most
	// 256 KiB (C8.1), and a reply may be of any size, so a page is between 1.5 MiB and
	// at worst 128 MiB. keys is the same for lists of keys alone, about 60 bytes each,
	// which etcd answers from its index; gets is how many records are read by name.
	page, keys int64
	gets       int
	// request is how long one request may take, so that a dead member holds nothing up.
	request time.Duration
	// silence is how long a watch is believed without a word (C8.83).
	silence time.Duration
	// pending is how many bytes may wait for a slow apply before the watch is given up
	// for a list.
	pending int
	// patience is how long applies may take before somebody else reads the watch; it is
	// twice that at most.
	patience time.Duration
	// first and longest bound the pause before another attempt.
	first, longest time.Duration
}

func usual() limits {
	return limits{
		page: 500, keys: 5000, gets: 100, request: 10 * time.Second, silence: time.Minute,
		pending: 64 << 20, patience: 250 * time.Millisecond, first: 20 * time.Millisecond, longest: 2 * time.Second,
	}
}

// copier is a running copy. One goroutine owns it.
type copier struct {
	client    *clientv3.Client
	config    Config
	limits    limits
	apply     func(Batch)
	at        Point // of the last batch
	connected bool
}

// Run copies until ctx ends, and returns nil then. It begins with a list: of
// everything when Start has no revision or belongs to another data set, else of what
// changed since. apply is called by one goroutine, batches in order. Failures of etcd are waited out; an error means that the config makes
// no sense or that the client was closed.
func Run(ctx context.Context, client *clientv3.Client, cfg Config, apply func(Batch)) error {
	if cfg.From == "" || cfg.From >= cfg.To {
		return fmt.Errorf("mirror keys from %q to %q: no such range", cfg.From, cfg.To)
	}
	c := &copier{client: client, config: cfg, limits: usual(), apply: apply, at: cfg.Start}
	return c.run(ctx)
}

func (c *copier) run(ctx context.Context) error {
	pause := c.limits.first
	for {
		began := time.Now()
		err := c.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if c.client.Ctx().Err() != nil {
			return fmt.Errorf("mirror keys from %q to %q: the client was closed", c.config.From, c.config.To)
		}
		if !errors.Is(err, errPlanned) {
			c.setConnected(false)
			if c.config.Failed != nil {
				c.config.Failed(err)
			}
		}
		if time.Since(began) > c.limits.longest { // it had worked
			pause = c.limits.first
		}
		c.pause(ctx, pause/2+rand.N(pause/2+1)) // jitter: edges fall out together
		pause = min(2*pause, c.limits.longest)
	}
}

// pause waits before another attempt, but no longer than until a lost connection is
// back.
func (c *copier) pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	conn := c.client.ActiveConnection()
	if conn == nil || conn.GetState() == connectivity.Ready {
		<-ctx.Done()
		return
	}
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		if !conn.WaitForStateChange(ctx, state) {
			return
		}
	}
}

// follow lists and watches until the watch cannot be believed any more.
func (c *copier) follow(ctx context.Context) error {
	batch, err := c.list(ctx)
	if err != nil {
		return err
	}
	c.step(batch)
	return c.watch(ctx)
}

// step hands over a batch.
func (c *copier) step(b Batch) {
	c.at = Point{Revision: b.Revision, Epoch: b.Epoch}
	c.apply(b)
}

func (c *copier) setConnected(now bool) {
	if now == c.connected {
		return
	}
	c.connected = now
	if c.config.Connected != nil {
		c.config.Connected(now)
	}
}
