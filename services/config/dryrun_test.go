// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// everything is the store without what time alone changes.
func everything(t *testing.T, kv clientv3.KV) map[string]int64 {
	t.Helper()
	res, err := kv.Get(t.Context(), keys.Root, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for _, pair := range res.Kvs {
		if string(pair.Key) != keys.Beat {
			out[string(pair.Key)] = pair.ModRevision
		}
	}
	return out
}

// lasting is what a dry run tells of a distribution.
func lasting(d *configv1.Distribution) *configv1.Distribution {
	if d == nil {
		return nil
	}
	out := proto.CloneOf(d)
	out.Name, out.Uid, out.Etag, out.DomainName, out.CreateTime, out.UpdateTime = "", "", "", "", nil, nil
	out.Reconciling, out.Deployment, out.Conditions, out.Version = false, nil, nil, 0
	return out
}

type written struct {
	d        *configv1.Distribution
	warnings []string
}

// TestValidateOnly: C6.18: each mutation answers what the real one then does, and
// leaves nothing behind.
func TestValidateOnly(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	ctx := t.Context()
	a := r.mustCreate(t, simple("ref-a", "a.example.com"))
	b := r.mustCreate(t, simple("ref-b", "b.example.com"))
	id := uuid.NewString()
	var staging, created, last *configv1.Distribution
	for _, tt := range []struct {
		name string
		call func(dry bool) (written, error)
	}{
		{"create", func(dry bool) (written, error) {
			d := simple("ref-c", "c.example.com")
			d.Labels = map[string]string{"k": "v"}
			res, err := r.CreateDistribution(ctx, &configv1.CreateDistributionRequest{Distribution: d, RequestId: id, ValidateOnly: dry})
			created = res.GetDistribution()
			return written{res.GetDistribution(), res.GetWarnings()}, err
		}},
		{"update", func(dry bool) (written, error) {
			change := &configv1.Distribution{Name: a.GetName(), Etag: a.GetEtag(), Config: proto.CloneOf(a.GetConfig())}
			change.Config.Comment, change.Config.Aliases = "x", []string{"a2.example.com"}
			res, err := r.UpdateDistribution(ctx, &configv1.UpdateDistributionRequest{Distribution: change, RequestId: id, ValidateOnly: dry})
			return written{res.GetDistribution(), res.GetWarnings()}, err
		}},
		{"copy", func(dry bool) (written, error) {
			res, err := r.CopyDistribution(ctx, &configv1.CopyDistributionRequest{Source: b.GetName(), CallerReference: "ref-s", Enabled: proto.Bool(false), RequestId: id, ValidateOnly: dry})
			staging = res.GetDistribution()
			return written{res.GetDistribution(), res.GetWarnings()}, err
		}},
		{"promote", func(dry bool) (written, error) {
			res, err := r.PromoteStagingDistribution(ctx, &configv1.PromoteStagingDistributionRequest{
				Primary: b.GetName(), PrimaryEtag: b.GetEtag(), Staging: staging.GetName(), StagingEtag: staging.GetEtag(), RequestId: id, ValidateOnly: dry,
			})
			return written{res.GetDistribution(), res.GetWarnings()}, err
		}},
		{"move", func(dry bool) (written, error) {
			res, err := r.MoveAlias(ctx, &configv1.MoveAliasRequest{Alias: "b.example.com", Target: a.GetName(), RequestId: id, ValidateOnly: dry})
			if len(res.GetSource().GetConfig().GetAliases()) != 0 || res.GetSource() == nil {
				t.Errorf("move: source %v", res.GetSource())
			}
			return written{res.GetDistribution(), res.GetWarnings()}, err
		}},
		{"restore", func(dry bool) (written, error) {
			now := r.get(t, a.GetName())
			res, err := r.RestoreDistributionVersion(ctx, &configv1.RestoreDistributionVersionRequest{Name: a.GetName() + "/versions/1", Etag: now.GetEtag(), RequestId: id, ValidateOnly: dry})
			return written{res.GetDistribution(), res.GetWarnings()}, err
		}},
		{"delete", func(dry bool) (written, error) {
			_, err := r.DeleteDistribution(ctx, &configv1.DeleteDistributionRequest{Name: last.GetName(), Etag: last.GetEtag(), RequestId: id, ValidateOnly: dry})
			return written{}, err
		}},
	} {
		if tt.name == "delete" {
			last = r.disable(t, created)
		}
		before := everything(t, kv)
		would, err := tt.call(true)
		if err != nil {
			t.Fatalf("C6.18: %s would fail: %v", tt.name, body(err))
		}
		if diff := cmp.Diff(before, everything(t, kv)); diff != "" {
			t.Fatalf("C6.18: %s has written (-before +after)\n%s", tt.name, diff)
		}
		if would.d.GetEtag() != "" || would.d.GetDeployment() != nil || would.d.GetVersion() != 0 ||
			(tt.name == "create" || tt.name == "copy") && (would.d.GetName() != "" || would.d.GetDomainName() != "") {
			t.Errorf("C6.18: %s tells what only a write gives: %v", tt.name, would.d)
		}
		id = uuid.NewString()
		did, err := tt.call(false)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, body(err))
		}
		if diff := cmp.Diff(lasting(did.d), lasting(would.d), protocmp.Transform()); diff != "" {
			t.Errorf("C6.18: %s (-real +dry)\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(did.warnings, would.warnings); diff != "" {
			t.Errorf("C6.18: warnings of %s (-real +dry)\n%s", tt.name, diff)
		}
		checkKeys(t, kv)
	}
}

// TestValidateOnlyFails: C6.18: a dry run fails as the real call does.
func TestValidateOnlyFails(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	d := r.mustCreate(t, simple("ref", "www.taken.test"))
	other := r.mustCreate(t, simple("ref-2"))
	for name, call := range map[string]func(ctx context.Context, dry bool) error{
		"C3.43, C3.13: taken": func(ctx context.Context, dry bool) error {
			_, err := r.CreateDistribution(ctx, &configv1.CreateDistributionRequest{Distribution: simple("ref", "www.taken.test"), ValidateOnly: dry})
			return err
		},
		"C2.2: bad fields": func(ctx context.Context, dry bool) error {
			_, err := r.CreateDistribution(ctx, &configv1.CreateDistributionRequest{Distribution: broken(), ValidateOnly: dry})
			return err
		},
		"C2.204: a reference to nothing": func(ctx context.Context, dry bool) error {
			_, err := r.CreateDistribution(ctx, &configv1.CreateDistributionRequest{Distribution: dangling(), ValidateOnly: dry})
			return err
		},
		"C3.43: an update to a taken alias": func(ctx context.Context, dry bool) error {
			_, err := r.UpdateDistribution(ctx, &configv1.UpdateDistributionRequest{ValidateOnly: dry, Distribution: &configv1.Distribution{
				Name: other.GetName(), Etag: other.GetEtag(), Config: simple("", "www.taken.test").GetConfig(),
			}})
			return err
		},
		"C1.52: delete of what is enabled": func(ctx context.Context, dry bool) error {
			_, err := r.DeleteDistribution(ctx, &configv1.DeleteDistributionRequest{Name: d.GetName(), Etag: d.GetEtag(), ValidateOnly: dry})
			return err
		},
		"C3.17: an idempotency key that is none": func(ctx context.Context, dry bool) error {
			_, err := r.CreateDistribution(ctx, &configv1.CreateDistributionRequest{Distribution: simple("ref-3"), RequestId: "x", ValidateOnly: dry})
			return err
		},
	} {
		would, did := body(call(t.Context(), true)), body(call(t.Context(), false))
		if diff := cmp.Diff(did, would); diff != "" {
			t.Errorf("%s (-real +dry)\n%s", name, diff)
		}
	}
}

func TestRequestID(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	ctx := t.Context()
	id := uuid.NewString()
	create := &configv1.CreateDistributionRequest{Distribution: simple("ref", "www.example.com"), RequestId: id}
	first, err := r.CreateDistribution(ctx, create)
	if err != nil {
		t.Fatal(body(err))
	}
	again, err := r.CreateDistribution(ctx, create)
	if err != nil || again.GetDistribution().GetEtag() != first.GetDistribution().GetEtag() || again.GetDistribution().GetName() != first.GetDistribution().GetName() {
		t.Errorf("C3.17: the same create again: %v, %v", again, err)
	}
	other := proto.CloneOf(create)
	other.Distribution.CallerReference = "ref-2"
	_, err = r.CreateDistribution(ctx, other)
	wantError(t, "C3.17: another request with that key", err, codes.InvalidArgument, "REQUEST_ID_REUSED")

	change := &configv1.UpdateDistributionRequest{RequestId: uuid.NewString(), Distribution: &configv1.Distribution{
		Name: first.GetDistribution().GetName(), Etag: first.GetDistribution().GetEtag(), Config: simple("").GetConfig(),
	}}
	updated, err := r.UpdateDistribution(ctx, change)
	if err != nil {
		t.Fatal(body(err))
	}
	repeated, err := r.UpdateDistribution(ctx, change) // its etag is stale by now
	if err != nil || repeated.GetDistribution().GetEtag() != updated.GetDistribution().GetEtag() {
		t.Errorf("C3.17: the same update again: %v, %v", repeated, err)
	}
	move := &configv1.MoveAliasRequest{Alias: "m.example.com", Target: first.GetDistribution().GetName(), RequestId: uuid.NewString()}
	moved, err := r.MoveAlias(ctx, move)
	if err != nil {
		t.Fatal(body(err))
	}
	if again, err := r.MoveAlias(ctx, move); err != nil || again.GetDistribution().GetVersion() != moved.GetDistribution().GetVersion() {
		t.Errorf("C3.17: the same move again: %v, %v", again, err)
	}
	off := r.disable(t, moved.GetDistribution())
	remove := &configv1.DeleteDistributionRequest{Name: off.GetName(), Etag: off.GetEtag(), RequestId: uuid.NewString()}
	for range 2 {
		if _, err := r.DeleteDistribution(ctx, remove); err != nil {
			t.Errorf("C3.17: delete: %v", body(err))
		}
	}
	_, err = r.CreateDistribution(ctx, create)
	wantError(t, "C3.17: a create that was made, of what is deleted", err, codes.NotFound, "NO_SUCH_DISTRIBUTION")
	checkKeys(t, kv)
}

func TestAllowMissing(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	for _, allow := range []bool{false, true} {
		_, err := r.DeleteDistribution(t.Context(), &configv1.DeleteDistributionRequest{Name: "distributions/EAAAAAAAAAAAAA", AllowMissing: allow})
		if want := map[bool]codes.Code{false: codes.NotFound, true: codes.OK}[allow]; codeOf(err) != want {
			t.Errorf("allow_missing %v: %v, want %v", allow, err, want)
		}
	}
}

func codeOf(err error) codes.Code { c, _ := reason(err); return c }
