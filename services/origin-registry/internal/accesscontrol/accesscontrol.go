// SPDX-License-Identifier: Apache-2.0

// Package accesscontrol is the OriginAccessControlService: it keeps how requests to
// origins are signed (C1.10). It signs nothing.
package accesscontrol

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/access"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// Reasons of errors.
const (
	reasonMissing = "NO_SUCH_ORIGIN_ACCESS_CONTROL"        // C2.200
	reasonTaken   = "ORIGIN_ACCESS_CONTROL_ALREADY_EXISTS" // C2.213
	reasonHeld    = "ORIGIN_ACCESS_CONTROL_IN_USE"         // C1.57, C2.231
	reasonTooMany = "TOO_MANY_ORIGIN_ACCESS_CONTROLS"      // C2.303
)

// Server is a originv1.OriginAccessControlServiceServer.
type Server struct {
	originv1.UnimplementedOriginAccessControlServiceServer
	c *collection.Collection[*originv1.OriginAccessControl]
}

// New makes the service. most is how many access controls there may be (C4.18).
func New(kv clientv3.KV, requests *records.Requests, most int64) *Server {
	return &Server{c: collection.New(kv, requests, collection.Kind[*originv1.OriginAccessControl]{
		Collection: keys.OriginAccessControls, Field: "origin_access_control", Noun: "origin access control",
		Missing: reasonMissing, Taken: reasonTaken, Held: reasonHeld, TooMany: reasonTooMany, Most: most,
		NewID:     keys.NewAccessControlID,
		Name:      (*originv1.OriginAccessControl).GetDisplayName,
		NameField: "display_name",
		Check:     access.CheckControl,
		Updatable: []protoreflect.Name{
			"labels", "display_name", "description", "signing_protocol", "signing_behavior", "origin_type",
		},
	})}
}

// GetOriginAccessControl returns one.
func (s *Server) GetOriginAccessControl(ctx context.Context, req *originv1.GetOriginAccessControlRequest) (*originv1.GetOriginAccessControlResponse, error) {
	m, err := s.c.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &originv1.GetOriginAccessControlResponse{OriginAccessControl: m}, nil
}

// ListOriginAccessControls returns a page.
func (s *Server) ListOriginAccessControls(ctx context.Context, req *originv1.ListOriginAccessControlsRequest) (*originv1.ListOriginAccessControlsResponse, error) {
	page, next, err := s.c.List(ctx, collection.ListRequest[*originv1.OriginAccessControl]{
		Method: "ListOriginAccessControls", PageSize: req.GetPageSize(), Token: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	return &originv1.ListOriginAccessControlsResponse{OriginAccessControls: page, NextPageToken: next}, nil
}

// CreateOriginAccessControl checks and writes a new one.
func (s *Server) CreateOriginAccessControl(ctx context.Context, req *originv1.CreateOriginAccessControlRequest) (*originv1.CreateOriginAccessControlResponse, error) {
	made, warnings, err := s.c.Create(ctx, req.GetOriginAccessControl(), "", collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &originv1.CreateOriginAccessControlResponse{OriginAccessControl: made, Warnings: warnings}, nil
}

// UpdateOriginAccessControl checks and writes a change.
func (s *Server) UpdateOriginAccessControl(ctx context.Context, req *originv1.UpdateOriginAccessControlRequest) (*originv1.UpdateOriginAccessControlResponse, error) {
	made, warnings, err := s.c.Update(ctx, req.GetOriginAccessControl(), req.GetUpdateMask(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &originv1.UpdateOriginAccessControlResponse{OriginAccessControl: made, Warnings: warnings}, nil
}

// DeleteOriginAccessControl removes one that nothing refers to.
func (s *Server) DeleteOriginAccessControl(ctx context.Context, req *originv1.DeleteOriginAccessControlRequest) (*originv1.DeleteOriginAccessControlResponse, error) {
	err := s.c.Delete(ctx, req.GetName(), req.GetEtag(), req.GetAllowMissing(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &originv1.DeleteOriginAccessControlResponse{}, nil
}
