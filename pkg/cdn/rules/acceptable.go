// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// Acceptable says whether UnknownEnums and Unsupported find nothing in a stored
// resource, from its binary form. It is for edges, which ask this of every record
// that changes, and reads the bytes once without reflection. True is always right;
// false means that those functions have to be asked: they look at what the bytes come
// to, this one at everything that stands in them.
func Acceptable(kind protoreflect.MessageDescriptor, wire []byte) bool {
	p, known := plans()[kind.FullName()]
	return known && p.accepts(wire)
}

// plan says what has to be looked at in a message, by field number.
type plan map[protowire.Number]*field

// field is a field with something to look at.
type field struct {
	refused bool            // whatever its value
	enum    map[uint64]bool // by number: may it be; nil if it is no enum
	message plan            // nil if it is none with anything to look at
	packed  bool            // may stand as a packed list
	header  bool            // names a header that edges may have to compute
}

// plans are made for every message within a stored resource. They follow from the
// descriptors and never change.
var plans = sync.OnceValue(func() map[protoreflect.FullName]plan {
	out, refused := map[protoreflect.FullName]plan{}, unbuilt()
	for _, m := range []proto.Message{&configv1.Distribution{}, &configv1.CachePolicy{}, &originv1.Origin{}} {
		makePlan(out, refused, m.ProtoReflect().Descriptor())
	}
	return out
})

func makePlan(out map[protoreflect.FullName]plan, refused map[protoreflect.FullName][]protoreflect.EnumNumber, m protoreflect.MessageDescriptor) plan {
	if p, done := out[m.FullName()]; done {
		return p
	}
	p := plan{}
	out[m.FullName()] = p
	for i := range m.Fields().Len() {
		fd := m.Fields().Get(i)
		values, found := refused[fd.FullName()]
		f := &field{refused: found && len(values) == 0}
		if fd.Kind() == protoreflect.EnumKind {
			f.enum, f.packed = allowed(fd.Enum().Values(), values), fd.IsList()
		}
		if fd.Message() != nil && !fd.IsMap() {
			f.message = makePlan(out, refused, fd.Message())
		}
		f.header = fd.FullName() == "seafront.config.v1.HeaderSelection.names"
		if f.refused || f.enum != nil || f.header || len(f.message) > 0 {
			p[fd.Number()] = f
		}
	}
	return p
}

// allowed are the numbers of an enum that have a name and an effect.
func allowed(named protoreflect.EnumValueDescriptors, refused []protoreflect.EnumNumber) map[uint64]bool {
	out := map[uint64]bool{}
	for i := range named.Len() {
		n := named.Get(i).Number()
		out[uint64(n)] = !slices.Contains(refused, n)
	}
	return out
}

func (p plan) accepts(b []byte) bool {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(number, kind, b)
		if size < 0 {
			return false
		}
		if f, ok := p[number]; ok && !f.accepts(kind, b[:size]) {
			return false
		}
		b = b[size:]
	}
	return true
}

// accepts looks at the value of one field.
func (f *field) accepts(kind protowire.Type, b []byte) bool {
	switch {
	case f.refused:
		return false
	case f.header && kind == protowire.BytesType:
		name, _ := protowire.ConsumeString(b)
		return !isUncomputed(name)
	case f.enum != nil && kind == protowire.VarintType:
		v, _ := protowire.ConsumeVarint(b)
		return f.enum[v]
	case f.enum != nil && f.packed && kind == protowire.BytesType:
		return f.acceptsPacked(b)
	case f.message != nil && kind == protowire.BytesType:
		inner, _ := protowire.ConsumeBytes(b)
		return f.message.accepts(inner)
	default:
		return false // another form than the field's own
	}
}

func (f *field) acceptsPacked(b []byte) bool {
	list, _ := protowire.ConsumeBytes(b)
	for len(list) > 0 {
		v, n := protowire.ConsumeVarint(list)
		if n < 0 || !f.enum[v] {
			return false
		}
		list = list[n:]
	}
	return true
}
