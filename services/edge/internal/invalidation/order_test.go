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
}

func TestAddRoot(t *testing.T) {
	for _, tt := range []struct{ rule, path, also string }{
		{"D12.8: / names the object", "/", "/index.html"},
		{"D25.4: a question mark alone is no query", "/?", "/index.html?"},
		{"D25.4: / with a query", "/?x=1", "/index.html?x=1"},
		{"D25.2: / with any query", "/?*", "/index.html?*"},
		{"D25.7: a wildcard that / is not below", "/i*", ""},
		{"D25.11: another path", "/x?x=1", ""},
	} {
		want := []string{"/a", tt.path, "/b"}
		if tt.also != "" {
			want = append(want, tt.also)
		}
		o := Order{Paths: []string{"/a", tt.path, "/b"}}
		o.AddRoot("/index.html")
		if d := cmp.Diff(want, o.Paths); d != "" {
			t.Errorf("%s: %s", tt.rule, d)
		}
		none := Order{Paths: []string{tt.path}}
		if none.AddRoot(""); len(none.Paths) != 1 {
			t.Errorf("%s: without a root object: %q", tt.rule, none.Paths)
		}
	}
}
