// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/computed"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// unbuilt is the one table of fields that have no effect in this release: refused
// when set, or, where values are listed, when they hold one of these. A test walks
// the descriptors of all requests and fails on a field that is neither here nor in
// its list of built ones.
func unbuilt() map[protoreflect.FullName][]protoreflect.EnumNumber {
	table := unbuiltValues()
	for _, name := range unbuiltFields() {
		table[name] = nil
	}
	return table
}

// unbuiltValues are fields of which only some values have no effect.
func unbuiltValues() map[protoreflect.FullName][]protoreflect.EnumNumber {
	return map[protoreflect.FullName][]protoreflect.EnumNumber{
		"seafront.config.v1.DistributionConfig.http_version": {
			configv1.HttpVersion_HTTP_VERSION_HTTP3.Number(), configv1.HttpVersion_HTTP_VERSION_HTTP2_AND_3.Number(),
		},
		"seafront.config.v1.ViewerCertificate.minimum_protocol_version": {commonv1.TlsPolicy_TLS_POLICY_SSLV3.Number()},
		"seafront.origin.v1.OriginAccessControl.origin_type": {
			originv1.OriginAccessControl_ORIGIN_TYPE_MEDIASTORE.Number(),
			originv1.OriginAccessControl_ORIGIN_TYPE_MEDIAPACKAGEV2.Number(),
			originv1.OriginAccessControl_ORIGIN_TYPE_LAMBDA.Number(),
		},
	}
}

// unbuiltFields are fields that have no effect at all.
func unbuiltFields() []protoreflect.FullName {
	return []protoreflect.FullName{
		"seafront.config.v1.DistributionConfig.origin_groups",
		"seafront.config.v1.DistributionConfig.access_log",
		"seafront.config.v1.DistributionConfig.geo_restriction",
		"seafront.config.v1.DistributionConfig.web_acl",
		"seafront.config.v1.DistributionConfig.continuous_deployment_policy",
		"seafront.config.v1.Origin.origin_access_control",
		"seafront.config.v1.Origin.shield",
		"seafront.config.v1.CacheBehavior.compress",
		"seafront.config.v1.CacheBehavior.legacy",
		"seafront.config.v1.CacheBehavior.response_headers_policy",
		"seafront.config.v1.CacheBehavior.trusted_key_groups",
		"seafront.config.v1.CacheBehavior.function_associations",
		"seafront.config.v1.CacheBehavior.realtime_log_config",
		"seafront.config.v1.CacheBehavior.field_level_encryption_config",
		"seafront.config.v1.CacheBehavior.grpc_enabled",
		"seafront.config.v1.CustomErrorResponse.response_code",
		"seafront.config.v1.CustomErrorResponse.response_page_path",
		"seafront.origin.v1.HttpEndpoint.client_certificate",
		"seafront.origin.v1.Origin.access_control",
		"seafront.origin.v1.Origin.shield",
	}
}

// uncomputed finds the headers that a policy names, that edges alone can make, and that
// they cannot make yet (D10.2). To keep one back is possible all the same.
func (f *findings) uncomputed(path string, fd protoreflect.FieldDescriptor, v protoreflect.Value) {
	if fd.Message() == nil || fd.IsList() || fd.IsMap() {
		return
	}
	var names []string
	switch m := v.Message().Interface().(type) {
	case *configv1.HeaderSelection:
		names = m.GetNames()
	case *configv1.OriginRequestHeaders:
		if m.GetMode() != configv1.OriginRequestHeaders_MODE_ALL_EXCEPT {
			names = m.GetNames()
		}
	}
	for i, name := range names {
		if isUncomputed(name) {
			f.add(fmt.Sprintf("%s.names[%d]", path, i), ReasonUnsupported, "is %.100q, which edges do not compute in this release", name)
		}
	}
}

func isUncomputed(name string) bool { return computed.Is(name) && !computed.Built(name) }
