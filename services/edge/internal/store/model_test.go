// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
)

// model is a store beside a map that says what it may give out: for each path the newest
// object, unless an invalidation has ended it. A miss is always allowed.
type model struct {
	t     *rapid.T
	s     *opened
	dir   string
	ended *invalidation.Table

	era      uint64
	revision int64
	floor    int64
	orders   []invalidation.Order
	serial   int
	now      map[string]stored
	hits     *int
}

type stored struct {
	serial   int
	revision int64
	object   *Object // as it was given to the store
}

var modelPaths = []string{"/a/1", "/a/2", "/b/1", "/b/2", "/c"}

func (m *model) path() string { return rapid.SampledFrom(modelPaths).Draw(m.t, "path") }

func (m *model) concerns(pattern, path string) bool {
	ok, _ := filepath.Match(pattern, path)
	return ok || pattern == "/*"
}

// dead says whether an object of a path that was asked for at a revision is dead.
func (m *model) dead(path string, revision int64) bool {
	if revision < m.floor {
		return true
	}
	for _, o := range m.orders {
		if o.Revision > revision && m.concerns(o.Paths[0], path) {
			return true
		}
	}
	return false
}

// make is a new object for a path, whose request began now or a while ago.
func (m *model) make(path string) stored {
	m.serial++
	at := max(1, m.revision-rapid.Int64Range(0, 2).Draw(m.t, "old by"))
	body := fmt.Appendf(nil, "%s#%d#", path, m.serial)
	body = append(body, make([]byte, rapid.SampledFrom([]int{0, 100, 5000}).Draw(m.t, "size"))...)
	return stored{m.serial, at, &Object{
		Key: keyOf(path), Status: 200, Body: [][]byte{body}, Size: int64(len(body)),
		Stamp: invalidation.Moment{Era: m.era, Revision: at}.Stamp(),
	}}
}

func (m *model) put(*rapid.T) {
	path := m.path()
	o := m.make(path)
	took := m.s.Put(o.object)
	if took == m.dead(path, o.revision) {
		m.t.Fatalf("D25.15: Put of %s at %d: %v", path, o.revision, took)
	}
	m.now[path] = o
	if !took {
		delete(m.now, path)
	}
}

func (m *model) offer(*rapid.T) {
	path := m.path()
	o, asked := m.make(path), false
	stays := rapid.Bool().Draw(m.t, "stays")
	m.s.Offer(o.object, func(now *Object) bool {
		asked = true
		if is, ok := m.now[path]; !ok || now.Size != is.object.Size || m.dead(path, is.revision) {
			m.t.Errorf("%s: asked about what is not there", path)
		}
		return stays
	})
	if !m.dead(path, o.revision) && !(asked && stays) {
		m.now[path] = o
	}
}

func (m *model) replace(*rapid.T) {
	path := m.path()
	old, known := m.now[path]
	if !known {
		return
	}
	next := m.make(path)
	target := old.object
	if rapid.Bool().Draw(m.t, "too late") {
		copied := *target
		copied.version++
		target = &copied
	}
	if rapid.Bool().Draw(m.t, "removes") {
		m.s.Replace(target, nil)
		if target == old.object {
			delete(m.now, path)
		}
		return
	}
	at, there := m.s.Peek(keyOf(path))
	there = there && is(at, target)
	m.s.Replace(target, next.object)
	switch {
	case !there:
	case m.dead(path, next.revision):
		delete(m.now, path)
	default:
		m.now[path] = next
	}
}

func (m *model) remove(*rapid.T) {
	path := m.path()
	m.s.Delete(keyOf(path))
	delete(m.now, path)
}

func (m *model) get(*rapid.T) {
	path := m.path()
	var v View
	if !m.s.Get(context.Background(), keyOf(path), &v) {
		return
	}
	defer v.Release()
	*m.hits++
	want, ok := m.now[path]
	prefix := []byte(path + "#" + strconv.Itoa(want.serial) + "#")
	if !ok || !bytes.HasPrefix(v.Content().Bytes, prefix) {
		m.t.Fatalf("%s: got %.20q, want %v %q", path, v.Content().Bytes, ok, prefix)
	}
	if m.dead(path, want.revision) {
		m.t.Fatalf("D25.14: %s: a dead object is given out", path)
	}
}

func (m *model) invalidate(*rapid.T) {
	m.revision++
	o := invalidation.Order{Distribution: "D", ID: "I", Revision: m.revision, Paths: []string{
		rapid.SampledFrom(append([]string{"/*", "/a/*", "/b/*"}, modelPaths...)).Draw(m.t, "pattern"),
	}}
	m.orders = append(m.orders, o)
	m.ended.Apply([]invalidation.Order{o})
}

func (m *model) evict(*rapid.T) { m.s.forgetMemory() }

// sweep lets the table forget everything. All that lives is above the floor then.
func (m *model) sweep(*rapid.T) {
	to, err := m.s.Sweep(context.Background())
	if err != nil {
		m.t.Fatal(err)
	}
	if !m.ended.Forget(to) {
		m.t.Fatal("the table does not forget")
	}
	for path, o := range m.now {
		if m.dead(path, o.revision) {
			delete(m.now, path)
			continue
		}
		o.revision = max(o.revision, to.Revision)
		m.now[path] = o
	}
	m.orders, m.floor = nil, to.Revision
}

// restart stops in order or is killed; what is invalidated is known from elsewhere. After
// a kill an older object may be there.
func (m *model) restart(*rapid.T) {
	if m.dir == "" {
		return
	}
	next := m.s.dir
	if rapid.Bool().Draw(m.t, "killed") {
		if err := m.s.log.Sync(context.Background()); err != nil {
			m.t.Fatal(err)
		}
		next = filepath.Join(m.dir, strconv.Itoa(m.serial)+"k"+strconv.Itoa(len(m.orders)))
		m.serial++
		copyDir(m.t, m.s.dir, next)
	}
	m.s.stop()
	m.ended = invalidation.New(m.era, m.floor)
	m.ended.Apply(m.orders)
	m.s = start(m.t, 1<<20, m.ended, next)
}

// drop is another data set: everything ends.
func (m *model) drop(*rapid.T) {
	m.era++
	m.ended.Drop(m.era)
	m.orders, m.floor, m.revision = nil, 0, 1
	clear(m.now)
}

// TestModel holds both kinds of store against a map, under everything that can happen.
func TestModel(t *testing.T) {
	for name, withDisk := range map[string]bool{"memory": false, "memory and disk": true} {
		t.Run(name, func(t *testing.T) {
			hits := 0
			rapid.Check(t, func(t *rapid.T) {
				m := &model{t: t, era: era, revision: 1, now: map[string]stored{}, hits: &hits, ended: invalidation.New(era, 0)}
				if withDisk {
					dir, err := os.MkdirTemp("", "store")
					if err != nil {
						t.Fatal(err)
					}
					defer func() { _ = os.RemoveAll(dir) }()
					m.dir = dir
					m.s = start(t, 1<<20, m.ended, filepath.Join(dir, "first"))
				} else {
					m.s = start(t, 1<<20, m.ended, "")
				}
				defer func() { m.s.stop() }()
				t.Repeat(map[string]func(*rapid.T){
					"put": m.put, "put again": m.put, "offer": m.offer, "replace": m.replace, "delete": m.remove,
					"get": m.get, "get again": m.get, "invalidate": m.invalidate, "evict": m.evict, "sweep": m.sweep,
					"restart": m.restart, "drop": m.drop,
				})
			})
			if hits == 0 {
				t.Error("nothing was found at any time")
			}
		})
	}
}
