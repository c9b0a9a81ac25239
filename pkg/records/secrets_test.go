// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

func clusterKeys(t *testing.T, ids ...string) *secret.Keyring {
	t.Helper()
	var lines []string
	for _, id := range ids {
		line, err := secret.NewKey(id)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	k, err := secret.Parse(strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func withHeaders(h ...*originv1.OriginHeader) *originv1.Origin {
	return &originv1.Origin{CustomHeaders: h}
}

const place = `custom_headers["x-key"].value`

// TestSealKeepsAndClears is the life of one secret (C9.42).
func TestSealKeepsAndClears(t *testing.T) {
	k := clusterKeys(t, "a")
	key := keys.Resource(keys.Origins, "o")
	seal := func(by *secret.Keyring, o *originv1.Origin, old records.Secrets) (records.Secrets, error) {
		rec := &storev1.Record{}
		err := records.Seal(by, rec, key, o, old)
		if text := o.String(); strings.Contains(text, "hush") || strings.Contains(text, "clear") {
			t.Errorf("C8.102: left in the resource: %s", text)
		}
		return rec.GetSecrets(), err
	}
	made, err := seal(k, withHeaders(&originv1.OriginHeader{Name: "X-Key", Value: "hush"}, &originv1.OriginHeader{Name: "X-Two", Value: "hush-2"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := proto.Marshal(made); err != nil || bytes.Contains(raw, []byte("hush")) {
		t.Errorf("C8.102: stored in clear, or %v", err)
	}
	if got := records.Kept(withHeaders(&originv1.OriginHeader{Name: "x-key"}, &originv1.OriginHeader{Name: "y"}), made); !maps.Equal(got, map[string]int{place: 4, `custom_headers["y"].value`: 0}) {
		t.Errorf("kept lengths: %v", got)
	}
	for _, tt := range []struct {
		name string
		by   *secret.Keyring
		in   *originv1.Origin
		want map[string]string
	}{
		{"kept, in another order and case", k, withHeaders(&originv1.OriginHeader{Name: "X-Two"}, &originv1.OriginHeader{Name: "x-KEY"}), map[string]string{place: "hush", `custom_headers["x-two"].value`: "hush-2"}},
		{"kept without a cluster key", nil, withHeaders(&originv1.OriginHeader{Name: "X-Key"}), map[string]string{place: "hush"}},
		{"replaced, the other kept", k, withHeaders(&originv1.OriginHeader{Name: "X-Key", Value: "hush-3"}, &originv1.OriginHeader{Name: "X-Two"}), map[string]string{place: "hush-3", `custom_headers["x-two"].value`: "hush-2"}},
		{"cleared", k, withHeaders(&originv1.OriginHeader{Name: "X-Key", Clear: true}), nil},
		{"cleared without a cluster key", nil, withHeaders(&originv1.OriginHeader{Name: "X-Key", Clear: true}), nil},
		{"gone", nil, withHeaders(), nil},
		{"another name", k, withHeaders(&originv1.OriginHeader{Name: "X-Three"}), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next, err := seal(tt.by, tt.in, made)
			if err != nil {
				t.Fatal(err)
			}
			got, err := records.Open(k, key, next)
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("C9.42: %q, %v; want %q", got, err, tt.want)
			}
		})
	}
	for name, by := range map[string]*secret.Keyring{"no key": nil, "another key": clusterKeys(t, "b"), "another key of that name": clusterKeys(t, "a")} {
		_, err := seal(by, withHeaders(&originv1.OriginHeader{Name: "X-Key"}, &originv1.OriginHeader{Name: "X-Two", Value: "hush"}), made)
		e, ok := errors.AsType[*apierr.Error](err)
		if !ok || e.Kind != apierr.Precondition || e.Reason != records.ReasonSecrets || strings.Contains(e.Error(), "hush") {
			t.Errorf("%s: %v; want a precondition", name, err)
		}
	}
}

// Nobody writes a secret in clear, or loses one, by forgetting Seal.
func TestPutRefusesWhatIsNotSealed(t *testing.T) {
	kv := etcdtest.Client(t)
	key := keys.Resource(keys.Origins, "o")
	for _, o := range []*originv1.Origin{withHeaders(&originv1.OriginHeader{Name: "X-Key", Value: "hush"}), withHeaders(&originv1.OriginHeader{Name: "X-Key"})} {
		err := records.Put(etcd.NewTx(kv), key, records.Next(t.Context(), records.Version{}), o)
		if e, ok := errors.AsType[*apierr.Error](err); !ok || e.Kind != apierr.Internal {
			t.Errorf("%v: %v", o, err)
		}
	}
}

func TestGetWithSecrets(t *testing.T) {
	kv, k := etcdtest.Client(t), clusterKeys(t, "a")
	key, rec := keys.Resource(keys.Origins, "o"), records.Next(t.Context(), records.Version{})
	o := withHeaders(&originv1.OriginHeader{Name: "X-Key", Value: "hush"})
	if err := records.Seal(k, rec, key, o, nil); err != nil {
		t.Fatal(err)
	}
	tx := etcd.NewTx(kv)
	tx.Absent("record", key)
	if err := records.Put(tx, key, rec, o); err != nil {
		t.Fatal(err)
	}
	made, err := records.Commit(t.Context(), kv, tx, key, rec)
	if err != nil {
		t.Fatal(err)
	}
	var got originv1.Origin
	v, sealed, found, err := records.GetWithSecrets(t.Context(), kv, key, &got)
	if err != nil || !found || v != made || !proto.Equal(&got, o) {
		t.Errorf("%+v %v %v %v", v, found, err, &got)
	}
	if opened, err := records.Open(k, key, sealed); err != nil || opened[place] != "hush" {
		t.Errorf("opened %q, %v", opened, err)
	}
	if opened, err := records.Open(k, keys.Resource(keys.Origins, "p"), sealed); !errors.Is(err, secret.ErrWrongKey) {
		t.Errorf("C8.102: under another key of etcd: %q, %v", opened, err)
	}
	if _, _, found, err := records.GetWithSecrets(t.Context(), kv, key+"x", &got); found || err != nil {
		t.Errorf("none: %v %v", found, err)
	}
}
