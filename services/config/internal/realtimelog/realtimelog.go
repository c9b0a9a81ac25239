// SPDX-License-Identifier: Apache-2.0

// Package realtimelog is the RealtimeLogConfigService: it keeps what is logged of
// requests as they happen (C1.16). It writes no log.
package realtimelog

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/realtime"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Reasons of errors.
const (
	reasonMissing = "NO_SUCH_REALTIME_LOG_CONFIG"        // C2.196
	reasonTaken   = "REALTIME_LOG_CONFIG_ALREADY_EXISTS" // C2.218
	reasonHeld    = "REALTIME_LOG_CONFIG_IN_USE"         // C1.65, C2.235
	reasonTooMany = "TOO_MANY_REALTIME_LOG_CONFIGS"      // C2.308
)

// Server is a configv1.RealtimeLogConfigServiceServer.
type Server struct {
	configv1.UnimplementedRealtimeLogConfigServiceServer
	c *collection.Collection[*configv1.RealtimeLogConfig]
}

// New makes the service. most is how many configurations there may be (C4.46).
func New(kv clientv3.KV, requests *records.Requests, most int64) *Server {
	return &Server{c: collection.New(kv, requests, collection.Kind[*configv1.RealtimeLogConfig]{
		Collection: keys.RealtimeLogConfigs, Field: "realtime_log_config", Noun: "real-time log configuration",
		Missing: reasonMissing, Taken: reasonTaken, Held: reasonHeld, TooMany: reasonTooMany, Most: most,
		Check:     realtime.CheckConfig,
		Updatable: []protoreflect.Name{"labels", "sampling_rate", "fields", "endpoints"},
	})}
}

// GetRealtimeLogConfig returns one.
func (s *Server) GetRealtimeLogConfig(ctx context.Context, req *configv1.GetRealtimeLogConfigRequest) (*configv1.GetRealtimeLogConfigResponse, error) {
	m, err := s.c.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &configv1.GetRealtimeLogConfigResponse{RealtimeLogConfig: m}, nil
}

// ListRealtimeLogConfigs returns a page.
func (s *Server) ListRealtimeLogConfigs(ctx context.Context, req *configv1.ListRealtimeLogConfigsRequest) (*configv1.ListRealtimeLogConfigsResponse, error) {
	page, next, err := s.c.List(ctx, collection.ListRequest[*configv1.RealtimeLogConfig]{
		Method: "ListRealtimeLogConfigs", PageSize: req.GetPageSize(), Token: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListRealtimeLogConfigsResponse{RealtimeLogConfigs: page, NextPageToken: next}, nil
}

// CreateRealtimeLogConfig checks and writes a new one.
func (s *Server) CreateRealtimeLogConfig(ctx context.Context, req *configv1.CreateRealtimeLogConfigRequest) (*configv1.CreateRealtimeLogConfigResponse, error) {
	made, warnings, err := s.c.Create(ctx, req.GetRealtimeLogConfig(), req.GetRealtimeLogConfigId(), collection.Of(req, realtime.CheckID(req.GetRealtimeLogConfigId())...))
	if err != nil {
		return nil, err
	}
	return &configv1.CreateRealtimeLogConfigResponse{RealtimeLogConfig: made, Warnings: warnings}, nil
}

// UpdateRealtimeLogConfig checks and writes a change.
func (s *Server) UpdateRealtimeLogConfig(ctx context.Context, req *configv1.UpdateRealtimeLogConfigRequest) (*configv1.UpdateRealtimeLogConfigResponse, error) {
	made, warnings, err := s.c.Update(ctx, req.GetRealtimeLogConfig(), req.GetUpdateMask(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.UpdateRealtimeLogConfigResponse{RealtimeLogConfig: made, Warnings: warnings}, nil
}

// DeleteRealtimeLogConfig removes one that nothing refers to.
func (s *Server) DeleteRealtimeLogConfig(ctx context.Context, req *configv1.DeleteRealtimeLogConfigRequest) (*configv1.DeleteRealtimeLogConfigResponse, error) {
	err := s.c.Delete(ctx, req.GetName(), req.GetEtag(), req.GetAllowMissing(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.DeleteRealtimeLogConfigResponse{}, nil
}
