// SPDX-License-Identifier: Apache-2.0

// Package access is the one table of who may call which method of Seafront's API. A
// method that is not in it may be called by nobody; a test of the root package holds it
// against the protos, both ways. The table decides nothing beyond that: package auth
// says who calls.
package access

import (
	"slices"
	"strings"
	"sync"

	"github.com/seafront-cdn/seafront/pkg/auth"
)

// row gives the methods of a service one rule.
type row struct {
	service string
	rule    auth.Rule
	methods string // names with spaces between; empty is all of the service
}

const (
	configAPI = "seafront.config.v1."
	originAPI = "seafront.origin.v1."
	edgeAPI   = "seafront.edge.v1."
)

// table returns the rows. Reading is for readers, changing for operators. What takes
// a private key or credentials of an origin, or takes an edge out of service, is for
// admins.
func table() []row {
	reader, operator, admin := auth.Rule{Least: auth.Reader}, auth.Rule{Least: auth.Operator}, auth.Rule{Least: auth.Admin}
	return slices.Concat(plumbing(reader), ofConfig(reader, operator, admin), ofEdges(reader, admin), ofOrigins(reader, operator, admin))
}

// plumbing is what every server has.
func plumbing(reader auth.Rule) []row {
	everybody := auth.Rule{Public: true}
	return []row{
		{"grpc.health.v1.Health", everybody, ""}, // balancers have no credentials
		{"grpc.reflection.v1.ServerReflection", reader, ""},
		{"grpc.reflection.v1alpha.ServerReflection", reader, ""},
	}
}

// ofConfig are the resources of config.
func ofConfig(reader, operator, admin auth.Rule) []row {
	return []row{
		{configAPI + "DistributionService", reader, "GetDistribution ListDistributions WaitDistribution WatchDeployment " +
			"ExportDistribution ListConflictingAliases GetDistributionVersion ListDistributionVersions"},
		{configAPI + "DistributionService", operator, "CreateDistribution UpdateDistribution DeleteDistribution " +
			"CopyDistribution MoveAlias PromoteStagingDistribution RestoreDistributionVersion"},

		{configAPI + "InvalidationService", reader, "GetInvalidation ListInvalidations WaitInvalidation WatchInvalidation"},
		{configAPI + "InvalidationService", operator, "CreateInvalidation"},

		{configAPI + "CachePolicyService", reader, "GetCachePolicy ListCachePolicies"},
		{configAPI + "CachePolicyService", operator, "CreateCachePolicy UpdateCachePolicy DeleteCachePolicy"},

		{configAPI + "OriginRequestPolicyService", reader, "GetOriginRequestPolicy ListOriginRequestPolicies"},
		{configAPI + "OriginRequestPolicyService", operator, "CreateOriginRequestPolicy UpdateOriginRequestPolicy DeleteOriginRequestPolicy"},

		{configAPI + "ResponseHeadersPolicyService", reader, "GetResponseHeadersPolicy ListResponseHeadersPolicies"},
		{configAPI + "ResponseHeadersPolicyService", operator, "CreateResponseHeadersPolicy UpdateResponseHeadersPolicy DeleteResponseHeadersPolicy"},

		{configAPI + "PublicKeyService", reader, "GetPublicKey ListPublicKeys"},
		{configAPI + "PublicKeyService", operator, "CreatePublicKey UpdatePublicKey DeletePublicKey"},

		{configAPI + "KeyGroupService", reader, "GetKeyGroup ListKeyGroups"},
		{configAPI + "KeyGroupService", operator, "CreateKeyGroup UpdateKeyGroup DeleteKeyGroup"},

		{configAPI + "FunctionService", reader, "GetFunction ListFunctions GetFunctionCode"},
		{configAPI + "FunctionService", operator, "CreateFunction UpdateFunction PublishFunction DeleteFunction"},

		{configAPI + "KeyValueStoreService", reader, "GetKeyValueStore ListKeyValueStores GetEntry ListEntries"},
		{configAPI + "KeyValueStoreService", operator, "CreateKeyValueStore UpdateKeyValueStore BatchUpdateEntries DeleteKeyValueStore"},

		{configAPI + "RealtimeLogConfigService", reader, "GetRealtimeLogConfig ListRealtimeLogConfigs"},
		{configAPI + "RealtimeLogConfigService", operator, "CreateRealtimeLogConfig UpdateRealtimeLogConfig DeleteRealtimeLogConfig"},

		{configAPI + "ContinuousDeploymentPolicyService", reader, "GetContinuousDeploymentPolicy ListContinuousDeploymentPolicies"},
		{configAPI + "ContinuousDeploymentPolicyService", operator, "CreateContinuousDeploymentPolicy UpdateContinuousDeploymentPolicy DeleteContinuousDeploymentPolicy"},

		{configAPI + "CertificateService", reader, "GetCertificate ListCertificates"},
		{configAPI + "CertificateService", admin, "ImportCertificate RotateCertificate DeleteCertificate"},
	}
}

// ofEdges is what is said of edges, and what they say of themselves.
func ofEdges(reader, admin auth.Rule) []row {
	// An edge reads what the control plane says about it, and nothing else. It reports
	// by its own keys in etcd.
	ownEdge := auth.Rule{Least: auth.Reader, Own: "edges/"}
	return []row{
		{edgeAPI + "EdgeService", ownEdge, "GetEdge"},
		{edgeAPI + "EdgeService", reader, "ListEdges"},
		{edgeAPI + "EdgeService", admin, "DrainEdge UndrainEdge DeleteEdge"},

		{edgeAPI + "CacheService", reader, "GetCacheStats InspectRequest"},
	}
}

// ofOrigins are the resources of origin-registry.
func ofOrigins(reader, operator, admin auth.Rule) []row {
	return []row{
		{originAPI + "OriginService", reader, "GetOrigin ListOrigins ResolveOrigins"},
		{originAPI + "OriginService", operator, "CreateOrigin UpdateOrigin DeleteOrigin"},

		{originAPI + "OriginAccessControlService", reader, "GetOriginAccessControl ListOriginAccessControls"},
		{originAPI + "OriginAccessControlService", admin, "CreateOriginAccessControl UpdateOriginAccessControl DeleteOriginAccessControl"},
	}
}

// rules is the table by method, and by service where a row is about all of it.
var rules = sync.OnceValue(func() map[string]auth.Rule {
	by := map[string]auth.Rule{}
	for _, r := range table() {
		if r.methods == "" {
			by[r.service] = r.rule
		}
		for m := range strings.FieldsSeq(r.methods) {
			by[r.service+"/"+m] = r.rule
		}
	}
	return by
})

// Rule is the rule of a method, /package.Service/Method; ok is false when there is
// none.
func Rule(method string) (rule auth.Rule, ok bool) {
	method = strings.TrimPrefix(method, "/")
	if rule, ok = rules()[method]; ok {
		return rule, strings.Contains(method, "/")
	}
	service, _, _ := strings.Cut(method, "/")
	rule, ok = rules()[service]
	return rule, ok && strings.Contains(method, "/")
}
