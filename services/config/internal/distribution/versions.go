// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// ListDistributionVersions returns a page of what a distribution has been.
func (s *Server) ListDistributionVersions(ctx context.Context, req *configv1.ListDistributionVersionsRequest) (*configv1.ListDistributionVersionsResponse, error) {
	id, vs := rules.ParseName("parent", keys.Distributions, req.GetParent())
	size, bad := rules.PageSize(req.GetPageSize())
	listing := records.ListRequest{
		Method: "ListDistributionVersions", Prefix: keys.VersionsOf(id), PageSize: size, Token: req.GetPageToken(),
	}
	found := prefixed("", append(vs, bad...))
	if len(vs) == 0 {
		found = append(found, listing.Check()...)
	}
	if err := orNil(apierr.BadFields(found)); err != nil {
		return nil, err
	}
	st, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	page, next, err := records.List(ctx, s.kv, listing, func(item records.Item) (*configv1.DistributionVersion, error) {
		v, err := version(st, item)
		if err == nil {
			v.Distribution = nil
		}
		return v, err
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListDistributionVersionsResponse{Versions: page, NextPageToken: next}, nil
}

// GetDistributionVersion returns what a distribution has been.
func (s *Server) GetDistributionVersion(ctx context.Context, req *configv1.GetDistributionVersionRequest) (*configv1.GetDistributionVersionResponse, error) {
	id, number, err := parseVersion(req.GetName())
	if err != nil {
		return nil, err
	}
	st, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	v, _, err := readVersion(ctx, s.kv, st, number)
	if err != nil {
		return nil, err
	}
	return &configv1.GetDistributionVersionResponse{Version: v}, nil
}

// RestoreDistributionVersion makes a distribution what it has been: an update with the
// labels and the config of then, checked as of now (design §5).
func (s *Server) RestoreDistributionVersion(ctx context.Context, req *configv1.RestoreDistributionVersionRequest) (*configv1.RestoreDistributionVersionResponse, error) {
	if err := collection.Unsupported(rules.Unsupported(req)); err != nil {
		return nil, err
	}
	id, number, err := parseVersion(req.GetName(), checkRequestID(req)...)
	if err != nil {
		return nil, err
	}
	out, err := s.run(ctx, "RestoreDistributionVersion", "", req, func(c call) (*outcome, bool, error) {
		return s.change(ctx, c, change{
			id: id, etag: req.GetEtag(), field: "etag",
			next: func(old *stored, w *write) (*configv1.Distribution, error) {
				v, sealed, err := readVersion(ctx, s.kv, old, number)
				if err != nil {
					return nil, err
				}
				w.keeps(v.GetDistribution(), sealed)
				// A version of a newer release may hold what this one does not build.
				if err := collection.Unsupported(rules.Unsupported(v.GetDistribution())); err != nil {
					return nil, err
				}
				d, vs := rules.MergeDistribution(old.d, v.GetDistribution(), &fieldmaskpb.FieldMask{Paths: []string{"*"}})
				return d, collection.BadFields("", vs)
			},
		})
	})
	if err != nil {
		return nil, err
	}
	return &configv1.RestoreDistributionVersionResponse{Distribution: s.result(ctx, out), Warnings: out.warnings}, nil
}

func versionName(id string, number int64) string {
	return keys.Distributions.Name(id) + "/versions/" + strconv.FormatInt(number, 10)
}

// parseVersion reads the name of a version, in its one spelling. others are what else is
// wrong with the request.
func parseVersion(name string, others ...rules.Violation) (id string, number int64, err error) {
	parent, text, _ := strings.Cut(name, "/versions/")
	id, vs := rules.ParseName("name", keys.Distributions, parent)
	number, bad := strconv.ParseInt(text, 10, 64)
	if len(vs) > 0 || bad != nil || number < 1 || versionName(id, number) != name {
		wrong := rules.Violation{
			Field: "name", Reason: rules.ReasonInvalid,
			Description: "is not the name of a version; want distributions/{distribution}/versions/{version}, the version a number from 1",
		}
		others = append([]rules.Violation{wrong}, others...)
	}
	return id, number, collection.BadFields("", others)
}

// readVersion reads a version of the distribution st, with its secrets sealed; one that
// is not kept is an error.
func readVersion(ctx context.Context, kv clientv3.KV, st *stored, number int64) (out *configv1.DistributionVersion, sealed records.Secrets, err error) {
	err = records.Each(ctx, kv, []string{keys.Version(st.id, number)}, 0, func(item records.Item) (err error) {
		out, err = version(st, item)
		sealed = item.Secrets
		return err
	})
	if err == nil && out == nil {
		name := versionName(st.id, number)
		err = apierr.New(apierr.NotFound, reasonEntityNotFound, "%s does not exist, or is not kept any more; ListDistributionVersions shows those that are", name).
			With("resource", name)
	}
	return out, sealed, err
}

// version makes the message of a stored version of st.
func version(st *stored, item records.Item) (*configv1.DistributionVersion, error) {
	d := &configv1.Distribution{}
	if err := item.Into(d); err != nil {
		return nil, err
	}
	d.Etag, d.Version = item.ETag(), item.Generation
	return &configv1.DistributionVersion{
		Name: versionName(st.id, item.Generation), Number: item.Generation, CreateTime: d.GetUpdateTime(),
		Principal: item.Principal, Traceparent: item.Traceparent, Etag: item.ETag(),
		Current: item.WriteID == st.version.WriteID, Distribution: d,
	}, nil
}
