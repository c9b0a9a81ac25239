// SPDX-License-Identifier: Apache-2.0

// Package query is what the filters of ListDistributions ask for (C6.17): which fields
// there are, what they may be compared with, and which distributions they take. It also
// says by which keys those can be found without a look at all. How filters are written
// is package filter's.
package query

import (
	"context"
	"errors"
	"fmt"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/filter"
)

// Query is a filter that has been read. The zero Query takes everything.
type Query struct {
	text    string
	tests   []func(*configv1.Distribution) bool
	states  []commonv1.Deployment_State
	alias   string
	targets []target // what is referred to
}

// target is something that distributions refer to.
type target struct {
	collection keys.Collection
	id         string
}

// String is the filter in the form that all its spellings share.
func (q Query) String() string { return q.text }

// Alias is an alias that is asked for, empty for none: at most one distribution has it.
func (q Query) Alias() string { return q.alias }

const entityNotFound = "ENTITY_NOT_FOUND" // C2.204

// targetField is a field of filters that names a resource which distributions refer to.
type targetField struct {
	collection keys.Collection
	missing    string // reason when it does not exist (C3.27)
	// refs are the names of those resources in a distribution.
	refs func(*configv1.Distribution) []string
}

func targetFields() map[string]targetField {
	behaviors := func(refs func(b *configv1.CacheBehavior) []string) func(*configv1.Distribution) []string {
		return func(d *configv1.Distribution) (out []string) {
			c := d.GetConfig()
			for _, b := range append([]*configv1.CacheBehavior{c.GetDefaultCacheBehavior()}, c.GetCacheBehaviors()...) {
				out = append(out, refs(b)...)
			}
			return out
		}
	}
	origins := func(ref func(o *configv1.Origin) string) func(*configv1.Distribution) []string {
		return func(d *configv1.Distribution) (out []string) {
			for _, o := range d.GetConfig().GetOrigins() {
				out = append(out, ref(o))
			}
			return out
		}
	}
	return map[string]targetField{
		"cache_policy": {keys.CachePolicies, "NO_SUCH_CACHE_POLICY", behaviors(func(b *configv1.CacheBehavior) []string { return []string{b.GetCachePolicy()} })},
		"origin_request_policy": {keys.OriginRequestPolicies, "NO_SUCH_ORIGIN_REQUEST_POLICY", behaviors(func(b *configv1.CacheBehavior) []string { // C2.193
			return []string{b.GetOriginRequestPolicy()}
		})},
		"response_headers_policy": {keys.ResponseHeadersPolicies, "NO_SUCH_RESPONSE_HEADERS_POLICY", behaviors(func(b *configv1.CacheBehavior) []string { // C2.194
			return []string{b.GetResponseHeadersPolicy()}
		})},
		"key_group": {keys.KeyGroups, "NO_SUCH_RESOURCE", behaviors((*configv1.CacheBehavior).GetTrustedKeyGroups)}, // C2.191
		"function": {keys.Functions, "NO_SUCH_FUNCTION_EXISTS", behaviors(func(b *configv1.CacheBehavior) (out []string) { // C2.202
			for _, a := range b.GetFunctionAssociations() {
				out = append(out, a.GetFunction())
			}
			return out
		})},
		"realtime_log_config": {keys.RealtimeLogConfigs, "NO_SUCH_REALTIME_LOG_CONFIG", behaviors(func(b *configv1.CacheBehavior) []string { // C2.196
			return []string{b.GetRealtimeLogConfig()}
		})},
		"origin":                {keys.Origins, entityNotFound, origins((*configv1.Origin).GetOriginRef)},
		"origin_access_control": {keys.OriginAccessControls, "NO_SUCH_ORIGIN_ACCESS_CONTROL", origins((*configv1.Origin).GetOriginAccessControl)}, // C2.200
		"certificate": {keys.Certificates, entityNotFound, func(d *configv1.Distribution) []string {
			return []string{d.GetConfig().GetViewerCertificate().GetCertificate()}
		}},
	}
}

// Parse reads a filter. Violations are at filter, with the position.
func Parse(text string) (Query, []rules.Violation) {
	const field = "filter"
	terms, err := filter.Parse(text, "labels")
	if err != nil {
		return Query{}, []rules.Violation{{Field: field, Reason: rules.ReasonInvalid, Description: err.Error()}}
	}
	q := Query{text: terms.String()}
	var vs []rules.Violation
	for _, t := range terms {
		if err := q.add(t); err != nil {
			vs = append(vs, rules.Violation{
				Field: field, Reason: rules.ReasonInvalid, Description: fmt.Sprintf("has %.100q, which %v (at position %d)", t.Field, err, t.Position),
			})
		}
	}
	return q, vs
}

func (q *Query) add(t filter.Term) error {
	switch {
	case t.Key != "":
		q.tests = append(q.tests, func(d *configv1.Distribution) bool {
			v, ok := d.GetLabels()[t.Key]
			return ok && v == t.Value
		})
		return nil
	case t.Field == "config.enabled":
		return q.boolean(t, func(d *configv1.Distribution) bool { return d.GetConfig().GetEnabled() })
	case t.Field == "config.staging", t.Field == "staging":
		return q.boolean(t, (*configv1.Distribution).GetStaging)
	case t.Field == "deployment.state":
		n, ok := commonv1.Deployment_State_value[t.Value]
		if !ok || n == 0 {
			return errors.New("is compared with no state; want STATE_IN_PROGRESS or STATE_DEPLOYED")
		}
		q.states = append(q.states, commonv1.Deployment_State(n))
		return nil
	case t.Field == "alias":
		if q.alias == "" {
			q.alias = t.Value
		}
		q.tests = append(q.tests, func(d *configv1.Distribution) bool { return slices.Contains(d.GetConfig().GetAliases(), t.Value) })
		if t.Value == "" {
			return errors.New("is compared with an empty name")
		}
		return nil
	}
	f, ok := targetFields()[t.Field]
	if !ok {
		return errors.New("is not offered; the fields are config.enabled, config.staging, deployment.state, alias, labels.KEY, cache_policy, " +
			"origin_request_policy, response_headers_policy, key_group, function, origin, origin_access_control, realtime_log_config, certificate")
	}
	id, bad := rules.ParseName("", f.collection, t.Value)
	if bad != nil {
		return fmt.Errorf("is compared with what %s", bad[0].Description)
	}
	q.targets = append(q.targets, target{f.collection, id})
	q.tests = append(q.tests, func(d *configv1.Distribution) bool { return slices.Contains(f.refs(d), t.Value) })
	return nil
}

func (q *Query) boolean(t filter.Term, of func(*configv1.Distribution) bool) error {
	if t.Value != "true" && t.Value != "false" {
		return errors.New("is compared with neither true nor false")
	}
	q.tests = append(q.tests, func(d *configv1.Distribution) bool { return of(d) == (t.Value == "true") })
	return nil
}

// Takes says whether the filter takes d, whatever its deployment.
func (q Query) Takes(d *configv1.Distribution) bool {
	for _, test := range q.tests {
		if !test(d) {
			return false
		}
	}
	return true
}

// TakesState says whether the filter takes a distribution whose deployment is in a state.
func (q Query) TakesState(state commonv1.Deployment_State) bool {
	return !slices.ContainsFunc(q.states, func(want commonv1.Deployment_State) bool { return want != state })
}

// Referrers is the prefix of the keys of those who refer to what is asked for, empty
// when that leads to nobody: who refers to a managed policy is written down nowhere.
func (q Query) Referrers() string {
	for _, t := range q.targets {
		if !t.managed() {
			return keys.RefsTo(t.collection, t.id) + string(keys.Distributions) + "/"
		}
	}
	return ""
}

func (t target) managed() bool {
	return managed.Has(t.collection, t.id)
}

// CheckTargets demands that what a filter names exists: an unknown resource is an
// error, one that nobody uses an empty listing (C3.27).
func (q Query) CheckTargets(ctx context.Context, kv clientv3.KV) error {
	for _, t := range q.targets {
		if t.managed() {
			continue
		}
		key := keys.Resource(t.collection, t.id)
		if t.collection == keys.Functions { // its DEVELOPMENT stage is always there
			key = keys.Draft(t.id)
		}
		_, revision, err := records.Lookup(ctx, kv, key)
		if err != nil {
			return err
		}
		if revision > 0 {
			continue
		}
		name := t.collection.Name(t.id)
		for _, f := range targetFields() {
			if f.collection == t.collection {
				return apierr.New(apierr.NotFound, f.missing, "%s does not exist", name).At("filter").With("resource", name)
			}
		}
	}
	return nil
}
