// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

func TestRead(t *testing.T) {
	record := func(m *configv1.Invalidation, more ...byte) []byte {
		wire, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		v, err := keys.Encode(&storev1.Record{WriteId: 1, Traceparent: "t", Resource: append(wire, more...)})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tt := range []struct {
		rule  string
		value []byte
		want  Order
	}{
		{"C8.28: paths and tags", record(&configv1.Invalidation{Paths: []string{"/a", "/b*"}, Tags: []string{"t"}}), Order{Paths: []string{"/a", "/b*"}, Tags: []string{"t"}}},
		{"a field of a later release", record(&configv1.Invalidation{Paths: []string{"/a"}}, protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1)...), Order{Whole: true}},
		{"D25.1: no path", record(&configv1.Invalidation{Paths: []string{"/a", "b"}}), Order{Whole: true}},
		{"nothing", record(&configv1.Invalidation{}), Order{Whole: true}},
		{"no record", []byte("?"), Order{Whole: true}},
		{"no invalidation", record(nil, 0xff), Order{Whole: true}},
	} {
		tt.want.Distribution, tt.want.ID, tt.want.Revision = "D", "I", 7
		got, _, err := Read("D", "I", 7, tt.value)
		if d := cmp.Diff(tt.want, got); d != "" || (err != nil) != tt.want.Whole {
			t.Errorf("%s: %v %s", tt.rule, err, d)
		}
	}
	o := Order{Paths: []string{"/x", "/"}}
	o.AddRoot("/index.html")
	if d := cmp.Diff([]string{"/x", "/", "/index.html"}, o.Paths); d != "" {
		t.Errorf("D12.8: %s", d)
	}
	o = Order{Paths: []string{"/x"}}
	if o.AddRoot("/index.html"); len(o.Paths) != 1 {
		t.Errorf("D12.8: %q", o.Paths)
	}
}
