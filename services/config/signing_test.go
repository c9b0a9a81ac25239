// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/fsck"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

// signers are the services of keys and key groups.
type signers struct {
	configv1.PublicKeyServiceClient
	configv1.KeyGroupServiceClient
}

func (r replica) signers() signers {
	return signers{configv1.NewPublicKeyServiceClient(r.conn), configv1.NewKeyGroupServiceClient(r.conn)}
}

func newPEM(t *testing.T) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func (s signers) key(ctx context.Context, reference, name, text string) (*configv1.PublicKey, error) {
	res, err := s.CreatePublicKey(ctx, &configv1.CreatePublicKeyRequest{PublicKey: &configv1.PublicKey{
		CallerReference: reference, DisplayName: name, Pem: text,
	}})
	return res.GetPublicKey(), err
}

func (s signers) group(ctx context.Context, name string, members ...string) (*configv1.KeyGroup, error) {
	res, err := s.CreateKeyGroup(ctx, &configv1.CreateKeyGroupRequest{KeyGroup: &configv1.KeyGroup{DisplayName: name, PublicKeys: members}})
	return res.GetKeyGroup(), err
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(body(err))
		}
		return v
	}
}

// sound demands that every derived key is as the resources say (C8.66).
func sound(t *testing.T, kv clientv3.KV) {
	t.Helper()
	report, err := fsck.Check(t.Context(), kv, 0)
	if err != nil || len(report.Problems) > 0 {
		t.Fatalf("C8.66: %+v, %v", report.Problems, err)
	}
}

func TestPublicKeys(t *testing.T) {
	kv := etcdtest.Client(t)
	s := serve(t, kv).signers()
	text := newPEM(t)
	k := must[*configv1.PublicKey](t)(s.key(t.Context(), "one", "signer", text))
	if id, ok := strings.CutPrefix(k.GetName(), "publicKeys/"); !ok || len(id) != 14 || id[0] != 'K' {
		t.Errorf("C3.41: name %q", k.GetName())
	}
	if k.GetAlgorithm() != configv1.PublicKey_ALGORITHM_ECDSA_P256 || len(k.GetFingerprintSha256()) != 64 || k.GetEtag() == "" {
		t.Errorf("C6.50: %v", k)
	}
	if again := must[*configv1.PublicKey](t)(s.key(t.Context(), "one", "signer", text)); again.GetName() != k.GetName() || again.GetEtag() != k.GetEtag() {
		t.Errorf("C2.365: the same again made %v", again)
	}
	_, err := s.key(t.Context(), "one", "signer", newPEM(t))
	wantError(t, "C2.365: same reference, other key", err, codes.AlreadyExists, "PUBLIC_KEY_ALREADY_EXISTS")
	_, err = s.key(t.Context(), "two", "signer", text)
	wantError(t, "C2.215: name taken", err, codes.AlreadyExists, "PUBLIC_KEY_ALREADY_EXISTS")

	update := func(k *configv1.PublicKey, paths ...string) (*configv1.PublicKey, error) {
		req := &configv1.UpdatePublicKeyRequest{PublicKey: k}
		if len(paths) > 0 {
			req.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
		}
		res, err := s.UpdatePublicKey(t.Context(), req)
		return res.GetPublicKey(), err
	}
	for name, change := range map[string]*configv1.PublicKey{
		"C2.365: other PEM":       {Name: k.GetName(), Pem: newPEM(t)},
		"C2.146: other name":      {Name: k.GetName(), DisplayName: "x"},
		"C2.146: other reference": {Name: k.GetName(), CallerReference: "x"},
	} {
		_, err := update(change)
		wantError(t, name, err, codes.InvalidArgument, "CANNOT_CHANGE_IMMUTABLE_PUBLIC_KEY_FIELDS")
	}
	changed := must[*configv1.PublicKey](t)(update(&configv1.PublicKey{Name: k.GetName(), Etag: k.GetEtag(), Comment: "hello", Pem: text}))
	if changed.GetComment() != "hello" || changed.GetEtag() == k.GetEtag() || changed.GetFingerprintSha256() != k.GetFingerprintSha256() {
		t.Errorf("C2.146: %v", changed)
	}
	_, err = update(&configv1.PublicKey{Name: k.GetName(), Etag: k.GetEtag(), Comment: "stale"})
	wantError(t, "C2.182: stale etag", err, codes.Aborted, "PRECONDITION_FAILED")
	_, err = update(&configv1.PublicKey{Name: "publicKeys/KNONE", Etag: "nonsense"})
	wantError(t, "C3.6: gone before the etag is looked at", err, codes.NotFound, "NO_SUCH_PUBLIC_KEY")

	g := must[*configv1.KeyGroup](t)(s.group(t.Context(), "video", k.GetName()))
	_, err = s.DeletePublicKey(t.Context(), &configv1.DeletePublicKeyRequest{Name: k.GetName()})
	wantError(t, "C1.59: in a group", err, codes.FailedPrecondition, "PUBLIC_KEY_IN_USE")
	if !strings.Contains(body(err), "referrers: "+g.GetName()) {
		t.Errorf("C8.51: %s", body(err))
	}
	sound(t, kv)
	if _, err := s.DeleteKeyGroup(t.Context(), &configv1.DeleteKeyGroupRequest{Name: g.GetName(), Etag: g.GetEtag()}); err != nil {
		t.Fatal(body(err))
	}
	for range 2 {
		if _, err := s.DeletePublicKey(t.Context(), &configv1.DeletePublicKeyRequest{Name: k.GetName(), AllowMissing: true}); err != nil {
			t.Fatal(body(err))
		}
	}
	_, err = s.key(t.Context(), "one", "signer", text)
	wantError(t, "C8.58: the reference of a deleted key", err, codes.AlreadyExists, "PUBLIC_KEY_ALREADY_EXISTS")
	if _, err := s.key(t.Context(), "three", "signer", text); err != nil {
		t.Errorf("C8.51: the name of a deleted key: %s", body(err))
	}
	sound(t, kv)
}

// TestKeyRotation is C3.66: create, add, remove from the group, delete.
func TestKeyRotation(t *testing.T) {
	kv := etcdtest.Client(t)
	s := serve(t, kv).signers()
	k1 := must[*configv1.PublicKey](t)(s.key(t.Context(), "1", "k1", newPEM(t)))
	k2 := must[*configv1.PublicKey](t)(s.key(t.Context(), "2", "k2", newPEM(t)))
	g := must[*configv1.KeyGroup](t)(s.group(t.Context(), "g", k1.GetName()))
	set := func(members ...string) {
		t.Helper()
		res, err := s.UpdateKeyGroup(t.Context(), &configv1.UpdateKeyGroupRequest{
			KeyGroup: &configv1.KeyGroup{Name: g.GetName(), Etag: g.GetEtag(), PublicKeys: members}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"public_keys"}},
		})
		g = must[*configv1.UpdateKeyGroupResponse](t)(res, err).GetKeyGroup()
		sound(t, kv)
	}
	set(k1.GetName(), k2.GetName())
	set(k2.GetName())
	if _, err := s.DeletePublicKey(t.Context(), &configv1.DeletePublicKeyRequest{Name: k1.GetName()}); err != nil {
		t.Errorf("C3.66: a key that left its group: %s", body(err))
	}
	_, err := s.group(t.Context(), "h", k2.GetName(), k1.GetName())
	wantError(t, "C2.147: a key that is not there", err, codes.FailedPrecondition, "NO_SUCH_PUBLIC_KEY")
	if !strings.Contains(body(err), "field key_group.public_keys[1]") {
		t.Errorf("C2.147: %s", body(err))
	}
	_, err = s.group(t.Context(), "g", k2.GetName())
	wantError(t, "C2.216: name taken", err, codes.AlreadyExists, "KEY_GROUP_ALREADY_EXISTS")
	_, err = s.GetKeyGroup(t.Context(), &configv1.GetKeyGroupRequest{Name: "keyGroups/" + uuid.NewString()})
	wantError(t, "C9.6: no such group", err, codes.NotFound, "NO_SUCH_RESOURCE")
	// A behavior that trusts the group, as it will refer to it.
	if _, err := kv.Put(t.Context(), keys.Ref(keys.KeyGroups, strings.TrimPrefix(g.GetName(), "keyGroups/"), keys.Distributions, "E1"), ""); err != nil {
		t.Fatal(err)
	}
	_, err = s.DeleteKeyGroup(t.Context(), &configv1.DeleteKeyGroupRequest{Name: g.GetName()})
	wantError(t, "C1.60: a group in use", err, codes.FailedPrecondition, "RESOURCE_IN_USE")
}

func TestKeyQuotas(t *testing.T) {
	c := config.Config{Etcd: etcdtest.Client(t), Limits: config.Limits{PublicKeys: 2, KeyGroups: 1, PublicKeysPerGroup: 1}}
	s := start(t, c).signers()
	k1 := must[*configv1.PublicKey](t)(s.key(t.Context(), "1", "k1", newPEM(t)))
	k2 := must[*configv1.PublicKey](t)(s.key(t.Context(), "2", "k2", newPEM(t)))
	_, err := s.key(t.Context(), "3", "k3", newPEM(t))
	wantError(t, "C4.39: public keys", err, codes.ResourceExhausted, "TOO_MANY_PUBLIC_KEYS")
	_, err = s.group(t.Context(), "g", k1.GetName(), k2.GetName())
	wantError(t, "C4.40: keys of a group", err, codes.InvalidArgument, "TOO_MANY_PUBLIC_KEYS_IN_KEY_GROUP")
	must[*configv1.KeyGroup](t)(s.group(t.Context(), "g", k1.GetName()))
	_, err = s.group(t.Context(), "h", k2.GetName())
	wantError(t, "C4.41: key groups", err, codes.ResourceExhausted, "TOO_MANY_KEY_GROUPS")
}

func TestRaceForKeyName(t *testing.T) {
	p := newPair(t)
	a, b := p.a.signers(), p.b.signers()
	k := must[*configv1.PublicKey](t)(a.key(t.Context(), "k", "k", newPEM(t)))
	for i := range rounds {
		name := fmt.Sprint("g", i)
		var made [2]*configv1.KeyGroup
		create := func(s signers, n int) func() error {
			return func() (err error) {
				made[n], err = s.group(t.Context(), name, k.GetName())
				return err
			}
		}
		one, other := p.race(create(a, 0), create(b, 1))
		exactlyOne(t, i, one, other, codes.AlreadyExists, "KEY_GROUP_ALREADY_EXISTS")
		sound(t, p.kv)
		for _, g := range made {
			if g != nil {
				if _, err := b.DeleteKeyGroup(t.Context(), &configv1.DeleteKeyGroupRequest{Name: g.GetName()}); err != nil {
					t.Fatal(body(err))
				}
			}
		}
	}
}

func TestRaceKeyDeletionAndGroup(t *testing.T) {
	p := newPair(t)
	a, b := p.a.signers(), p.b.signers()
	for i := range rounds {
		k := must[*configv1.PublicKey](t)(a.key(t.Context(), fmt.Sprint("r", i), fmt.Sprint("k", i), newPEM(t)))
		var g *configv1.KeyGroup
		one, other := p.race(func() error {
			_, err := a.DeletePublicKey(t.Context(), &configv1.DeletePublicKeyRequest{Name: k.GetName(), Etag: k.GetEtag()})
			return err
		}, func() (err error) {
			g, err = b.group(t.Context(), fmt.Sprint("g", i), k.GetName())
			return err
		})
		if other == nil {
			exactlyOne(t, i, one, other, codes.FailedPrecondition, "PUBLIC_KEY_IN_USE")
		} else {
			exactlyOne(t, i, one, other, codes.FailedPrecondition, "NO_SUCH_PUBLIC_KEY")
		}
		sound(t, p.kv)
		if g != nil {
			if _, err := b.DeleteKeyGroup(t.Context(), &configv1.DeleteKeyGroupRequest{Name: g.GetName()}); err != nil {
				t.Fatal(body(err))
			}
			if _, err := b.DeletePublicKey(t.Context(), &configv1.DeletePublicKeyRequest{Name: k.GetName()}); err != nil {
				t.Fatal(body(err))
			}
		}
	}
}
