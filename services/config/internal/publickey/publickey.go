// SPDX-License-Identifier: Apache-2.0

// Package publickey is the PublicKeyService: it keeps the keys that signatures of URLs
// and cookies are checked with. A key never changes; only its comment and labels do
// (C2.146, C3.66).
package publickey

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/pki"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Reasons of errors.
const (
	reasonMissing   = "NO_SUCH_PUBLIC_KEY"                        // C2.199
	reasonTaken     = "PUBLIC_KEY_ALREADY_EXISTS"                 // C2.215
	reasonHeld      = "PUBLIC_KEY_IN_USE"                         // C1.59, C2.233
	reasonTooMany   = "TOO_MANY_PUBLIC_KEYS"                      // C2.305
	reasonImmovable = "CANNOT_CHANGE_IMMUTABLE_PUBLIC_KEY_FIELDS" // C2.240
)

// Server is a configv1.PublicKeyServiceServer.
type Server struct {
	configv1.UnimplementedPublicKeyServiceServer
	c *collection.Collection[*configv1.PublicKey]
}

// New makes the service. most is how many keys there may be (C4.39).
func New(kv clientv3.KV, requests *records.Requests, most int64) *Server {
	return &Server{c: collection.New(kv, requests, collection.Kind[*configv1.PublicKey]{
		Collection: keys.PublicKeys, Field: "public_key", Noun: "public key",
		Missing: reasonMissing, Taken: reasonTaken, Held: reasonHeld, TooMany: reasonTooMany, Most: most,
		NewID:     keys.NewPublicKeyID,
		Name:      (*configv1.PublicKey).GetDisplayName,
		NameField: "display_name",
		Reference: (*configv1.PublicKey).GetCallerReference,
		Default:   pki.FillPublicKey,
		Check:     pki.CheckPublicKey,
		Updatable: []protoreflect.Name{"labels", "comment"},
		Immutable: []protoreflect.Name{"caller_reference", "display_name", "pem"},
		Immovable: reasonImmovable,
	})}
}

// GetPublicKey returns one.
func (s *Server) GetPublicKey(ctx context.Context, req *configv1.GetPublicKeyRequest) (*configv1.GetPublicKeyResponse, error) {
	m, err := s.c.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &configv1.GetPublicKeyResponse{PublicKey: m}, nil
}

// ListPublicKeys returns a page.
func (s *Server) ListPublicKeys(ctx context.Context, req *configv1.ListPublicKeysRequest) (*configv1.ListPublicKeysResponse, error) {
	page, next, err := s.c.List(ctx, collection.ListRequest[*configv1.PublicKey]{
		Method: "ListPublicKeys", PageSize: req.GetPageSize(), Token: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListPublicKeysResponse{PublicKeys: page, NextPageToken: next}, nil
}

// CreatePublicKey checks and writes a new one.
func (s *Server) CreatePublicKey(ctx context.Context, req *configv1.CreatePublicKeyRequest) (*configv1.CreatePublicKeyResponse, error) {
	made, warnings, err := s.c.Create(ctx, req.GetPublicKey(), "", collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.CreatePublicKeyResponse{PublicKey: made, Warnings: warnings}, nil
}

// UpdatePublicKey checks and writes a change.
func (s *Server) UpdatePublicKey(ctx context.Context, req *configv1.UpdatePublicKeyRequest) (*configv1.UpdatePublicKeyResponse, error) {
	made, warnings, err := s.c.Update(ctx, req.GetPublicKey(), req.GetUpdateMask(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.UpdatePublicKeyResponse{PublicKey: made, Warnings: warnings}, nil
}

// DeletePublicKey removes one that nothing refers to.
func (s *Server) DeletePublicKey(ctx context.Context, req *configv1.DeletePublicKeyRequest) (*configv1.DeletePublicKeyResponse, error) {
	err := s.c.Delete(ctx, req.GetName(), req.GetEtag(), req.GetAllowMissing(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.DeletePublicKeyResponse{}, nil
}
