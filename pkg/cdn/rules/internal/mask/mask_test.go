// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"
)

func file() protoreflect.MessageDescriptor {
	return (&descriptorpb.FileDescriptorProto{}).ProtoReflect().Descriptor()
}

func TestResolve(t *testing.T) {
	for _, tt := range []struct{ name, path, want, err string }{
		{"C6.16: a field", "name", "name", ""},
		{"C6.16: a field within a field", "options.java_package", "options java_package", ""},
		{"C6.16: a repeated field", "dependency", "dependency", ""},
		{"C6.16: into a repeated field", "message_type.name", "", "leads into message_type"},
		{"C6.16: unknown", "options.nothing", "", `no field "nothing"`},
		{"C6.16: below a scalar", "name.x", "", `no field "x"`},
		{"C6.16: in JSON's spelling", "messageType", "", `no field "messageType"`},
		{"C6.16: empty", "", "", `no field ""`},
		{"C6.16: dot last", "options.", "", `no field ""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(file(), tt.path)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			var names []string
			for _, fd := range got {
				names = append(names, string(fd.Name()))
			}
			if strings.Join(names, " ") != tt.want || err != nil {
				t.Errorf("fields %q, %v, want %q", names, err, tt.want)
			}
		})
	}
}

func TestCopy(t *testing.T) {
	type message = descriptorpb.FileDescriptorProto
	text := func(s string) *string { return &s }
	for _, tt := range []struct {
		name           string
		dst, src, want *message
		path           string
	}{
		{"C6.16: set", &message{}, &message{Name: text("b")}, &message{Name: text("b")}, "name"},
		{"C6.16: clear", &message{Name: text("a"), Package: text("p")}, &message{}, &message{Package: text("p")}, "name"},
		{"C6.16: replace a list", &message{Dependency: []string{"a", "b"}}, &message{Dependency: []string{"c"}}, &message{Dependency: []string{"c"}}, "dependency"},
		{"C6.16: create what lies between", &message{}, &message{Options: &descriptorpb.FileOptions{GoPackage: text("g")}}, &message{Options: &descriptorpb.FileOptions{GoPackage: text("g")}}, "options.go_package"},
		{"C6.16: between, present and empty", &message{}, &message{Options: &descriptorpb.FileOptions{}}, &message{Options: &descriptorpb.FileOptions{}}, "options.go_package"},
		{"C6.16: between, absent in both", &message{}, &message{}, &message{}, "options.go_package"},
		{"C6.16: between, absent in the source", &message{Options: &descriptorpb.FileOptions{GoPackage: text("g"), JavaPackage: text("j")}}, &message{}, &message{Options: &descriptorpb.FileOptions{JavaPackage: text("j")}}, "options.go_package"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, err := Resolve(file(), tt.path)
			if err != nil {
				t.Fatal(err)
			}
			path.Copy(tt.dst.ProtoReflect(), tt.src.ProtoReflect())
			if diff := cmp.Diff(tt.want, tt.dst, protocmp.Transform()); diff != "" {
				t.Errorf("result (-want +got)\n%s", diff)
			}
		})
	}
}
