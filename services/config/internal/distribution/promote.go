// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// PromoteStagingDistribution gives a distribution the config of a staging distribution
// (C3.61, C8.55). It is an update of the primary that holds only while the staging
// distribution is what was read. A continuous deployment policy has no part in it:
// none can be attached in this release.
func (s *Server) PromoteStagingDistribution(ctx context.Context, req *configv1.PromoteStagingDistributionRequest) (*configv1.PromoteStagingDistributionResponse, error) {
	if err := collection.Unsupported(rules.Unsupported(req)); err != nil {
		return nil, err
	}
	primary, vs := rules.ParseName("primary", keys.Distributions, req.GetPrimary())
	staging, bad := rules.ParseName("staging", keys.Distributions, req.GetStaging())
	if err := collection.BadFields("", slices.Concat(vs, bad, checkRequestID(req))); err != nil {
		return nil, err
	}
	out, err := s.run(ctx, "PromoteStagingDistribution", "", req, func(c call) (*outcome, bool, error) {
		return s.promote(ctx, c, primary, staging, req)
	})
	if err != nil {
		return nil, err
	}
	return &configv1.PromoteStagingDistributionResponse{Distribution: s.result(ctx, out), Warnings: out.warnings}, nil
}

func (s *Server) promote(ctx context.Context, c call, primary, staging string, req *configv1.PromoteStagingDistributionRequest) (*outcome, bool, error) {
	from, err := s.read(ctx, staging)
	if err != nil {
		return nil, false, err
	}
	return s.change(ctx, c, change{
		id: primary, etag: req.GetPrimaryEtag(), field: "primary_etag",
		next: func(old *stored, w *write) (*configv1.Distribution, error) {
			if err := checkETag("staging_etag", req.GetStagingEtag(), from); err != nil {
				return nil, err
			}
			if old.d.GetStaging() {
				return nil, illegal("primary", "%s is a staging distribution; want the one that serves viewers", req.GetPrimary())
			}
			if !from.d.GetStaging() {
				return nil, illegal("staging", "%s is no staging distribution; CopyDistribution makes one", req.GetStaging())
			}
			w.tx.AtRevision(conditionStaging, keys.Resource(keys.Distributions, staging), from.version.ModRevision)
			return promoted(old.d, from.d), w.keepsThoseOf(from)
		},
		refused: func(conflict *etcd.Conflict) error {
			if !slices.Contains(conflict.Failed, conditionStaging) {
				return nil
			}
			now, err := s.read(ctx, staging)
			if err != nil {
				return err
			}
			return collection.Stale("staging_etag", keys.Distributions.Name(now.id), now.version)
		},
	})
}

// promoted is primary with the config of staging, but for what belongs to either.
func promoted(primary, staging *configv1.Distribution) *configv1.Distribution {
	out := proto.CloneOf(primary)
	own := out.GetConfig()
	out.Config = proto.CloneOf(staging.GetConfig())
	out.Config.Enabled, out.Config.Aliases = own.GetEnabled(), own.GetAliases()
	out.Config.ContinuousDeploymentPolicy = own.GetContinuousDeploymentPolicy()
	return out
}

// illegal is the error for a distribution of the wrong kind.
func illegal(field, format string, args ...any) error {
	return apierr.New(apierr.Invalid, rules.ReasonIllegalUpdate, format, args...).At(field)
}
