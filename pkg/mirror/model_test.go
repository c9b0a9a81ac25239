// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
)

// model knows what etcd held at each revision of the present data set.
type model struct {
	t        *testing.T
	client   *clientv3.Client
	random   *rand.Rand
	history  map[int64]map[string]string
	revision int64
}

// record looks at etcd after an operation. A write that was repeated because its
// answer was lost has the same content at both revisions.
func (m *model) record() {
	m.t.Helper()
	data, revision := stored(m.t, m.client, "r/", "r0")
	for at := m.revision + 1; at <= revision; at++ {
		m.history[at] = data
	}
	m.history[revision], m.revision = data, revision
}

func (m *model) key() string { return fmt.Sprintf("r/%d", m.random.IntN(12)) }

// write does one of the writes.
func (m *model) write() {
	value := fmt.Sprint(m.random.IntN(1000))
	switch m.random.IntN(5) {
	case 0, 1:
		write(m.t, m.client, m.key(), value)
	case 2:
		remove(m.t, m.client, m.key())
	case 3:
		write(m.t, m.client, "c/outside", value)
	default: // several keys in one revision
		ops := []clientv3.Op{clientv3.OpPut("r/x", value), clientv3.OpPut("r/y", value), clientv3.OpDelete(m.key())}
		retry(m.t, func() error {
			_, err := m.client.Txn(m.t.Context()).Then(ops...).Commit()
			return err
		})
	}
	m.record()
}

func TestModel(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			runModel(t, seed)
		})
	}
}

func runModel(t *testing.T, seed uint64) {
	member := etcdtest.Start(t)
	client := member.Client(t)
	random := rand.New(rand.NewPCG(seed, 0))
	m := &model{t: t, client: client, random: random, history: map[int64]map[string]string{}}
	m.record()

	r := newReplica(t)
	r.limits.page, r.limits.keys, r.limits.gets = 3, 4, 2
	if seed%2 == 1 {
		r.limits.pending = 400 // a few events
	}
	var applied []state
	r.check = func(revision int64, data map[string]string) { applied = append(applied, snapshot(revision, data)) }
	stop := r.start(member.Client(t))
	sync := func() {
		write(t, client, "r/sync", "x") // progress alone may take long
		m.record()
		r.reach(m.revision)
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, s := range applied {
			if diff := cmp.Diff(m.history[s.revision], s.data); diff != "" {
				t.Errorf("at revision %d (-etcd +copy):\n%s", s.revision, diff)
			}
		}
		applied = nil
	}
	for range 250 {
		switch n := random.IntN(100); {
		case n < 80:
			m.write()
		case n < 85:
			at := 1 + random.Int64N(m.revision)
			retry(t, func() error {
				if _, err := client.Compact(t.Context(), at); !errors.Is(err, rpctypes.ErrCompacted) {
					return err
				}
				return nil
			})
		case n < 88:
			member.Cut()
		case n < 90:
			member.Restart(t)
		case n < 93:
			stop()
			for range random.IntN(20) {
				m.write()
			}
			stop = r.start(member.Client(t))
		default:
			sync()
		}
	}
	sync()
	if n := r.count(isReset); n > 0 {
		t.Errorf("%d resets", n)
	}
	if lists, live := r.count(isList), len(r.batches)-r.count(isList); lists < 3 || live < 10 {
		t.Errorf("only %d lists and %d live batches were seen", lists, live)
	}
}

// state is a copy of a copy.
type state struct {
	revision int64
	data     map[string]string
}

func snapshot(revision int64, data map[string]string) state {
	s := state{revision, map[string]string{}}
	for key, value := range data {
		s.data[key] = value
	}
	return s
}
