// SPDX-License-Identifier: Apache-2.0

// Package keyvaluestore is the KeyValueStoreService: it keeps named values that
// functions read (C1.15). The record of a store holds how many entries it has and how
// large they are; each batch writes it together with the entries, so batches of one
// store happen one after another, and the limits hold.
package keyvaluestore

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/script"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Reasons of errors.
const (
	reasonMissing = "ENTITY_NOT_FOUND"                  // C2.152
	reasonTaken   = "ENTITY_ALREADY_EXISTS"             // C2.220
	reasonHeld    = "CANNOT_DELETE_ENTITY_WHILE_IN_USE" // C1.62, C2.236
	reasonTooMany = "ENTITY_LIMIT_EXCEEDED"             // C2.312
	reasonNoEntry = "NO_SUCH_RESOURCE"                  // C2.191
)

// Server is a configv1.KeyValueStoreServiceServer.
type Server struct {
	configv1.UnimplementedKeyValueStoreServiceServer
	c     *collection.Collection[*configv1.KeyValueStore]
	kv    clientv3.KV
	bytes int64
}

// New makes the service. most is how many stores there may be, bytes how large each may
// be (C4.53).
func New(kv clientv3.KV, requests *records.Requests, most, bytes int64) *Server {
	return &Server{kv: kv, bytes: bytes, c: collection.New(kv, requests, collection.Kind[*configv1.KeyValueStore]{
		Collection: keys.KeyValueStores, Field: "key_value_store", Noun: "key-value store",
		Missing: reasonMissing, Taken: reasonTaken, Held: reasonHeld, TooMany: reasonTooMany, Most: most,
		Check:     script.CheckStore,
		Updatable: []protoreflect.Name{"labels", "comment"},
		Add:       withEntries,
		Show:      show,
	})}
}

// GetKeyValueStore returns one.
func (s *Server) GetKeyValueStore(ctx context.Context, req *configv1.GetKeyValueStoreRequest) (*configv1.GetKeyValueStoreResponse, error) {
	m, err := s.c.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &configv1.GetKeyValueStoreResponse{KeyValueStore: m}, nil
}

// ListKeyValueStores returns a page (C3.26).
func (s *Server) ListKeyValueStores(ctx context.Context, req *configv1.ListKeyValueStoresRequest) (*configv1.ListKeyValueStoresResponse, error) {
	var bad []rules.Violation
	want := req.GetStatus()
	if _, known := configv1.KeyValueStore_Status_name[int32(want)]; !known {
		bad = append(bad, rules.Violation{Field: "status", Reason: rules.ReasonInvalid, Description: "has no such value"})
	}
	page, next, err := s.c.List(ctx, collection.ListRequest[*configv1.KeyValueStore]{
		Method: "ListKeyValueStores", PageSize: req.GetPageSize(), Token: req.GetPageToken(), Filter: want.String(), Bad: bad,
		Match: func(m *configv1.KeyValueStore) bool { return want == 0 || m.GetStatus() == want },
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListKeyValueStoresResponse{KeyValueStores: page, NextPageToken: next}, nil
}

// CreateKeyValueStore checks and writes a new one.
func (s *Server) CreateKeyValueStore(ctx context.Context, req *configv1.CreateKeyValueStoreRequest) (*configv1.CreateKeyValueStoreResponse, error) {
	made, warnings, err := s.c.Create(ctx, req.GetKeyValueStore(), req.GetKeyValueStoreId(), collection.Of(req, script.CheckStoreID(req.GetKeyValueStoreId())...))
	if err != nil {
		return nil, err
	}
	return &configv1.CreateKeyValueStoreResponse{KeyValueStore: made, Warnings: warnings}, nil
}

// UpdateKeyValueStore checks and writes a change.
func (s *Server) UpdateKeyValueStore(ctx context.Context, req *configv1.UpdateKeyValueStoreRequest) (*configv1.UpdateKeyValueStoreResponse, error) {
	made, warnings, err := s.c.Update(ctx, req.GetKeyValueStore(), req.GetUpdateMask(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.UpdateKeyValueStoreResponse{KeyValueStore: made, Warnings: warnings}, nil
}

// DeleteKeyValueStore removes one that nothing refers to.
func (s *Server) DeleteKeyValueStore(ctx context.Context, req *configv1.DeleteKeyValueStoreRequest) (*configv1.DeleteKeyValueStoreResponse, error) {
	err := s.c.Delete(ctx, req.GetName(), req.GetEtag(), req.GetAllowMissing(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.DeleteKeyValueStoreResponse{}, nil
}

// withEntries removes the entries of a store with it.
func withEntries(_ context.Context, tx *collection.Write, _, now *configv1.KeyValueStore) error {
	if now == nil {
		tx.DeletePrefix(keys.EntriesOf(tx.ID))
	}
	return nil
}

// show fills what is computed: a store that exists can be read.
func show(_ context.Context, s *configv1.KeyValueStore, _ records.Version) error {
	s.Status = configv1.KeyValueStore_STATUS_READY
	return nil
}
