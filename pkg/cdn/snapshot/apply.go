// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// Change is one key of etcd at its newest version.
type Change struct {
	Key         string
	Value       []byte // unused when Deleted
	ModRevision int64
	Deleted     bool
}

// Applied is what became of one change, for traces and logs.
type Applied struct {
	Key         string // of etcd
	Resource    string
	ModRevision int64
	// Traceparent and Tracestate are of the request that wrote the record.
	Traceparent, Tracestate string
	Deleted                 bool
	// Rejected says why the version is not in service; nil when it is.
	Rejected *Rejection
}

// Report tells what Apply did.
type Report struct {
	Applied []Applied
	// Compiled is how many distributions were compiled.
	Compiled int
}

// Apply returns the snapshot after changes, which are complete up to revision. For
// one key the last change counts. Records at a revision that is already in s are
// not compiled again. A record that cannot be used leaves its previous version in
// service and holds up nothing else (C8.76).
func (s *Snapshot) Apply(revision int64, changes []Change) (*Snapshot, Report) {
	work := s.pending(changes)
	compileAll(work, s.open)
	b := s.begin(revision)
	for i := range work { // free names first, so that they can move in one step
		b.release(&work[i])
	}
	report := Report{Applied: make([]Applied, 0, len(work))}
	for i := range work {
		w := &work[i]
		if w.compiled != nil && w.kind == keys.KindDistribution {
			report.Compiled++
		}
		if applied, ok := b.put(w); ok {
			report.Applied = append(report.Applied, applied)
		}
	}
	return b.done(), report
}

// Replace returns the snapshot that holds exactly records: what is in s and not
// among them is gone.
func (s *Snapshot) Replace(revision int64, records []Change) (*Snapshot, Report) {
	kept := make(map[string]struct{}, len(records))
	for _, r := range records {
		kept[r.Key] = struct{}{}
	}
	changes := records
	for key := range s.Keys() {
		if _, ok := kept[key]; !ok {
			changes = append(changes[:len(changes):len(changes)], Change{Key: key, Deleted: true, ModRevision: revision})
		}
	}
	return s.Apply(revision, changes)
}

// item is one change on its way into a snapshot.
type item struct {
	Change
	kind   keys.Kind
	id     string
	record keys.Envelope
	// compiled is *Distribution, *CachePolicy, *forward.Policy, *Origin, *Certificate
	// or, for the epoch, string.
	compiled any
	err      *Error
}

// pending keeps the last change of each key that is news to s.
func (s *Snapshot) pending(changes []Change) []item {
	// Which change of each key is the last. The usual change is one, and a map that is
	// nil reads as its place, 0.
	var last map[string]int
	if len(changes) > 1 {
		last = make(map[string]int, len(changes))
		for i, c := range changes {
			last[c.Key] = i
		}
	}
	work := make([]item, 0, len(changes))
	for i, c := range changes {
		if last[c.Key] != i {
			continue
		}
		kind, id := keys.Parse(c.Key)
		if !compiles(kind) {
			continue
		}
		if seen, held := s.lastSeen(kind, c.Key, id); c.Deleted && !held || !c.Deleted && held && seen == c.ModRevision {
			continue
		}
		work = append(work, item{Change: c, kind: kind, id: id})
	}
	return work
}

// compiles says whether records of a kind are in a snapshot.
func compiles(kind keys.Kind) bool {
	switch kind {
	case keys.KindDistribution, keys.KindCachePolicy, keys.KindOriginRequestPolicy, keys.KindCertificate, keys.KindOrigin, keys.KindEpoch:
		return true
	}
	return false
}

// compileAll compiles every item, on all processors when there are many.
func compileAll(work []item, open Opener) {
	const few = 16
	workers := runtime.GOMAXPROCS(0)
	if len(work) <= few || workers == 1 {
		for i := range work {
			work[i].compile(open)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(work)); i = next.Add(1) - 1 {
				work[i].compile(open)
			}
		})
	}
	wg.Wait()
}

func (w *item) compile(open Opener) {
	if w.Deleted {
		return
	}
	compiled, err := w.build(open)
	if err == nil {
		w.compiled = compiled
		return
	}
	if !errors.As(err, &w.err) {
		w.err = &Error{ReasonUnreadable, err.Error()}
	}
}

func (w *item) build(open Opener) (any, error) {
	if w.kind == keys.KindEpoch {
		return string(w.Value), nil
	}
	var err error
	if w.record, err = keys.Unwrap(w.Value); err != nil {
		return nil, err
	}
	resource := w.record.Resource
	w.record.Resource = nil // not kept beside the compiled form (design 3.3)
	switch w.kind {
	case keys.KindDistribution:
		d, err := readDistribution(resource)
		if err != nil {
			return nil, err
		}
		if err := w.fill(d, open); err != nil {
			return nil, err
		}
		return compileDistribution(w.id, w.ModRevision, d)
	case keys.KindCachePolicy:
		var p configv1.CachePolicy
		if err := decode(resource, &p); err != nil {
			return nil, err
		}
		return compileCachePolicy(w.id, &p)
	case keys.KindOriginRequestPolicy:
		var p configv1.OriginRequestPolicy
		if err := proto.Unmarshal(resource, &p); err != nil {
			return nil, err
		}
		return CompileOriginRequestPolicy(&p)
	case keys.KindCertificate:
		var c configv1.Certificate
		if err := proto.Unmarshal(resource, &c); err != nil {
			return nil, err
		}
		if err := w.fill(&c, open); err != nil {
			return nil, err
		}
		return compileCertificate(w.id, &c)
	default:
		var o originv1.Origin
		if err := decode(resource, &o); err != nil {
			return nil, err
		}
		if err := w.fill(&o, open); err != nil {
			return nil, err
		}
		return compileOrigin(w.id, &o)
	}
}

func (w *item) resource() string {
	switch w.kind {
	case keys.KindDistribution:
		return keys.Distributions.Name(w.id)
	case keys.KindCachePolicy:
		return keys.CachePolicies.Name(w.id)
	case keys.KindOriginRequestPolicy:
		return keys.OriginRequestPolicies.Name(w.id)
	case keys.KindOrigin:
		return keys.Origins.Name(w.id)
	case keys.KindCertificate:
		return keys.Certificates.Name(w.id)
	}
	return "settings/epoch"
}
