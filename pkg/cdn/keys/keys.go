// SPDX-License-Identifier: Apache-2.0

// Package keys is the etcd key schema: where each kind of state lies, and the
// form of what lies there. Every service that reads or writes etcd takes its keys
// and record bytes from here. The package does no I/O.
package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
)

// Root is the prefix of every key, with the schema version in it (C8.104).
const Root = "/seafront/v1/"

// The audiences of keys below Root (C8.2, design 3.1).
const (
	edges     = Root + "e/" // identities of edges
	resources = Root + "r/" // desired state, watched by edges
	control   = Root + "c/" // uniqueness, references, quotas: config and registry only
	status    = Root + "s/" // progress, under leases: read by config alone
)

// An edge watches [EdgeFrom, EdgeTo): the roots e/, h/ and r/ and nothing else, in
// one watch (design 3.1). Status writes lie beyond and wake no edge.
const (
	EdgeFrom = edges
	EdgeTo   = status
)

// ConfigTo ends what config watches, [EdgeFrom, ConfigTo): what edges see, and
// their status.
const ConfigTo = Root + "t/"

// Settings that every service knows.
const (
	// Epoch names the data set; it changes only when a backup is restored (C8.29).
	Epoch = resources + "settings/epoch"
	// Beat is touched by config every few seconds, so that an edge can tell a quiet
	// system from a dead watch (design 3.1).
	Beat = resources + "settings/beat"
)

// Collection is a kind of resource: the first part of its name and of its key.
type Collection string

// The collections of this release.
const (
	Distributions                Collection = "distributions"
	CachePolicies                Collection = "cachePolicies"
	OriginRequestPolicies        Collection = "originRequestPolicies"
	ResponseHeadersPolicies      Collection = "responseHeadersPolicies"
	PublicKeys                   Collection = "publicKeys"
	KeyGroups                    Collection = "keyGroups"
	Functions                    Collection = "functions"
	KeyValueStores               Collection = "keyValueStores"
	ContinuousDeploymentPolicies Collection = "continuousDeploymentPolicies"
	RealtimeLogConfigs           Collection = "realtimeLogConfigs"
	Certificates                 Collection = "certificates"
	Origins                      Collection = "origins"
	OriginAccessControls         Collection = "originAccessControls"
	Edges                        Collection = "edges"
	settings                     Collection = "settings"
	invalidations                Collection = "invalidations"
)

// Name is the resource name of an id, for example distributions/E1.
func (c Collection) Name(id string) string { return string(c) + "/" + id }

// Prefix is the prefix of all keys of a collection below r/.
func (c Collection) Prefix() string { return resources + string(c) + "/" }

// Resource is the key of a resource that edges may see (C8.22, C8.23, C8.27).
func Resource(c Collection, id string) string { return c.Prefix() + escape(id) }

// Invalidation is the key of an invalidation (C8.28).
func Invalidation(distribution, id string) string { return InvalidationsOf(distribution) + escape(id) }

// InvalidationsOf is the prefix of all invalidations of a distribution.
func InvalidationsOf(distribution string) string {
	return invalidations.Prefix() + escape(distribution) + "/"
}

// InvalidationName is the resource name of an invalidation (C6.11).
func InvalidationName(distribution, id string) string {
	return Distributions.Name(distribution) + "/" + invalidations.Name(id)
}

// InvalidationReference is the claim of a caller reference within a distribution, under
// the lease of the invalidation that it made (C8.34).
func InvalidationReference(distribution, reference string) string {
	sum := sha256.Sum256([]byte(reference))
	return InvalidationReferencesOf(distribution) + hex.EncodeToString(sum[:])
}

// InvalidationReferencesOf is the prefix of all claims of caller references within a
// distribution.
func InvalidationReferencesOf(distribution string) string {
	return control + "idem/" + string(invalidations) + "/" + escape(distribution) + "/"
}

// Completion is the key that says that an invalidation is completed. It lies where
// config watches and no edge does (design 3.5).
func Completion(distribution, id string) string { return CompletionsOf(distribution) + escape(id) }

// CompletionsOf is the prefix of the completions of all invalidations of a distribution.
func CompletionsOf(distribution string) string {
	return completions + escape(distribution) + "/"
}

// UniqueName is the claim of a name that is unique in its collection; its value is
// the id of the holder (C8.32).
func UniqueName(c Collection, name string) string {
	return control + "names/" + string(c) + "/" + escape(name)
}

// RequestID is the memory of a request that was made with an idempotency key; the
// arguments are hashed together (C8.35).
func RequestID(principal, method, id string) string {
	h := sha256.New()
	for _, part := range []string{principal, method, id} {
		_, _ = fmt.Fprintf(h, "%d:%s,", len(part), part)
	}
	return control + "reqid/" + hex.EncodeToString(h.Sum(nil))
}

// Version is the key of a numbered former state of a distribution (design §5). The
// number is padded, so that keys are in its order.
func Version(distribution string, number int64) string {
	return fmt.Sprintf("%s%019d", VersionsOf(distribution), number)
}

// VersionsOf is the prefix of all versions of a distribution.
func VersionsOf(distribution string) string {
	return control + "versions/" + escape(distribution) + "/"
}

// Entry is the key of an entry of a key-value store. It lies where edges can see it:
// they will run the code that reads it.
func Entry(store, key string) string { return EntriesOf(store) + escape(key) }

// EntriesOf is the prefix of all entries of a key-value store.
func EntriesOf(store string) string { return resources + "keyValueEntries/" + escape(store) + "/" }

// ParseEntry returns the ids in a key made by Entry.
func ParseEntry(key string) (store, entry string, ok bool) {
	return parsePair(key, resources+"keyValueEntries/")
}

// Draft is the key of the DEVELOPMENT stage of a function (C8.36).
func Draft(function string) string { return control + "functions/" + escape(function) }

// SecretPrefixes are those of all keys whose records may hold secrets: resources,
// former versions and drafts. Settings lie among them, which are no records.
func SecretPrefixes() []string {
	return []string{resources, control + "versions/", control + "functions/"}
}

// IsSetting says whether a key is a setting, which has a form of its own.
func IsSetting(key string) bool { return strings.HasPrefix(key, settings.Prefix()) }

// LiveStage is the id by which the LIVE stage of a function is told from DEVELOPMENT,
// which has the function's own, where both refer to something (C6.11).
func LiveStage(function string) string { return function + "/stages/live" }

// Edge is the key of an edge's identity (design 3.1).
func Edge(id string) string { return edges + "edges/" + escape(id) }

// EdgePrefix is the prefix of all edge identities.
const EdgePrefix = edges + "edges/"

// EdgeIntent is the key of what operators want of an edge: apart from its identity,
// which the edge itself writes, so that neither write loses the other (C8.37).
func EdgeIntent(id string) string { return edgeIntents + escape(id) }

const edgeIntents = edges + "intents/"

// EdgeIntentEnd ends the range that begins with EdgePrefix and holds identities and
// intents.
const EdgeIntentEnd = edges + "intents0"

// EdgeStatus is the key of what an edge says of itself (C8.39).
func EdgeStatus(id string) string { return status + "edges/" + escape(id) }

// EdgeStatusPrefix is the prefix of all edge status records.
const EdgeStatusPrefix = status + "edges/"

// completions is the prefix of all keys made by Completion.
const completions = status + string(invalidations) + "/"

// Host is the claim of a host name or wildcard, with its labels reversed so that a
// wildcard and what it covers are neighbours (C8.30, C8.45).
func Host(alias string) string { return Hosts + escape(hostname.Reverse(alias)) }

// Hosts is the prefix of all claims of host names.
const Hosts = control + "hosts/"

// HostsBelow is the prefix of the claims of a wildcard and of all that it covers.
func HostsBelow(wildcard string) string { return strings.TrimSuffix(Host(wildcard), "*") }

// ParseHost returns the alias that a key made by Host claims.
func ParseHost(key string) (alias string, err error) {
	rest, ok := strings.CutPrefix(key, Hosts)
	if !ok {
		return "", fmt.Errorf("key %q is not the claim of a host name", key)
	}
	reversed, err := unescape(rest)
	return hostname.Unreverse(reversed), err
}

// Label is the claim of a generated host label; it is never deleted (C8.31).
func Label(label string) string { return control + "labels/" + escape(label) }

// CallerReference is the claim of a caller reference; it is never deleted (C8.34,
// C3.13). The reference itself is hashed: it may hold any printable character.
func CallerReference(c Collection, reference string) string {
	sum := sha256.Sum256([]byte(reference))
	return control + "idem/" + string(c) + "/-/" + hex.EncodeToString(sum[:])
}

// Ref is the key by which referrer holds target (C8.33).
func Ref(target Collection, targetID string, referrer Collection, referrerID string) string {
	return RefsTo(target, targetID) + string(referrer) + "/" + escape(referrerID)
}

// RefsTo is the prefix of all keys by which anything holds target.
func RefsTo(target Collection, targetID string) string {
	return control + "refs/" + string(target) + "/" + escape(targetID) + "/"
}

// ParseRef returns who holds the target of a key made by Ref.
func ParseRef(key string) (referrer Collection, id string, err error) {
	rest, ok := strings.CutPrefix(key, control+"refs/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 4 {
		return "", "", fmt.Errorf("key %q is not a reference", key)
	}
	id, err = unescape(parts[3])
	return Collection(parts[2]), id, err
}

// Kind says what a key of the edge's or config's range holds.
type Kind uint8

// The kinds. Keys of later releases are KindOther: an older edge ignores them.
const (
	KindOther Kind = iota
	KindDistribution
	KindCachePolicy
	KindOrigin
	KindEpoch
	KindBeat
	KindEdge
	KindEdgeStatus
	KindInvalidation
	KindEdgeIntent
	KindOriginRequestPolicy
	KindCertificate
)

// Parse tells what a key holds and the id of the resource; of an invalidation there
// are two ids, see ParseInvalidation. A key that is not of this schema is KindOther, so
// no two keys hold the same resource.
func Parse(key string) (Kind, string) {
	switch key {
	case Epoch:
		return KindEpoch, ""
	case Beat:
		return KindBeat, ""
	}
	at := strings.LastIndexByte(key, '/') + 1
	if kind := kindBelow(key[:at]); kind != KindOther {
		id, err := unescape(key[at:])
		if err != nil || id == "" || escape(id) != key[at:] {
			return KindOther, ""
		}
		return kind, id
	}
	if _, id, ok := ParseInvalidation(key); ok {
		return KindInvalidation, id
	}
	return KindOther, ""
}

// kindBelow is what the keys with a prefix and one more segment hold.
func kindBelow(prefix string) Kind {
	switch prefix {
	case resources + string(Distributions) + "/":
		return KindDistribution
	case resources + string(CachePolicies) + "/":
		return KindCachePolicy
	case resources + string(OriginRequestPolicies) + "/":
		return KindOriginRequestPolicy
	case resources + string(Certificates) + "/":
		return KindCertificate
	case resources + string(Origins) + "/":
		return KindOrigin
	case EdgePrefix:
		return KindEdge
	case edgeIntents:
		return KindEdgeIntent
	case EdgeStatusPrefix:
		return KindEdgeStatus
	}
	return KindOther
}

// ParseInvalidation returns the ids in a key made by Invalidation.
func ParseInvalidation(key string) (distribution, id string, ok bool) {
	return parsePair(key, invalidations.Prefix())
}

// ParseCompletion returns the ids in a key made by Completion.
func ParseCompletion(key string) (distribution, id string, ok bool) {
	return parsePair(key, completions)
}

func parsePair(key, prefix string) (parent, id string, ok bool) {
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return "", "", false
	}
	of, rest, _ := strings.Cut(rest, "/")
	parent, err := unescape(of)
	id, err2 := unescape(rest)
	if err != nil || err2 != nil || parent == "" || id == "" || strings.Contains(rest, "/") {
		return "", "", false
	}
	return parent, id, true
}

// ID is the id in the last segment of a key; empty when it is not a segment of this
// schema.
func ID(key string) string {
	id, err := unescape(key[strings.LastIndexByte(key, '/')+1:])
	if err != nil {
		return ""
	}
	return id
}

// escape makes one key segment of s: everything outside [A-Za-z0-9._~*-] becomes
// %XX, so a name can never contain a slash (C8.44).
func escape(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		plain = plain && unreserved(s[i])
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if unreserved(s[i]) {
			b.WriteByte(s[i])
			continue
		}
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+3 > len(s) {
			return "", fmt.Errorf("key segment %q ends within an escape", s)
		}
		c, err := hex.DecodeString(s[i+1 : i+3])
		if err != nil {
			return "", fmt.Errorf("key segment %q: %w", s, err)
		}
		b.WriteByte(c[0])
		i += 2
	}
	return b.String(), nil
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '.' || c == '_' || c == '~' || c == '*' || c == '-'
}
