// SPDX-License-Identifier: Apache-2.0

package fsck

import (
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// The prefixes of derived keys, and of what lies below a resource.
const (
	hosts       = keys.Root + "c/hosts/"
	labels      = keys.Root + "c/labels/"
	claims      = keys.Root + "c/names/"
	refs        = keys.Root + "c/refs/"
	references  = keys.Root + "c/idem/"
	once        = references + "invalidations/" // caller references of invalidations
	versions    = keys.Root + "c/versions/"
	purges      = keys.Root + "r/invalidations/"
	completions = keys.Root + "s/invalidations/"
	entries     = keys.Root + "r/keyValueEntries/"
)

// derivedPrefixes are all of them; invalidations before the keys that follow from them.
func derivedPrefixes() []string {
	return []string{hosts, labels, claims, refs, purges, references, completions, versions, entries}
}

// holder is who would ask for a key, by what the key and its value say.
type holder struct {
	collection keys.Collection // empty when nobody knows
	name, key  string          // of the resource
	target     keys.Collection // of a reference
}

func held(c keys.Collection, id string) holder {
	h := holder{collection: c, name: c.Name(id), key: keys.Resource(c, id)}
	if c != keys.Functions {
		return h
	}
	if live, ok := strings.CutSuffix(id, keys.LiveStage("")); ok {
		h.key = keys.Resource(c, live)
	} else {
		h.key = keys.Draft(id)
	}
	return h
}

func holderOf(key string, value []byte) holder {
	below := func(prefix string) (rest string, ok bool) { return strings.CutPrefix(key, prefix) }
	if c, id, err := keys.ParseRef(key); err == nil {
		h := held(c, id)
		target, _ := below(refs)
		target, _, _ = strings.Cut(target, "/")
		h.target = keys.Collection(target)
		return h
	}
	if rest, ok := below(claims); ok {
		c, _, _ := strings.Cut(rest, "/")
		var claim storev1.NameClaim
		if err := keys.Decode(value, &claim); err != nil || claim.GetId() == "" {
			return holder{collection: keys.Collection(c)}
		}
		return held(keys.Collection(c), claim.GetId())
	}
	if d, id, ok := keys.ParseCompletion(key); ok {
		return holder{name: keys.InvalidationName(d, id), key: keys.Invalidation(d, id)}
	}
	if s, _, ok := keys.ParseEntry(key); ok {
		return held(keys.KeyValueStores, s)
	}
	for _, prefix := range []string{once, versions, purges} {
		if rest, ok := below(prefix); ok {
			d, _, _ := strings.Cut(rest, "/")
			return held(keys.Distributions, d)
		}
	}
	var claim storev1.Claim
	if _, ok := below(references); !ok && keys.Decode(value, &claim) == nil && claim.GetDistribution() != "" {
		return held(keys.Distributions, claim.GetDistribution())
	}
	return holder{}
}

// orphan judges a key that no resource asks for: why it should not be there, empty when
// it may, and what has to stand there instead; nil is nothing.
func (w *world) orphan(key string, h holder, pair *mvccpb.KeyValue) (why string, put []byte) {
	exists := w.has(h.name)
	switch {
	case strings.HasPrefix(key, labels):
		var claim storev1.Claim
		if err := keys.Decode(pair.Value, &claim); err != nil {
			return err.Error(), nil
		}
		if claim.GetTombstone() { // of a distribution that was deleted
			return "", nil
		}
		return "is claimed by a distribution that does not exist", encoded(&storev1.Claim{Distribution: claim.GetDistribution(), Tombstone: true})
	case strings.HasPrefix(key, once):
		if exists {
			return "is of an invalidation that does not exist", nil // they expire together
		}
		return "is of a distribution that does not exist", nil
	case strings.HasPrefix(key, references): // caller references outlive what they made (C3.13)
		return "", nil
	case strings.HasPrefix(key, versions) && !exists:
		return "is a version of a distribution that does not exist", nil
	case strings.HasPrefix(key, purges) && !exists:
		return "is an invalidation of a distribution that does not exist", nil
	case strings.HasPrefix(key, completions) && !exists:
		return "is the completion of an invalidation that does not exist", nil
	case strings.HasPrefix(key, entries) && !exists:
		return "is an entry of a key-value store that does not exist", nil
	case strings.HasPrefix(key, versions), strings.HasPrefix(key, completions), strings.HasPrefix(key, purges), strings.HasPrefix(key, entries):
		return "", nil
	}
	return "is claimed, and nothing claims it", nil
}
