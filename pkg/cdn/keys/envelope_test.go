// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// full is a record with everything but secrets.
func full() *storev1.Record {
	return &storev1.Record{
		WriteId: 1 << 63, Generation: 3, Principal: "ops@example.com", Traceparent: "00-1-2-01", Tracestate: "a=b",
		Resource: []byte("resource"), Secrets: &storev1.Secrets{},
	}
}

func TestUnwrapUsualRecord(t *testing.T) {
	value, err := Encode(full())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := unwrap(value); !ok {
		t.Error("a record of the usual form is not read the quick way")
	}
	bare, err := Encode(&storev1.Record{WriteId: 1, Generation: 1, Principal: "p", Resource: []byte("resource")})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Unwrap(bare); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzUnwrap compares with Decode, its errors too.
func FuzzUnwrap(f *testing.F) {
	with := func(change func(*storev1.Record)) []byte {
		r := full()
		change(r)
		value, err := Encode(r)
		if err != nil {
			f.Fatal(err)
		}
		return value
	}
	usual := with(func(*storev1.Record) {})
	for _, seed := range [][]byte{
		nil, {formatPlain}, {formatZstd}, {9}, usual, usual[:len(usual)-3],
		with(func(r *storev1.Record) { r.Resource = bytes.Repeat([]byte("x"), 2*compressAbove) }),
		with(func(r *storev1.Record) { r.Secrets.Values = map[string][]byte{"a": []byte("sealed")} }),
		with(func(r *storev1.Record) {
			r.ProtoReflect().SetUnknown(protowire.AppendTag(nil, 99, protowire.StartGroupType))
		}),
		append(usual[:len(usual):len(usual)], 3<<3|2, 1, 0xff), // not UTF-8
		append(usual[:len(usual):len(usual)], 6<<3|2, 1, 'y'),  // twice: the last one counts
		append(usual[:len(usual):len(usual)], 3<<3, 1),         // of another type
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		var r storev1.Record
		want := Decode(value, &r)
		got, err := Unwrap(value)
		if (err == nil) != (want == nil) || err != nil && err.Error() != want.Error() {
			t.Fatalf("Unwrap(%x): %v, want %v", value, err, want)
		}
		if err != nil {
			return
		}
		if got.Traceparent != r.GetTraceparent() || got.Tracestate != r.GetTracestate() || !bytes.Equal(got.Resource, r.GetResource()) {
			t.Errorf("Unwrap(%x) = %+v, want %v", value, got, &r)
		}
		if (len(got.Secrets.GetValues()) > 0 || len(r.GetSecrets().GetValues()) > 0) && !proto.Equal(got.Secrets, r.GetSecrets()) {
			t.Errorf("secrets %v, want %v", got.Secrets, r.GetSecrets())
		}
	})
}
