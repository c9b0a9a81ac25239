// SPDX-License-Identifier: Apache-2.0

package allinone

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// The sample's resources. The caller reference makes a second start find the
// distribution of the first.
const (
	sampleOrigin    = "sample"
	sampleReference = "seafront-sample-site"
	samplePolicy    = "cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6" // CachingOptimized
	deployTimeout   = 10 * time.Second
)

// reasonUsedBefore says that there was a sample distribution once. A caller reference
// is never free again (C3.13): who deletes the sample has decided to go without.
const reasonUsedBefore = "DISTRIBUTION_ALREADY_EXISTS"

// firstSteps makes, through the public API like anybody else, an origin for the
// sample site and a distribution for it, or finds those of an earlier start. It
// returns the distribution once the edge serves it, and nil when there is none because
// somebody deleted it.
func firstSteps(ctx context.Context, conn *grpc.ClientConn, site string) (*configv1.Distribution, error) {
	if err := registerSample(ctx, originv1.NewOriginServiceClient(conn), site); err != nil {
		return nil, fmt.Errorf("register the sample origin: %w", err)
	}
	distributions := configv1.NewDistributionServiceClient(conn)
	d, err := findSample(ctx, distributions)
	if err == nil && d == nil {
		d, err = createSample(ctx, distributions)
	}
	if apierr.Reason(status.Convert(err)) == reasonUsedBefore {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("make the sample distribution: %w", err)
	}
	res, err := distributions.WaitDistribution(ctx, &configv1.WaitDistributionRequest{
		Name: d.GetName(), Timeout: durationpb.New(deployTimeout),
	})
	if err != nil {
		return nil, fmt.Errorf("wait for the sample distribution: %w", err)
	}
	return res.GetDistribution(), nil
}

// registerSample creates the origin, or brings the address of an existing one up to
// date: the sample may listen elsewhere than last time.
func registerSample(ctx context.Context, origins originv1.OriginServiceClient, site string) error {
	_, port, err := net.SplitHostPort(site)
	if err != nil {
		return err
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return err
	}
	want := &originv1.Origin{
		DisplayName: "the sample site of seafront up",
		Endpoint: &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
			Host:           "localhost",
			HttpPort:       proto.Int32(int32(number)),
			ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
		}}},
	}
	_, err = origins.CreateOrigin(ctx, &originv1.CreateOriginRequest{OriginId: sampleOrigin, Origin: want})
	if status.Code(err) != codes.AlreadyExists {
		return err
	}
	have, err := origins.GetOrigin(ctx, &originv1.GetOriginRequest{Name: "origins/" + sampleOrigin})
	if err != nil {
		return err
	}
	if have.GetOrigin().GetEndpoint().GetHttp().GetHttpPort() == int32(number) {
		return nil
	}
	want.Name, want.Etag, want.DisplayName = have.GetOrigin().GetName(), have.GetOrigin().GetEtag(), ""
	_, err = origins.UpdateOrigin(ctx, &originv1.UpdateOriginRequest{Origin: want})
	return err
}

// findSample returns the distribution of an earlier start, or nil.
func findSample(ctx context.Context, distributions configv1.DistributionServiceClient) (*configv1.Distribution, error) {
	req := &configv1.ListDistributionsRequest{PageSize: 1000}
	for {
		page, err := distributions.ListDistributions(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, d := range page.GetDistributions() {
			if d.GetCallerReference() == sampleReference {
				return d, nil
			}
		}
		if page.GetNextPageToken() == "" {
			return nil, nil
		}
		req.PageToken = page.GetNextPageToken()
	}
}

func createSample(ctx context.Context, distributions configv1.DistributionServiceClient) (*configv1.Distribution, error) {
	res, err := distributions.CreateDistribution(ctx, &configv1.CreateDistributionRequest{Distribution: &configv1.Distribution{
		CallerReference: sampleReference,
		Config: &configv1.DistributionConfig{
			Enabled:           true,
			Comment:           "The sample site of seafront up",
			DefaultRootObject: "index.html",
			Origins:           []*configv1.Origin{{Id: "site", Source: &configv1.Origin_OriginRef{OriginRef: "origins/" + sampleOrigin}}},
			DefaultCacheBehavior: &configv1.CacheBehavior{
				TargetOriginId:       "site",
				ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
				Caching:              &configv1.CacheBehavior_CachePolicy{CachePolicy: samplePolicy},
			},
		},
	}})
	return res.GetDistribution(), err
}
