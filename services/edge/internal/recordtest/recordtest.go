// SPDX-License-Identifier: Apache-2.0

// Package recordtest makes records as etcd has them, for tests and benchmarks of more
// than one package.
package recordtest

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// Distribution is the record of a distribution of ordinary size: an alias, an origin and
// four behaviors. Records of one id differ by root, the default root object.
func Distribution(t testing.TB, id, root string) []byte {
	t.Helper()
	behavior := func(pattern string) *configv1.CacheBehavior {
		return &configv1.CacheBehavior{
			PathPattern: pattern, TargetOriginId: "web", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
			Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6"},
		}
	}
	resource, err := proto.Marshal(&configv1.Distribution{
		Name: keys.Distributions.Name(id), DomainName: "d" + strings.ToLower(id) + ".seafront.localhost",
		Config: &configv1.DistributionConfig{
			Enabled: true, DefaultRootObject: root, Aliases: []string{"www." + strings.ToLower(id) + ".test"},
			Origins: []*configv1.Origin{{Id: "web", Source: &configv1.Origin_Endpoint{Endpoint: &originv1.OriginEndpoint{
				Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
					Host: "origin.test", ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
				}},
			}}}},
			DefaultCacheBehavior: behavior(""),
			CacheBehaviors:       []*configv1.CacheBehavior{behavior("/images/*"), behavior("*.css"), behavior("/api/*")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	value, err := keys.Encode(&storev1.Record{WriteId: 1, Generation: 1, Resource: resource})
	if err != nil {
		t.Fatal(err)
	}
	return value
}
