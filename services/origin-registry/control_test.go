// SPDX-License-Identifier: Apache-2.0

package originregistry_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	originregistry "github.com/seafront-cdn/seafront/services/origin-registry"
)

func TestAccessControls(t *testing.T) {
	kv := etcdtest.Client(t)
	s := start(t, originregistry.Config{Etcd: kv, MaxAccessControls: 2}).controls
	create := func(name string, kind originv1.OriginAccessControl_OriginType) (*originv1.OriginAccessControl, error) {
		res, err := s.CreateOriginAccessControl(t.Context(), &originv1.CreateOriginAccessControlRequest{OriginAccessControl: &originv1.OriginAccessControl{
			DisplayName: name, OriginType: kind, SigningProtocol: originv1.OriginAccessControl_SIGNING_PROTOCOL_SIGV4,
			SigningBehavior: originv1.OriginAccessControl_SIGNING_BEHAVIOR_ALWAYS,
		}})
		return res.GetOriginAccessControl(), err
	}
	const s3 = originv1.OriginAccessControl_ORIGIN_TYPE_S3
	_, err := create("one", originv1.OriginAccessControl_ORIGIN_TYPE_LAMBDA)
	wantError(t, "C2.143: a type that is not offered", err, codes.Unimplemented, "UNSUPPORTED_OPERATION")
	_, err = create("", s3)
	wantError(t, "C2.140: no name", err, codes.InvalidArgument, "INVALID_ARGUMENT")
	one, err := create("one", s3)
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := strings.CutPrefix(one.GetName(), "originAccessControls/"); !ok || len(id) != 14 || id[0] != 'E' {
		t.Errorf("C3.41: name %q", one.GetName())
	}
	two, err := create("two", s3)
	if err != nil {
		t.Fatal(err)
	}
	_, err = create("three", s3)
	wantError(t, "C4.18: quota", err, codes.ResourceExhausted, "TOO_MANY_ORIGIN_ACCESS_CONTROLS")
	update := func(c *originv1.OriginAccessControl, paths ...string) (*originv1.OriginAccessControl, error) {
		res, err := s.UpdateOriginAccessControl(t.Context(), &originv1.UpdateOriginAccessControlRequest{OriginAccessControl: c, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return res.GetOriginAccessControl(), err
	}
	_, err = update(&originv1.OriginAccessControl{Name: two.GetName(), DisplayName: "one"}, "display_name")
	wantError(t, "C2.213: rename to a taken name", err, codes.AlreadyExists, "ORIGIN_ACCESS_CONTROL_ALREADY_EXISTS")
	changed, err := update(&originv1.OriginAccessControl{
		Name: two.GetName(), Etag: two.GetEtag(), SigningBehavior: originv1.OriginAccessControl_SIGNING_BEHAVIOR_NEVER, DisplayName: "2",
	}, "signing_behavior", "display_name")
	if err != nil || changed.GetSigningBehavior() != originv1.OriginAccessControl_SIGNING_BEHAVIOR_NEVER {
		t.Errorf("C2.142: %v, %v", changed, err)
	}
	_, err = update(&originv1.OriginAccessControl{Name: two.GetName(), Etag: two.GetEtag()}, "description")
	wantError(t, "C2.182: stale etag", err, codes.Aborted, "PRECONDITION_FAILED")
	held := keys.Ref(keys.OriginAccessControls, strings.TrimPrefix(one.GetName(), "originAccessControls/"), keys.Origins, "web")
	if _, err := kv.Put(t.Context(), held, ""); err != nil { // an origin that is signed for, as it will be
		t.Fatal(err)
	}
	remove := func(name string) error {
		_, err := s.DeleteOriginAccessControl(t.Context(), &originv1.DeleteOriginAccessControlRequest{Name: name})
		return err
	}
	wantError(t, "C1.57: in use", remove(one.GetName()), codes.FailedPrecondition, "ORIGIN_ACCESS_CONTROL_IN_USE")
	if err := remove(two.GetName()); err != nil {
		t.Error(err)
	}
	wantError(t, "C2.200: deleted", remove(two.GetName()), codes.NotFound, "NO_SUCH_ORIGIN_ACCESS_CONTROL")
	if _, err := create("two", s3); err != nil {
		t.Errorf("C8.51, C8.60: the names of one that was renamed and deleted: %v", err)
	}
	page, err := s.ListOriginAccessControls(t.Context(), &originv1.ListOriginAccessControlsRequest{PageSize: 1})
	if err != nil || len(page.GetOriginAccessControls()) != 1 || page.GetNextPageToken() == "" {
		t.Errorf("C6.17: %v, %v", page, err)
	}
}
