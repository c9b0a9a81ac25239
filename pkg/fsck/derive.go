// SPDX-License-Identifier: Apache-2.0

package fsck

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// collection is how the keys that follow from one kind of resource are worked out.
type collection struct {
	of      keys.Collection
	prefix  string
	name    func(id string) string // of the resource
	message func() proto.Message
	derive  func(id string, m proto.Message, rec *storev1.Record) []derived
}

// derived is a key that follows from a resource.
type derived struct {
	key   string // empty for none
	value []byte
	wrong func(value []byte) string
	// target is the name of the resource that has to exist, empty for none.
	target string
}

// collections are all kinds of resources.
func collections() []collection {
	return []collection{
		of(keys.Distributions, distribution),
		of(keys.CachePolicies, named[*configv1.CachePolicy](keys.CachePolicies)),
		of(keys.OriginRequestPolicies, named[*configv1.OriginRequestPolicy](keys.OriginRequestPolicies)),
		of(keys.ResponseHeadersPolicies, named[*configv1.ResponseHeadersPolicy](keys.ResponseHeadersPolicies)),
		of(keys.PublicKeys, func(id string, k *configv1.PublicKey, _ *storev1.Record) []derived {
			return append(names(keys.PublicKeys, id, k.GetDisplayName()), reference(keys.PublicKeys, id, k.GetCallerReference()))
		}),
		of(keys.KeyGroups, func(id string, g *configv1.KeyGroup, _ *storev1.Record) []derived {
			out := names(keys.KeyGroups, id, g.GetDisplayName())
			for _, name := range g.GetPublicKeys() {
				out = append(out, ref(keys.KeyGroups, id, keys.PublicKeys, name))
			}
			return out
		}),
		draft(),
		live(),
		of(keys.KeyValueStores, func(string, *configv1.KeyValueStore, *storev1.Record) []derived { return nil }),
		of(keys.RealtimeLogConfigs, func(string, *configv1.RealtimeLogConfig, *storev1.Record) []derived { return nil }),
		of(keys.ContinuousDeploymentPolicies, func(id string, p *configv1.ContinuousDeploymentPolicy, _ *storev1.Record) []derived {
			return append(names(keys.ContinuousDeploymentPolicies, id, p.GetStagingDistribution()),
				ref(keys.ContinuousDeploymentPolicies, id, keys.Distributions, p.GetStagingDistribution()))
		}),
		of(keys.Certificates, func(string, *configv1.Certificate, *storev1.Record) []derived { return nil }),
		of(keys.Origins, func(string, *originv1.Origin, *storev1.Record) []derived { return nil }),
		of(keys.OriginAccessControls, named[*originv1.OriginAccessControl](keys.OriginAccessControls)),
	}
}

// of makes the entry of a collection below r/.
func of[M proto.Message](c keys.Collection, derive func(id string, m M, rec *storev1.Record) []derived) collection {
	var none M
	return collection{
		of: c, prefix: c.Prefix(), name: c.Name,
		message: func() proto.Message { return none.ProtoReflect().Type().New().Interface() },
		derive:  func(id string, m proto.Message, rec *storev1.Record) []derived { return derive(id, m.(M), rec) }, //nolint:errcheck // message makes it
	}
}

// draft is the entry of the DEVELOPMENT stages of functions.
func draft() collection {
	out := of(keys.Functions, func(id string, f *configv1.Function, _ *storev1.Record) []derived { return stores(id, f) })
	out.prefix = keys.Draft("")
	return out
}

// live is the entry of the LIVE stages of functions, each beside its DEVELOPMENT.
func live() collection {
	out := of(keys.Functions, func(id string, f *configv1.Function, _ *storev1.Record) []derived {
		return append(stores(keys.LiveStage(id), f), derived{target: keys.Functions.Name(id)})
	})
	out.name = func(id string) string { return keys.Functions.Name(keys.LiveStage(id)) }
	return out
}

// stores are the references of a stage of a function.
func stores(id string, f *configv1.Function) []derived {
	var out []derived
	for _, name := range f.GetKeyValueStores() {
		out = append(out, ref(keys.Functions, id, keys.KeyValueStores, name))
	}
	return out
}

// named is the rule of resources that have a unique name and nothing else.
func named[M interface {
	proto.Message
	GetDisplayName() string
}](c keys.Collection) func(string, M, *storev1.Record) []derived {
	return func(id string, m M, _ *storev1.Record) []derived { return names(c, id, m.GetDisplayName()) }
}

func names(c keys.Collection, id, name string) []derived {
	return []derived{{
		key:   keys.UniqueName(c, name),
		value: encoded(&storev1.NameClaim{Id: id}),
		wrong: func(value []byte) string {
			var claim storev1.NameClaim
			if err := keys.Decode(value, &claim); err != nil {
				return err.Error()
			}
			return differs(claim.GetId(), id)
		},
	}}
}

// reference is the claim of a caller reference. Its hash of what was asked cannot be
// worked out again, so a lost one is not mended.
func reference(c keys.Collection, id, ref string) derived {
	return derived{key: keys.CallerReference(c, ref), wrong: func(value []byte) string {
		var claim storev1.RequestMemory
		if err := keys.Decode(value, &claim); err != nil {
			return err.Error()
		}
		return differs(claim.GetName(), c.Name(id))
	}}
}

// ref is the key by which one resource holds another, of which name is the name.
func ref(referrer keys.Collection, id string, target keys.Collection, name string) derived {
	targetID := strings.TrimPrefix(name, string(target)+"/")
	return derived{key: keys.Ref(target, targetID, referrer, id), value: []byte{}, target: name}
}

func distribution(id string, d *configv1.Distribution, rec *storev1.Record) []derived {
	label, _, _ := strings.Cut(d.GetDomainName(), ".")
	out := []derived{
		claim(keys.Label(label), id, false), claim(keys.CallerReference(keys.Distributions, d.GetCallerReference()), id, false),
	}
	if rec.GetGeneration() > 0 { // the newest version is a copy of the record
		out = append(out, derived{key: keys.Version(id, rec.GetGeneration()), value: encoded(rec)})
	}
	for _, a := range d.GetConfig().GetAliases() {
		out = append(out, claim(keys.Host(a), id, false))
	}
	for _, held := range rules.DistributionRefs(d).Held() {
		out = append(out, ref(keys.Distributions, id, held.Collection, held.Name()))
	}
	return out
}

// claim is a key that names a distribution as its holder.
func claim(key, id string, tombstone bool) derived {
	return derived{
		key: key, value: encoded(&storev1.Claim{Distribution: id, Tombstone: tombstone}),
		wrong: func(value []byte) string {
			var claim storev1.Claim
			if err := keys.Decode(value, &claim); err != nil {
				return err.Error()
			}
			if claim.GetTombstone() != tombstone {
				return fmt.Sprintf("tombstone is %v", claim.GetTombstone())
			}
			return differs(claim.GetDistribution(), id)
		},
	}
}

func differs(got, want string) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("names %q, want %q", got, want)
}

// encoded is the value of a message; nil, which is not written, if it has none.
func encoded(m proto.Message) []byte {
	b, err := keys.Encode(m)
	if err != nil {
		return nil
	}
	return b
}
