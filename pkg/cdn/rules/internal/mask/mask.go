// SPDX-License-Identifier: Apache-2.0

// Package mask applies field masks to messages of any type (AIP-134). It knows no
// resource: which fields a caller may write is decided by who uses it.
package mask

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Path is the fields from a message down to the one that a mask names.
type Path []protoreflect.FieldDescriptor

// Resolve returns the fields that a path of a mask, such as config.enabled, goes
// through. The path may end with a repeated field or a map, but not lead into one.
// The text of the error continues a sentence that ends with the path.
func Resolve(m protoreflect.MessageDescriptor, path string) (Path, error) {
	var out Path
	for name := range strings.SplitSeq(path, ".") {
		if len(out) > 0 {
			last := out[len(out)-1]
			if last.Cardinality() == protoreflect.Repeated {
				return nil, fmt.Errorf("which leads into %s; repeated fields and maps are replaced whole", last.Name())
			}
			m = last.Message()
		}
		if m == nil || m.Fields().ByName(protoreflect.Name(name)) == nil {
			return nil, fmt.Errorf("and there is no field %.100q", name)
		}
		out = append(out, m.Fields().ByName(protoreflect.Name(name)))
	}
	return out, nil
}

// Copy makes the field of dst at the end of the path what it is in src, absent
// included. Messages on the way are created when src has them, so the order of a
// mask's paths makes no difference. Setting one member of a oneof clears the other.
// What is copied is shared with src, which must not be used any more.
func (p Path) Copy(dst, src protoreflect.Message) {
	last := len(p) - 1
	for _, fd := range p[:last] {
		if !src.Has(fd) && !dst.Has(fd) {
			return
		}
		src, dst = src.Get(fd).Message(), dst.Mutable(fd).Message()
	}
	if src.Has(p[last]) {
		dst.Set(p[last], src.Get(p[last]))
		return
	}
	dst.Clear(p[last])
}
