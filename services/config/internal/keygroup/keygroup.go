// SPDX-License-Identifier: Apache-2.0

// Package keygroup is the KeyGroupService: it keeps the groups of public keys that
// behaviors trust (C1.13). A key is not deleted while it is in a group, nor a group
// while a behavior refers to it.
package keygroup

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/pki"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Reasons of errors.
const (
	reasonMissing   = "NO_SUCH_RESOURCE"         // C2.191, C9.6
	reasonTaken     = "KEY_GROUP_ALREADY_EXISTS" // C2.216
	reasonHeld      = "RESOURCE_IN_USE"          // C1.60, C2.225, C9.6
	reasonTooMany   = "TOO_MANY_KEY_GROUPS"      // C2.306
	reasonNoSuchKey = "NO_SUCH_PUBLIC_KEY"       // C2.199
)

// Server is a configv1.KeyGroupServiceServer.
type Server struct {
	configv1.UnimplementedKeyGroupServiceServer
	c *collection.Collection[*configv1.KeyGroup]
}

// New makes the service. most is how many groups there may be (C4.41), keysPerGroup how
// many keys each may have (C4.40).
func New(kv clientv3.KV, requests *records.Requests, most int64, keysPerGroup int) *Server {
	return &Server{c: collection.New(kv, requests, collection.Kind[*configv1.KeyGroup]{
		Collection: keys.KeyGroups, Field: "key_group", Noun: "key group",
		Missing: reasonMissing, Taken: reasonTaken, Held: reasonHeld, TooMany: reasonTooMany, Most: most,
		NewID:     uuid.NewString,
		Name:      (*configv1.KeyGroup).GetDisplayName,
		NameField: "display_name",
		Check:     func(g *configv1.KeyGroup) []rules.Violation { return pki.CheckKeyGroup(g, keysPerGroup) },
		Refs:      refs,
		Updatable: []protoreflect.Name{"labels", "display_name", "public_keys", "comment"},
	})}
}

// GetKeyGroup returns one.
func (s *Server) GetKeyGroup(ctx context.Context, req *configv1.GetKeyGroupRequest) (*configv1.GetKeyGroupResponse, error) {
	m, err := s.c.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &configv1.GetKeyGroupResponse{KeyGroup: m}, nil
}

// ListKeyGroups returns a page.
func (s *Server) ListKeyGroups(ctx context.Context, req *configv1.ListKeyGroupsRequest) (*configv1.ListKeyGroupsResponse, error) {
	page, next, err := s.c.List(ctx, collection.ListRequest[*configv1.KeyGroup]{
		Method: "ListKeyGroups", PageSize: req.GetPageSize(), Token: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListKeyGroupsResponse{KeyGroups: page, NextPageToken: next}, nil
}

// CreateKeyGroup checks and writes a new one.
func (s *Server) CreateKeyGroup(ctx context.Context, req *configv1.CreateKeyGroupRequest) (*configv1.CreateKeyGroupResponse, error) {
	made, warnings, err := s.c.Create(ctx, req.GetKeyGroup(), "", collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.CreateKeyGroupResponse{KeyGroup: made, Warnings: warnings}, nil
}

// UpdateKeyGroup checks and writes a change.
func (s *Server) UpdateKeyGroup(ctx context.Context, req *configv1.UpdateKeyGroupRequest) (*configv1.UpdateKeyGroupResponse, error) {
	made, warnings, err := s.c.Update(ctx, req.GetKeyGroup(), req.GetUpdateMask(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.UpdateKeyGroupResponse{KeyGroup: made, Warnings: warnings}, nil
}

// DeleteKeyGroup removes one that nothing refers to.
func (s *Server) DeleteKeyGroup(ctx context.Context, req *configv1.DeleteKeyGroupRequest) (*configv1.DeleteKeyGroupResponse, error) {
	err := s.c.Delete(ctx, req.GetName(), req.GetEtag(), req.GetAllowMissing(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.DeleteKeyGroupResponse{}, nil
}

// refs are the keys of a group (C1.46).
func refs(g *configv1.KeyGroup) []collection.Ref {
	var out []collection.Ref
	for i, name := range g.GetPublicKeys() {
		if id, bad := rules.ParseName("", keys.PublicKeys, name); len(bad) == 0 {
			out = append(out, collection.Ref{
				Collection: keys.PublicKeys, ID: id, Field: fmt.Sprintf("public_keys[%d]", i), Reason: reasonNoSuchKey,
			})
		}
	}
	return out
}
