// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// visible are the collections that edges compile, each with a record of this release.
func visible(t testing.TB) map[keys.Collection]proto.Message {
	return map[keys.Collection]proto.Message{
		keys.Distributions: distribution("n", "origin.test", optimized, "www.neighbour.test"),
		keys.CachePolicies: &configv1.CachePolicy{},

		keys.OriginRequestPolicies: &configv1.OriginRequestPolicy{},
		keys.Certificates:          newCertificate(t, "n.neighbour.test"),
		keys.Origins:               &originv1.Origin{Endpoint: endpoint("origin.test")},
	}
}

func TestVisibleCollectionsAreCovered(t *testing.T) {
	for _, c := range []keys.Collection{
		keys.Distributions, keys.CachePolicies, keys.OriginRequestPolicies, keys.ResponseHeadersPolicies, keys.PublicKeys, keys.KeyGroups,
		keys.Functions, keys.KeyValueStores, keys.ContinuousDeploymentPolicies, keys.RealtimeLogConfigs, keys.Certificates, keys.Origins,
		keys.OriginAccessControls,
	} {
		kind, _ := keys.Parse(keys.Resource(c, "x"))
		if _, covered := visible(t)[c]; kind != keys.KindOther && !covered {
			t.Errorf("C6.60: edges read %s, and this file does not know them", c)
		}
	}
}

// TestNeighbouringRelease gives an edge, for each enum of each record that it reads, at
// any depth, a record of a later release in which that enum has a value unknown here. It
// is rejected by its name, its last version serves on, and so does all else.
func TestNeighbouringRelease(t *testing.T) {
	for c, m := range visible(t) {
		paths := enums(m.ProtoReflect().Descriptor(), nil)
		if len(paths) == 0 {
			t.Errorf("%s have no enum", c)
		}
		for _, path := range paths {
			t.Run(string(c)+" "+words(path), func(t *testing.T) {
				s, _ := Empty().Apply(2, []Change{
					record(t, c, "n", 1, m),
					record(t, keys.Distributions, "other", 2, distribution("other", "origin.test", optimized, "www.other.test")),
				})
				if r := s.Rejections(); len(r) != 0 {
					t.Fatalf("the record of this release: %v", r)
				}
				later := proto.Clone(m)
				unknown(later.ProtoReflect(), path)
				next, done := s.Apply(4, []Change{
					record(t, c, "n", 3, later),
					record(t, keys.Distributions, "other", 4, distribution("other", "origin.test", optimized, "www.moved.test")),
				})
				r := next.Rejections()
				if len(r) != 1 || r[0].Resource != c.Name("n") || r[0].Revision != 3 || len(done.Applied) != 2 {
					t.Fatalf("C6.60: rejections %v, applied %v", r, done.Applied)
				}
				if !strings.Contains(r[0].Message, string(path[len(path)-1].Name())) && r[0].Reason == ReasonUnknownEnum {
					t.Errorf("the message does not name the field: %s", r[0].Message)
				}
				if next.Counts()[c] != s.Counts()[c] {
					t.Error("C8.76: the last good version is gone")
				}
				if _, ok := next.Match("www.moved.test"); !ok {
					t.Error("C8.76: another record was held up")
				}
				// A later version that this release understands is in service again.
				healed, _ := next.Apply(5, []Change{record(t, c, "n", 5, m)})
				if r := healed.Rejections(); len(r) != 0 || healed.Revision != 5 {
					t.Errorf("after it was mended: %v", r)
				}
			})
		}
	}
}

// enums are the ways to every enum below a message. One message within itself is not
// entered again.
func enums(d protoreflect.MessageDescriptor, above []protoreflect.FieldDescriptor) (out [][]protoreflect.FieldDescriptor) {
	for _, f := range above {
		if f.ContainingMessage() == d {
			return nil
		}
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		path := append(append([]protoreflect.FieldDescriptor(nil), above...), f)
		switch {
		case f.IsMap():
		case f.Enum() != nil:
			out = append(out, path)
		case f.Message() != nil && strings.HasPrefix(string(f.Message().FullName()), "seafront."):
			out = append(out, enums(f.Message(), path)...)
		}
	}
	return out
}

func words(path []protoreflect.FieldDescriptor) string {
	var out []string
	for _, f := range path {
		out = append(out, string(f.Name()))
	}
	return strings.Join(out, ".")
}

// unknown gives the enum at the end of path a number that no release has.
func unknown(m protoreflect.Message, path []protoreflect.FieldDescriptor) {
	const future = 99_999
	for _, f := range path[:len(path)-1] {
		if !f.IsList() {
			m = m.Mutable(f).Message()
			continue
		}
		list := m.Mutable(f).List()
		if list.Len() == 0 {
			list.Append(list.NewElement())
		}
		m = list.Get(list.Len() - 1).Message()
	}
	f := path[len(path)-1]
	if f.IsList() {
		m.Mutable(f).List().Append(protoreflect.ValueOfEnum(future))
		return
	}
	m.Set(f, protoreflect.ValueOfEnum(future))
}
