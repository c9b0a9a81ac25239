// SPDX-License-Identifier: Apache-2.0

// Package cachepolicy is the CachePolicyService: it shows the managed policies, which
// are part of the program, and those that are stored in etcd. It writes nothing.
package cachepolicy

import (
	"context"
	"encoding/base64"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/managed"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

const reasonNoSuchCachePolicy = "NO_SUCH_CACHE_POLICY" // C2.192

// The methods that page tokens name: a listing goes through the managed policies by
// tokens of its own, and then through the stored ones.
const (
	methodList    = "ListCachePolicies"
	methodManaged = "ListCachePolicies/managed"
)

// Server is a configv1.CachePolicyServiceServer.
type Server struct {
	configv1.UnimplementedCachePolicyServiceServer
	kv clientv3.KV
}

// New makes the service.
func New(kv clientv3.KV) *Server { return &Server{kv: kv} }

// GetCachePolicy returns one policy.
func (s *Server) GetCachePolicy(ctx context.Context, req *configv1.GetCachePolicyRequest) (*configv1.GetCachePolicyResponse, error) {
	id, vs := rules.ParseName("name", keys.CachePolicies, req.GetName())
	if len(vs) > 0 {
		return nil, apierr.BadFields(violations(vs))
	}
	if p, ok := managed.CachePolicy(id); ok {
		return &configv1.GetCachePolicyResponse{CachePolicy: p}, nil
	}
	var p configv1.CachePolicy
	version, found, err := records.Get(ctx, s.kv, keys.Resource(keys.CachePolicies, id), &p)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, apierr.New(apierr.NotFound, reasonNoSuchCachePolicy, "%s does not exist", req.GetName()).With("resource", req.GetName())
	}
	p.Etag = version.ETag()
	return &configv1.GetCachePolicyResponse{CachePolicy: &p}, nil
}

// ListCachePolicies returns a page: managed policies first, each kind by id (C3.26).
func (s *Server) ListCachePolicies(ctx context.Context, req *configv1.ListCachePoliciesRequest) (*configv1.ListCachePoliciesResponse, error) {
	size, vs := rules.PageSize(req.GetPageSize())
	if _, known := configv1.CachePolicy_Type_name[int32(req.GetType())]; !known {
		vs = append(vs, rules.Violation{Field: "type", Reason: rules.ReasonInvalid, Description: "has no such value"})
	}
	kind := req.GetType()
	page, next := []*configv1.CachePolicy(nil), req.GetPageToken()
	after, ours := managedToken(next, kind)
	bad := violations(vs)
	if !ours {
		bad = append(bad, listing(kind, next, size).Check()...)
	}
	if e := apierr.BadFields(bad); e != nil {
		return nil, e
	}
	if kind != configv1.CachePolicy_TYPE_CUSTOM && (next == "" || ours) {
		page, next = managedPage(after, kind, size)
		if next != "" || kind == configv1.CachePolicy_TYPE_MANAGED {
			return &configv1.ListCachePoliciesResponse{CachePolicies: page, NextPageToken: next}, nil
		}
	}
	stored, next, err := s.storedPage(ctx, kind, next, size-len(page))
	if err != nil {
		return nil, err
	}
	return &configv1.ListCachePoliciesResponse{CachePolicies: append(page, stored...), NextPageToken: next}, nil
}

// managedPage returns the managed policies behind after, and the token of the next
// page when this one is full.
func managedPage(after string, kind configv1.CachePolicy_Type, size int) (page []*configv1.CachePolicy, next string) {
	all := managed.CachePolicies()
	last := all[len(all)-1].GetUid()
	for _, p := range all {
		if p.GetUid() <= after {
			continue
		}
		page = append(page, p)
		if len(page) == size && (p.GetUid() != last || kind != configv1.CachePolicy_TYPE_MANAGED) {
			return page, formatToken(p.GetUid(), kind)
		}
	}
	return page, ""
}

func (s *Server) storedPage(ctx context.Context, kind configv1.CachePolicy_Type, token string, size int) ([]*configv1.CachePolicy, string, error) {
	return records.List(ctx, s.kv, listing(kind, token, size), func(item records.Item) (*configv1.CachePolicy, error) {
		var p configv1.CachePolicy
		if err := proto.Unmarshal(item.Resource, &p); err != nil {
			e := apierr.New(apierr.Internal, apierr.ReasonInternal, "internal error")
			e.Cause = fmt.Errorf("record %s: %w", item.Key, err)
			return nil, e
		}
		p.Etag = item.ETag()
		return &p, nil
	})
}

// listing is that of stored policies.
func listing(kind configv1.CachePolicy_Type, token string, size int) records.ListRequest {
	return records.ListRequest{Method: methodList, Prefix: keys.CachePolicies.Prefix(), PageSize: size, Token: token, Filter: kind.String()}
}

func formatToken(after string, kind configv1.CachePolicy_Type) string {
	b, err := proto.Marshal(&storev1.PageToken{Method: methodManaged, After: after, Filter: kind.String()})
	if err != nil { // only for text that is not UTF-8
		panic(fmt.Sprintf("page token: %v", err))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// managedToken reads a token of formatToken. Any other is left to package records,
// which refuses it when it is not of this listing either.
func managedToken(token string, kind configv1.CachePolicy_Type) (after string, ours bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return "", false
	}
	var at storev1.PageToken
	if proto.Unmarshal(b, &at) != nil || at.GetMethod() != methodManaged || at.GetFilter() != kind.String() {
		return "", false
	}
	return at.GetAfter(), true
}

func violations(vs []rules.Violation) []apierr.Violation {
	var out []apierr.Violation
	for _, v := range vs {
		out = append(out, apierr.Violation(v))
	}
	return out
}
