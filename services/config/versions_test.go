// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

func (r replica) comment(t *testing.T, d *configv1.Distribution, comment string) *configv1.Distribution {
	t.Helper()
	return r.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{Comment: comment}}, "config.comment")
}

// versions are the numbers of what is kept.
func (r replica) versions(t *testing.T, name string, size int32) (out []int64) {
	t.Helper()
	token := ""
	for page := 0; page == 0 || token != ""; page++ {
		res, err := r.ListDistributionVersions(t.Context(), &configv1.ListDistributionVersionsRequest{Parent: name, PageSize: size, PageToken: token})
		if err != nil {
			t.Fatal(body(err))
		}
		for _, v := range res.GetVersions() {
			if v.GetDistribution() != nil || v.GetPrincipal() == "" || v.GetCreateTime() == nil || v.GetName() != fmt.Sprintf("%s/versions/%d", name, v.GetNumber()) {
				t.Errorf("version in a listing: %v", v)
			}
			out = append(out, v.GetNumber())
		}
		token = res.GetNextPageToken()
	}
	return out
}

func (r replica) version(t *testing.T, name string, number int64) *configv1.DistributionVersion {
	t.Helper()
	res, err := r.GetDistributionVersion(t.Context(), &configv1.GetDistributionVersionRequest{Name: fmt.Sprintf("%s/versions/%d", name, number)})
	if err != nil {
		t.Fatal(body(err))
	}
	return res.GetVersion()
}

func (r replica) restore(t *testing.T, d *configv1.Distribution, number int64) (*configv1.Distribution, error) {
	t.Helper()
	res, err := r.RestoreDistributionVersion(t.Context(), &configv1.RestoreDistributionVersionRequest{Name: fmt.Sprintf("%s/versions/%d", d.GetName(), number), Etag: d.GetEtag()})
	return res.GetDistribution(), err
}

func TestVersions(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	d := r.mustCreate(t, simple("ref"))
	etags := []string{"", d.GetEtag()}
	for i := 2; i <= 8; i++ {
		d = r.comment(t, d, fmt.Sprint("number ", i))
		etags = append(etags, d.GetEtag())
	}
	if got := r.versions(t, d.GetName(), 0); !slices.Equal(got, []int64{4, 5, 6, 7, 8}) {
		t.Errorf("kept are %v, want the newest five", got)
	}
	if got := r.versions(t, d.GetName(), 2); !slices.Equal(got, []int64{4, 5, 6, 7, 8}) {
		t.Errorf("page by page: %v", got)
	}
	for _, n := range []int64{4, 8} {
		v := r.version(t, d.GetName(), n)
		if v.GetDistribution().GetConfig().GetComment() != fmt.Sprint("number ", n) || v.GetEtag() != etags[n] || v.GetDistribution().GetEtag() != etags[n] ||
			v.GetCurrent() != (n == 8) || v.GetDistribution().GetDeployment() != nil {
			t.Errorf("version %d: %v", n, v)
		}
	}
	_, err := r.GetDistributionVersion(t.Context(), &configv1.GetDistributionVersionRequest{Name: d.GetName() + "/versions/3"})
	wantError(t, "a version that fell out", err, codes.NotFound, "ENTITY_NOT_FOUND")
	checkKeys(t, kv)

	// A smaller depth drops all that is too old with the next change.
	low := serveWith(t, config.Config{Etcd: kv, Versions: 2})
	d = low.comment(t, d, "number 9")
	if got := r.versions(t, d.GetName(), 0); !slices.Equal(got, []int64{8, 9}) {
		t.Errorf("with a depth of 2, kept are %v", got)
	}
	checkKeys(t, kv)
	d = r.disable(t, d)
	if err := r.delete(t.Context(), d.GetName(), d.GetEtag()); err != nil {
		t.Fatal(body(err))
	}
	checkKeys(t, kv) // among others: no version of a deleted distribution
	_, err = r.ListDistributionVersions(t.Context(), &configv1.ListDistributionVersionsRequest{Parent: d.GetName()})
	wantError(t, "versions of the deleted", err, codes.NotFound, "NO_SUCH_DISTRIBUTION")
}

func TestRestore(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	putOrigin(t, kv, "old", httpEndpoint())
	putOrigin(t, kv, "new", httpEndpoint())
	in := referring("ref", "old")
	in.Labels = map[string]string{"a": "1"}
	in.Config.Aliases = []string{"www.example.com", "keep.example.com"}
	first := r.mustCreate(t, in)
	change := proto.CloneOf(first)
	change.Labels = map[string]string{"b": "2"}
	change.Config.Aliases = []string{"keep.example.com"}
	change.Config.Origins = referring("", "new").GetConfig().GetOrigins()
	change.Config.DefaultCacheBehavior.TargetOriginId = "new"
	second := r.mustUpdate(t, change)

	third, err := r.restore(t, second, 1)
	if err != nil {
		t.Fatal(body(err))
	}
	if diff := cmp.Diff(first.GetConfig(), third.GetConfig(), protocmp.Transform()); diff != "" || third.GetVersion() != 3 || !cmp.Equal(third.GetLabels(), in.GetLabels()) ||
		third.GetEtag() == first.GetEtag() || third.GetDomainName() != first.GetDomainName() || !proto.Equal(third.GetCreateTime(), first.GetCreateTime()) {
		t.Errorf("restored: %v (-want +got)\n%s", third, diff)
	}
	checkKeys(t, kv)
	if got := r.versions(t, first.GetName(), 0); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("versions %v, want a new one", got)
	}
	_, err = r.restore(t, second, 1)
	wantError(t, "C3.6: restore with a stale etag", err, codes.Aborted, "PRECONDITION_FAILED")

	// What version 1 needs and is not there any more is named: versions hold nothing.
	fourth, err := r.restore(t, third, 2)
	if err != nil {
		t.Fatal(body(err))
	}
	if err := deleteOrigin(t.Context(), kv, "old"); err != nil {
		t.Errorf("a version holds a reference: %v", err)
	}
	_, err = r.restore(t, fourth, 1)
	wantError(t, "an origin that is gone", err, codes.FailedPrecondition, "ENTITY_NOT_FOUND")
	if text := body(err); !strings.Contains(text, "origins/old") || !strings.Contains(text, "field config.origins[0].origin_ref") {
		t.Errorf("the error does not name what is missing:\n%s", text)
	}
	putOrigin(t, kv, "old", httpEndpoint())
	other := r.mustCreate(t, simple("ref-o", "www.example.com"))
	_, err = r.restore(t, fourth, 1)
	wantError(t, "an alias that another has by now", err, codes.AlreadyExists, "CNAME_ALREADY_EXISTS")
	if text := body(err); !strings.Contains(text, "www.example.com") {
		t.Errorf("the error does not name the alias:\n%s", text)
	}
	if got := r.get(t, first.GetName()); got.GetEtag() != fourth.GetEtag() {
		t.Error("a refused restore has written")
	}
	if _, err := r.MoveAlias(t.Context(), &configv1.MoveAliasRequest{Alias: "www.example.com", Target: first.GetName(), SourceEtag: other.GetEtag()}); err != nil {
		t.Fatal(body(err))
	}
	if _, err := r.restore(t, r.get(t, first.GetName()), 1); err != nil {
		t.Errorf("with origin and alias back: %v", body(err))
	}
	checkKeys(t, kv)
}

// What a version holds is checked anew, by what applies now.
func TestRestoreIsValidatedAnew(t *testing.T) {
	kv := etcdtest.Client(t)
	r := serve(t, kv)
	d := r.mustCreate(t, simple("ref", "a.example.com", "b.example.com"))
	d = r.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{}}, "config.aliases")
	low := serveWith(t, config.Config{Etcd: kv, Limits: config.Limits{Aliases: 1}})
	_, err := low.restore(t, d, 1)
	wantError(t, "a limit that was lowered since", err, codes.InvalidArgument, "TOO_MANY_DISTRIBUTION_CNAMES")

	// A version of a later release.
	var later configv1.Distribution
	_, id, _ := strings.Cut(d.GetName(), "/")
	v, _, err := records.Get(t.Context(), kv, keys.Version(id, 2), &later)
	if err != nil {
		t.Fatal(err)
	}
	later.Config.WebAcl = "acl"
	putVersion(t, kv, id, v, &later)
	_, err = r.restore(t, d, 2)
	wantError(t, "a field that is not built", err, codes.Unimplemented, "UNSUPPORTED_OPERATION")
}
