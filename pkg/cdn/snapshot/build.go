// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"slices"

	"github.com/seafront-cdn/seafront/pkg/cdn/forward"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
)

// builder is a snapshot in the making.
type builder struct {
	next          Snapshot
	hosts         editor[string]
	distributions editor[*Distribution]
	policies      editor[*CachePolicy]
	requests      editor[*forward.Policy]
	origins       editor[*Origin]
	certificates  editor[*Certificate]
	seen          editor[int64]
	rejected      editor[Rejection]
}

func (s *Snapshot) begin(revision int64) builder {
	return builder{
		next:          Snapshot{Revision: revision, Epoch: s.Epoch, open: s.open},
		hosts:         s.hosts.change(),
		distributions: s.distributions.change(),
		policies:      s.policies.change(),
		requests:      s.requests.change(),
		origins:       s.origins.change(),
		certificates:  s.certificates.change(),
		seen:          s.seen.change(),
		rejected:      s.rejected.change(),
	}
}

// release frees the names that a distribution has had and will not keep. Names that
// it keeps stay untouched: most changes are not about names, and a touched name costs
// a copy of its shard.
func (b *builder) release(w *item) {
	if w.kind != keys.KindDistribution || w.err != nil {
		return
	}
	old, ok := b.distributions.get(w.id)
	if !ok {
		return
	}
	var kept []string
	if next, ok := w.compiled.(*Distribution); ok {
		kept = next.hosts
	}
	for _, h := range old.hosts {
		if slices.Contains(kept, h) {
			continue
		}
		if owner, _ := b.hosts.get(h); owner == w.id {
			b.hosts.del(h)
		}
	}
}

// put takes one change in and says what became of it; false when it concerns no
// resource.
func (b *builder) put(w *item) (Applied, bool) {
	applied := Applied{
		Key: w.Key, Resource: w.resource(), ModRevision: w.ModRevision, Deleted: w.Deleted,
		Traceparent: w.record.Traceparent, Tracestate: w.record.Tracestate,
	}
	b.rejected.del(w.Key)
	switch {
	case w.err != nil:
		r := Rejection{Resource: applied.Resource, Revision: w.ModRevision, Reason: w.err.Reason, Message: w.err.Message}
		b.rejected.set(w.Key, r)
		applied.Rejected = &r
	case w.Deleted:
		b.remove(w)
	default:
		b.add(w)
	}
	switch {
	case w.kind == keys.KindDistribution: // knows its revision itself
	case w.Deleted:
		b.seen.del(w.Key)
	default:
		b.seen.set(w.Key, w.ModRevision)
	}
	return applied, w.kind != keys.KindEpoch
}

func (b *builder) add(w *item) {
	switch v := w.compiled.(type) {
	case *Distribution:
		b.distributions.set(w.id, v)
		for _, h := range v.hosts {
			if owner, ok := b.hosts.get(h); !ok || owner != w.id {
				b.hosts.set(h, w.id)
			}
		}
	case *CachePolicy:
		b.policies.set(w.id, v)
	case *forward.Policy:
		b.requests.set(w.id, v)
	case *Origin:
		b.origins.set(w.id, v)
	case *Certificate:
		b.certificates.set(w.id, v)
	case string:
		b.next.Epoch = v
	}
}

func (b *builder) remove(w *item) {
	switch w.kind {
	case keys.KindDistribution:
		b.distributions.del(w.id)
	case keys.KindCachePolicy:
		b.policies.del(w.id)
	case keys.KindOriginRequestPolicy:
		b.requests.del(w.id)
	case keys.KindOrigin:
		b.origins.del(w.id)
	case keys.KindCertificate:
		b.certificates.del(w.id)
	case keys.KindEpoch:
		b.next.Epoch = ""
	}
}

func (b *builder) done() *Snapshot {
	s := b.next
	s.hosts = b.hosts.done()
	s.distributions = b.distributions.done()
	s.policies = b.policies.done()
	s.requests = b.requests.done()
	s.origins = b.origins.done()
	s.certificates = b.certificates.done()
	s.seen = b.seen.done()
	s.rejected = b.rejected.done()
	return &s
}
