// SPDX-License-Identifier: Apache-2.0

package lastgood

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// journal says what the invalidations in a file are, and for which cache. It is written
// with every state and names that: so one that is lost, or left behind by a release
// that knows of none, is noticed.
type journal struct {
	era   uint64
	floor int64 // invalidations up to here are forgotten
	// contact is when the state came from etcd, in Unix seconds; 0: never.
	contact int64
	account
	state uint64 // checksum of the state
}

func (j journal) encode() []byte {
	body := binary.BigEndian.AppendUint64([]byte{format}, j.era)
	for _, n := range []int64{j.floor, j.contact, j.count} {
		body = binary.BigEndian.AppendUint64(body, uint64(n))
	}
	body = binary.BigEndian.AppendUint64(body, j.sum)
	return seal(bucketState, keyJournal, binary.BigEndian.AppendUint64(body, j.state))
}

func decodeJournal(sealed []byte) (journal, error) {
	if sealed == nil {
		return journal{}, errors.New("there is none")
	}
	body, err := open(bucketState, keyJournal, sealed)
	if err != nil {
		return journal{}, err
	}
	if len(body) != 6*8 {
		return journal{}, errDamaged
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(body[8*i:]) }
	return journal{
		era: n(0), floor: int64(n(1)), contact: int64(n(2)),
		account: account{count: int64(n(3)), sum: n(4)}, state: n(5),
	}, nil
}

// journalKey orders invalidations by revision.
func journalKey(c snapshot.Change) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(c.ModRevision)), c.Key...)
}

// recall reads the journal into c, whose state is sealed.
func (c *Content) recall(tx *bbolt.Tx, sealed []byte) error {
	j, err := decodeJournal(tx.Bucket([]byte(bucketState)).Get([]byte(keyJournal)))
	if err != nil {
		return err
	}
	b := tx.Bucket([]byte(bucketJournal))
	if b == nil || j.state != sumOf(sealed) || j.era == 0 {
		return errors.New("it is of another state")
	}
	var got account
	var all []snapshot.Change
	err = b.ForEach(func(k, v []byte) error {
		if len(k) <= 8 {
			return errDamaged
		}
		body, err := open(bucketJournal, string(k), v)
		if err != nil {
			return err
		}
		got.add(v)
		all = append(all, snapshot.Change{
			Key: string(k[8:]), ModRevision: int64(binary.BigEndian.Uint64(k)), Value: append([]byte(nil), body...),
		})
		return nil
	})
	if err != nil {
		return err
	}
	if got != j.account {
		return fmt.Errorf("it holds %d invalidations, should be %d", got.count, j.count)
	}
	c.Era, c.Floor, c.Invalidations = j.era, j.floor, all
	if j.contact > 0 {
		c.Contact = time.Unix(j.contact, 0)
	}
	return nil
}

// anew begins a journal for an empty cache.
func (c *Content) anew(db *bbolt.DB) error {
	c.Era, c.Floor, c.Invalidations = invalidation.NewEra(), 0, nil
	return guard(func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			n := news{era: c.Era}
			return n.write(tx, tx.Bucket([]byte(bucketState)).Get([]byte(keyState)))
		})
	})
}

// news is what a journal is to get next. The zero value is nothing.
type news struct {
	era     uint64 // not 0: everything before is gone, this era begins
	floor   int64  // forget what is not above
	contact int64
	orders  []snapshot.Change
	bytes   int // of orders
}

// mostBytes is how much of invalidations may wait for a disk that takes nothing.
const mostBytes = 64 << 20

// bound gives up what is too much to wait: the cache does not outlive this process
// then, and what is on disk says so.
func (n *news) bound() {
	if n.bytes > mostBytes {
		*n = news{era: invalidation.NewEra(), contact: n.contact}
	}
}

func (n *news) add(step Step) {
	if step.Era != 0 {
		*n = news{era: step.Era}
	}
	n.contact = time.Now().Unix()
	n.orders = append(n.orders, step.Invalidations...)
	for _, c := range step.Invalidations {
		n.bytes += len(c.Key) + len(c.Value)
	}
	n.bound()
}

func (n *news) merge(newer news) {
	if newer.era != 0 {
		*n = newer
		return
	}
	n.floor, n.contact = max(n.floor, newer.floor), max(n.contact, newer.contact)
	n.orders, n.bytes = append(n.orders, newer.orders...), n.bytes+newer.bytes
	n.bound()
}

// write brings the journal up to date with the state that is about to be committed.
func (n *news) write(tx *bbolt.Tx, state []byte) error {
	states := tx.Bucket([]byte(bucketState))
	j, err := decodeJournal(states.Get([]byte(keyJournal)))
	if n.era != 0 {
		j, err = journal{era: n.era, contact: j.contact}, nil
		if tx.Bucket([]byte(bucketJournal)) != nil {
			err = tx.DeleteBucket([]byte(bucketJournal))
		}
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	b, err := tx.CreateBucketIfNotExists([]byte(bucketJournal))
	if err != nil {
		return err
	}
	j.floor, j.contact, j.state = max(j.floor, n.floor), max(j.contact, n.contact), sumOf(state)
	for _, c := range n.orders {
		if err := j.put(b, c); err != nil {
			return err
		}
	}
	if n.floor > 0 {
		if err := j.forget(b); err != nil {
			return err
		}
	}
	return states.Put([]byte(keyJournal), j.encode())
}

func (j *journal) put(b *bbolt.Bucket, c snapshot.Change) error {
	key := journalKey(c)
	if b.Get(key) != nil {
		return nil // a record never changes
	}
	sealed := seal(bucketJournal, string(key), append([]byte{format}, c.Value...))
	j.add(sealed)
	return b.Put(key, sealed)
}

// forget deletes what is not above the floor.
func (j *journal) forget(b *bbolt.Bucket) error {
	var gone [][]byte
	cursor := b.Cursor()
	for k, v := cursor.First(); k != nil && int64(binary.BigEndian.Uint64(k)) <= j.floor; k, v = cursor.Next() {
		j.remove(v)
		gone = append(gone, append([]byte(nil), k...))
	}
	for _, k := range gone {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
