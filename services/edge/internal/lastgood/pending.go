// SPDX-License-Identifier: Apache-2.0

package lastgood

import (
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/mirror"
)

// pending is what is to be written next: the outcome of any number of whole steps.
// The zero value is nothing.
type pending struct {
	point mirror.Point
	known bool // point is set
	reset bool
	// By bucket and key: the version to hold there, or Deleted.
	changes map[string]map[string]snapshot.Change
	journal news
	// synced are to be called when it is on disk.
	synced []func()
}

func (p *pending) add(step Step) {
	if step.Reset {
		*p = pending{reset: true, synced: p.synced}
	}
	p.point, p.known = step.Point, true
	p.journal.add(step)
	if step.Synced != nil {
		p.synced = append(p.synced, step.Synced)
	}
	for _, c := range step.Served {
		p.set(bucketServed, c)
		p.set(bucketRejected, snapshot.Change{Key: c.Key, Deleted: true}) // overtaken
	}
	for _, c := range step.Rejected {
		p.set(bucketRejected, c)
	}
}

func (p *pending) set(bucket string, c snapshot.Change) {
	if p.changes == nil {
		p.changes = map[string]map[string]snapshot.Change{bucketServed: {}, bucketRejected: {}}
	}
	p.changes[bucket][c.Key] = c
}

// merge adds what came later.
func (p *pending) merge(newer pending) {
	newer.synced = append(p.synced, newer.synced...)
	if newer.reset {
		*p = newer
		return
	}
	p.synced = newer.synced
	p.journal.merge(newer.journal)
	if newer.known {
		p.point, p.known = newer.point, true
	}
	for bucket, changes := range newer.changes {
		for _, c := range changes {
			p.set(bucket, c)
		}
	}
}

// write brings the file to where pending is, in one transaction.
func (p *pending) write(tx *bbolt.Tx) error {
	states := tx.Bucket([]byte(bucketState))
	now, err := decodeState(states.Get([]byte(keyState)))
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if p.known {
		now.point = p.point
	}
	if p.reset {
		now.account = account{}
	}
	for _, name := range []string{bucketServed, bucketRejected} {
		b, err := p.bucket(tx, name)
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(p.changes[name])) {
			if err := now.put(b, name, p.changes[name][key]); err != nil {
				return err
			}
		}
	}
	// A configuration that is older than the floor could store nothing after a restart.
	p.journal.floor = min(p.journal.floor, now.point.Revision)
	sealed := now.encode()
	if err := states.Put([]byte(keyState), sealed); err != nil {
		return err
	}
	return p.journal.write(tx, sealed)
}

func (p *pending) bucket(tx *bbolt.Tx, name string) (*bbolt.Bucket, error) {
	if !p.reset {
		return tx.Bucket([]byte(name)), nil
	}
	if err := tx.DeleteBucket([]byte(name)); err != nil {
		return nil, fmt.Errorf("empty bucket %s: %w", name, err)
	}
	return tx.CreateBucket([]byte(name))
}

// put writes or deletes one pair and keeps the account of all pairs.
func (s *state) put(b *bbolt.Bucket, name string, c snapshot.Change) error {
	key := []byte(c.Key)
	if old := b.Get(key); old != nil {
		s.remove(old)
	}
	if c.Deleted {
		return b.Delete(key)
	}
	sealed := encode(name, c)
	s.add(sealed)
	return b.Put(key, sealed)
}
