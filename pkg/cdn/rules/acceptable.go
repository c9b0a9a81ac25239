// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// Acceptable says whether UnknownEnums and Unsupported find nothing in a stored
// resource. It is for edges, which ask this of every record that changes: it looks
// only at what is set, and writes no paths.
func Acceptable(m proto.Message) bool { return accepts(m.ProtoReflect()) }

// field says what has to be looked at in one field of a message.
type field struct {
	refused bool // whatever its value
	values  []protoreflect.EnumNumber
	enum    protoreflect.EnumValueDescriptors // nil if it is no enum
	message bool
}

// plans are the fields by message and index, for every message within a stored
// resource. They follow from the descriptors and never change.
var plans = sync.OnceValue(func() map[protoreflect.FullName][]field {
	out, refused := map[protoreflect.FullName][]field{}, unbuilt()
	for _, m := range []proto.Message{&configv1.Distribution{}, &configv1.CachePolicy{}, &originv1.Origin{}} {
		plan(out, refused, m.ProtoReflect().Descriptor())
	}
	return out
})

func plan(out map[protoreflect.FullName][]field, refused map[protoreflect.FullName][]protoreflect.EnumNumber, m protoreflect.MessageDescriptor) {
	if _, done := out[m.FullName()]; done {
		return
	}
	fields := make([]field, m.Fields().Len())
	out[m.FullName()] = fields
	for i := range fields {
		fd := m.Fields().Get(i)
		values, found := refused[fd.FullName()]
		fields[i] = field{refused: found && len(values) == 0, values: values, message: fd.Message() != nil && !fd.IsMap()}
		if fd.Kind() == protoreflect.EnumKind {
			fields[i].enum = fd.Enum().Values()
		}
		if fields[i].message {
			plan(out, refused, fd.Message())
		}
	}
}

func accepts(m protoreflect.Message) bool {
	fields, known := plans()[m.Descriptor().FullName()]
	if !known {
		return len(UnknownEnums(m.Interface())) == 0 && len(Unsupported(m.Interface())) == 0
	}
	ok := true
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		f := &fields[fd.Index()]
		switch {
		case f.refused:
			ok = false
		case f.enum == nil && !f.message:
		case fd.IsList():
			l := v.List()
			for i := range l.Len() {
				ok = ok && f.accepts(l.Get(i))
			}
		default:
			ok = f.accepts(v)
		}
		return ok
	})
	return ok
}

func (f *field) accepts(v protoreflect.Value) bool {
	if f.message {
		return accepts(v.Message())
	}
	return f.enum.ByNumber(v.Enum()) != nil && !slices.Contains(f.values, v.Enum())
}
