// SPDX-License-Identifier: Apache-2.0

// Package secretfield finds the secrets in messages: fields that the protos mark with
// debug_redact. Their values are encrypted in the store beside the resource, never in
// it, so a resource that is read has none unless somebody opens them.
//
// A secret has a place, which names it within its resource and survives every
// reordering of lists: elements are named by their id, else by their name in lower
// case, as in config.origins["web"].custom_headers["x-key"].value. The package is
// pure and knows no resource.
package secretfield

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Is says whether a field holds a secret.
func Is(fd protoreflect.FieldDescriptor) bool {
	options, ok := fd.Options().(*descriptorpb.FieldOptions)
	return ok && options.GetDebugRedact()
}

// Values returns what stands in the secret fields of m, by place, empty values
// included: a place exists when the message around the field does.
func Values(m proto.Message) map[string]string {
	out := map[string]string{}
	visit(m.ProtoReflect(), "", func(place string, in protoreflect.Message, fd protoreflect.FieldDescriptor) {
		out[place] = text(in.Get(fd), fd)
	})
	return out
}

// Strip removes the secrets from m, in place, and beside each of them what a caller
// said about removing it, a bool named clear. What is left may be shown and stored.
func Strip(m proto.Message) {
	visit(m.ProtoReflect(), "", func(_ string, in protoreflect.Message, fd protoreflect.FieldDescriptor) {
		in.Clear(fd)
		if c := clearOf(in); c != nil {
			in.Clear(c)
		}
	})
}

// Cleared says, by place, for which secrets of m the bool beside them says clear.
func Cleared(m proto.Message) map[string]bool {
	out := map[string]bool{}
	visit(m.ProtoReflect(), "", func(place string, in protoreflect.Message, _ protoreflect.FieldDescriptor) {
		if c := clearOf(in); c != nil && in.Get(c).Bool() {
			out[place] = true
		}
	})
	return out
}

// Fill puts values back into m, in place. The error names a value that has no place.
func Fill(m proto.Message, values map[string]string) error {
	filled := 0
	visit(m.ProtoReflect(), "", func(place string, in protoreflect.Message, fd protoreflect.FieldDescriptor) {
		value, ok := values[place]
		if !ok {
			return
		}
		filled++
		if fd.Kind() == protoreflect.BytesKind {
			in.Set(fd, protoreflect.ValueOfBytes([]byte(value)))
			return
		}
		in.Set(fd, protoreflect.ValueOfString(value))
	})
	if filled == len(values) {
		return nil
	}
	places := Values(m)
	for place := range values {
		if _, ok := places[place]; !ok {
			return fmt.Errorf("a secret for %.200s, which is not in the resource", place)
		}
	}
	return nil
}

// Element is the place of an element of a list, from that of the list and the id or
// the name in lower case.
func Element(list, identity string) string { return fmt.Sprintf("%s[%q]", list, identity) }

// visit calls yield for each secret field below m, set or not, in no order.
func visit(m protoreflect.Message, prefix string, yield func(string, protoreflect.Message, protoreflect.FieldDescriptor)) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		at := prefix + string(fd.Name())
		switch {
		case Is(fd):
			yield(at, m, fd)
		case fd.Message() == nil || fd.IsMap() || !m.Has(fd):
		case fd.IsList():
			list := m.Get(fd).List()
			for j := range list.Len() {
				element := list.Get(j).Message()
				visit(element, Element(at, identity(element))+".", yield)
			}
		default:
			visit(m.Get(fd).Message(), at+".", yield)
		}
	}
}

// identity names an element of a list.
func identity(m protoreflect.Message) string {
	if fd := m.Descriptor().Fields().ByName("id"); fd != nil {
		return text(m.Get(fd), fd)
	}
	if fd := m.Descriptor().Fields().ByName("name"); fd != nil {
		return strings.ToLower(text(m.Get(fd), fd))
	}
	return ""
}

func text(v protoreflect.Value, fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return v.String()
	case protoreflect.BytesKind:
		return string(v.Bytes())
	}
	return ""
}

func clearOf(m protoreflect.Message) protoreflect.FieldDescriptor {
	if fd := m.Descriptor().Fields().ByName("clear"); fd != nil && fd.Kind() == protoreflect.BoolKind {
		return fd
	}
	return nil
}
