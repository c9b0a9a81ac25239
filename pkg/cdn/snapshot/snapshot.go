// SPDX-License-Identifier: Apache-2.0

// Package snapshot is the whole configuration as an edge serves it: compiled,
// immutable, one value for each revision. Applying a change makes a new value that
// shares everything untouched with the old one, so a change costs the same with ten
// or a hundred thousand distributions, and a request that has loaded a snapshot
// never sees a mixture. The package does no I/O and starts no goroutine that
// outlives a call.
package snapshot

import (
	"iter"
	"slices"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/forward"
	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
)

// Snapshot is one version of the configuration. It is immutable and safe for
// concurrent use.
type Snapshot struct {
	// Revision is the etcd revision up to which every change is in it.
	Revision int64
	// Epoch names the data set that Revision belongs to (C8.29); empty until known.
	Epoch string

	hosts         table[string] // host or "*.suffix" → distribution id
	distributions table[*Distribution]
	policies      table[*CachePolicy]
	requests      table[*forward.Policy]
	origins       table[*Origin]
	certificates  table[*Certificate]

	// By key: the revision that each record was last seen at, but for distributions, whose
	// compiled form carries it, and what was rejected.
	seen     table[int64]
	rejected table[Rejection]

	open Opener // nil: records with secrets are rejected
}

// Rejection is a record whose newest version cannot be served. The previous one
// stays in service.
type Rejection struct {
	// Resource is the name, for example distributions/E1.
	Resource string
	// Revision is the etcd revision of the rejected version.
	Revision int64
	// Reason is one of the Reason constants, Message the cause for people.
	Reason, Message string
}

// Empty is the snapshot before anything was read: it knows the managed policies
// and nothing else.
func Empty() *Snapshot {
	policies := table[*CachePolicy]{}.change()
	for _, p := range managed.CachePolicies() {
		if len(rules.Unsupported(p)) > 0 {
			continue // no distribution can refer to it yet
		}
		compiled, err := CompileCachePolicy(p.GetUid(), p)
		if err != nil {
			panic("managed policy " + p.GetUid() + ": " + err.Error()) // covered by a test of this package
		}
		policies.set(p.GetUid(), compiled)
	}
	requests := table[*forward.Policy]{}.change()
	for _, p := range managed.OriginRequestPolicies() {
		if len(rules.Unsupported(p)) > 0 {
			continue // likewise
		}
		compiled, err := CompileOriginRequestPolicy(p)
		if err != nil {
			panic("managed policy " + p.GetUid() + ": " + err.Error()) // likewise
		}
		requests.set(p.GetUid(), compiled)
	}
	return &Snapshot{policies: policies.done(), requests: requests.done()}
}

// Match returns the distribution that answers for a host: an exact name first, then
// the longest wildcard suffix (D2.2, D2.3, D2.5). The host is folded: lower case,
// without a port. A disabled distribution is returned like any other: it keeps its
// names (C1.75).
func (s *Snapshot) Match(host string) (*Distribution, bool) {
	if id, ok := s.hosts.get(host); ok {
		return s.distributions.get(id)
	}
	for suffix := range hostname.Parents(host) {
		if id, ok := s.wildcard(suffix); ok {
			return s.distributions.get(id)
		}
	}
	return nil, false
}

// wildcard looks "*." + suffix up without building the string on the heap for
// names of ordinary length.
func (s *Snapshot) wildcard(suffix string) (string, bool) {
	var buf [256]byte
	if len(suffix) > len(buf)-2 {
		return "", false
	}
	name := append(append(buf[:0], '*', '.'), suffix...)
	return lookup(s.hosts, name)
}

// Behavior returns the behavior for a path that pathpattern.Normalize has made
// ready: the first whose pattern matches, the default one last (D5.1).
func (d *Distribution) Behavior(normalized string) *Behavior {
	i := d.patterns.Match(normalized)
	if i < 0 { // a path without a leading slash; the default behavior takes it
		i = len(d.behaviors) - 1
	}
	return &d.behaviors[i]
}

// Hosts returns the names that the distribution answers for.
func (d *Distribution) Hosts() []string { return slices.Clone(d.hosts) }

// RootObject returns the path that replaces / in a distribution, empty for none (D12).
func (s *Snapshot) RootObject(distribution string) string {
	if d, ok := s.distributions.get(distribution); ok {
		return d.RootObject
	}
	return ""
}

// CachePolicy returns the policy of a behavior, or false when its record is missing
// or was never usable.
func (s *Snapshot) CachePolicy(b *Behavior) (*CachePolicy, bool) {
	return s.policies.get(b.policy)
}

// OriginRequestPolicy returns the origin request policy of a behavior, nil when it names
// none, or false when its record is missing or was never usable.
func (s *Snapshot) OriginRequestPolicy(b *Behavior) (*forward.Policy, bool) {
	if b.request == "" {
		return nil, true
	}
	return s.requests.get(b.request)
}

// Origin returns the server of a target, with what the distribution sets in place
// of the registered values, or false when the registered record is missing or was
// never usable.
func (s *Snapshot) Origin(t *Target) (*Origin, bool) {
	if t.inline != nil {
		return t.inline, true
	}
	o, ok := s.origins.get(t.ref)
	if !ok || t.over == (override{}) && len(t.headers) == 0 {
		return o, ok
	}
	changed := *o
	changed.apply(t.over)
	changed.Headers = merge(o.Headers, t.headers)
	return &changed, true
}

// Counts says how many resources are in service, by collection.
func (s *Snapshot) Counts() map[keys.Collection]int {
	return map[keys.Collection]int{
		keys.Distributions: s.distributions.size,
		keys.CachePolicies: s.policies.size,
		keys.Origins:       s.origins.size,

		keys.OriginRequestPolicies: s.requests.size,
		keys.Certificates:          s.certificates.size,
	}
}

// Rejections returns what cannot be served, by resource name.
func (s *Snapshot) Rejections() []Rejection {
	out := make([]Rejection, 0, s.rejected.size)
	for _, r := range s.rejected.all() {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Rejection) int { return strings.Compare(a.Resource, b.Resource) })
	return out
}

// Distributions yields every distribution in service, in no particular order.
func (s *Snapshot) Distributions() iter.Seq[*Distribution] {
	return func(yield func(*Distribution) bool) {
		for _, d := range s.distributions.all() {
			if !yield(d) {
				return
			}
		}
	}
}

// Keys yields every etcd key that the snapshot holds something of.
func (s *Snapshot) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for k := range s.seen.all() {
			if !yield(k) {
				return
			}
		}
		for id := range s.distributions.all() {
			if !yield(keys.Resource(keys.Distributions, id)) {
				return
			}
		}
		for k := range s.rejected.all() {
			kind, id := keys.Parse(k)
			if _, served := s.distributions.get(id); kind != keys.KindDistribution || served {
				continue // is among the others
			}
			if !yield(k) {
				return
			}
		}
	}
}

// lastSeen is the revision of the newest version of a record that s knows, be it in
// service or rejected.
func (s *Snapshot) lastSeen(kind keys.Kind, key, id string) (int64, bool) {
	if kind != keys.KindDistribution {
		return s.seen.get(key)
	}
	if r, ok := s.rejected.get(key); ok {
		return r.Revision, true
	}
	if d, ok := s.distributions.get(id); ok {
		return d.Revision, true
	}
	return 0, false
}
