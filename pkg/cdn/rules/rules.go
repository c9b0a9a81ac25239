// SPDX-License-Identifier: Apache-2.0

// Package rules holds what a resource's fields may say: which are built, which
// values they default to, which values they may have alone and together, and how a
// change is merged into what is stored. It is pure: the services apply it to
// requests, the edge to stored records. It promises that a distribution or origin
// without violations compiles, that every violation is found at once and in the
// order of the fields, and that no message makes it panic. It reads no store:
// whether a name is free or a reference exists is checked in the transaction.
package rules

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Violation is one thing that is wrong with one field.
type Violation struct {
	// Field is the path of the field as a client writes it, from the message that
	// was checked, for example config.cache_behaviors[2].path_pattern.
	Field string
	// Reason is for programs: upper snake case.
	Reason string
	// Description says what is wrong and what would be right. It never repeats a
	// value that may be secret.
	Description string
}

// Unsupported returns one violation for each field that is set in m, at any depth,
// and has no effect in this release. What is not built is refused, never ignored.
func Unsupported(m proto.Message) []Violation {
	var f findings
	refused := unbuilt()
	walk(m.ProtoReflect(), "", func(path string, fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		f.uncomputed(path, fd, v)
		values, found := refused[fd.FullName()]
		if !found || len(values) > 0 && !contains(values, fd, v) {
			return true
		}
		f.add(path, ReasonUnsupported, "%s", describe(fd, v, values))
		return false
	})
	return f.found
}

func contains(values []protoreflect.EnumNumber, fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	if fd.Kind() != protoreflect.EnumKind {
		return false
	}
	for _, n := range values {
		if v.Enum() == n {
			return true
		}
	}
	return false
}

func describe(fd protoreflect.FieldDescriptor, v protoreflect.Value, values []protoreflect.EnumNumber) string {
	if len(values) == 0 {
		return "is not offered in this release; leave it unset"
	}
	name := fd.Enum().Values().ByNumber(v.Enum()).Name()
	return fmt.Sprintf("has the value %s, which is not offered in this release", name)
}

// UnknownEnums returns one violation for each enum field in m, at any depth, that
// holds a number without a name: written by a newer release, and not to be guessed
// at (C6.60).
func UnknownEnums(m proto.Message) []Violation {
	var f findings
	walk(m.ProtoReflect(), "", func(path string, fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Kind() == protoreflect.EnumKind && fd.Enum().Values().ByNumber(v.Enum()) == nil {
			f.add(path, ReasonUnknownEnum, "%s", unknownNumber(fd.Enum(), v.Enum()))
		}
		return true
	})
	return f.found
}

// walk visits every set field of m in the order of field numbers, each element of a
// list by itself. visit says whether to go on below the field. An empty list or
// message counts as unset where proto3 says so.
func walk(m protoreflect.Message, prefix string, visit func(string, protoreflect.FieldDescriptor, protoreflect.Value) bool) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if !m.Has(fd) {
			continue
		}
		path, v := prefix+string(fd.Name()), m.Get(fd)
		switch {
		case fd.IsMap():
			visit(path, fd, v)
		case fd.IsList():
			walkList(v.List(), path, fd, visit)
		default:
			if visit(path, fd, v) && fd.Message() != nil {
				walk(v.Message(), path+".", visit)
			}
		}
	}
}

func walkList(l protoreflect.List, path string, fd protoreflect.FieldDescriptor, visit func(string, protoreflect.FieldDescriptor, protoreflect.Value) bool) {
	for i := range l.Len() {
		at, v := fmt.Sprintf("%s[%d]", path, i), l.Get(i)
		if visit(at, fd, v) && fd.Message() != nil {
			walk(v.Message(), at+".", visit)
		}
	}
}
