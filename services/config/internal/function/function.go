// SPDX-License-Identifier: Apache-2.0

// Package function is the FunctionService: it keeps the code that edges run for
// viewers, in two stages with an etag each (C1.14, C1.77, C1.78). DEVELOPMENT is a
// record of the control plane, LIVE one that edges see (C8.25, C8.36). It parses code
// and never runs it.
package function

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/script"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Reasons of errors.
const (
	reasonMissing     = "NO_SUCH_FUNCTION_EXISTS" // C2.202, C9.6
	reasonTaken       = "FUNCTION_ALREADY_EXISTS" // C2.217
	reasonHeld        = "FUNCTION_IN_USE"         // C1.61, C2.234
	reasonTooMany     = "TOO_MANY_FUNCTIONS"      // C2.307
	reasonNoSuchStore = "ENTITY_NOT_FOUND"        // C1.48
)

// Server is a configv1.FunctionServiceServer.
type Server struct {
	configv1.UnimplementedFunctionServiceServer
	c        *collection.Collection[*configv1.Function] // of DEVELOPMENT
	kv       clientv3.KV
	requests *records.Requests
}

// New makes the service. most is how many functions there may be (C4.48), codeBytes how
// large the code of each (C4.49).
func New(kv clientv3.KV, requests *records.Requests, most int64, codeBytes int) *Server {
	s := &Server{kv: kv, requests: requests}
	s.c = collection.New(kv, requests, collection.Kind[*configv1.Function]{
		Collection: keys.Functions, Field: "function", Noun: "function",
		Missing: reasonMissing, Taken: reasonTaken, Held: reasonHeld, TooMany: reasonTooMany, Most: most,
		Key:       keys.Draft,
		Default:   script.FillFunction,
		Check:     func(f *configv1.Function) []rules.Violation { return script.CheckFunction(f, codeBytes) },
		Refs:      refs,
		Updatable: []protoreflect.Name{"labels", "comment", "runtime", "code", "key_value_stores"},
		Add:       s.withLive,
		Show:      s.showDevelopment,
	})
	return s
}

// GetFunction returns one stage without its code.
func (s *Server) GetFunction(ctx context.Context, req *configv1.GetFunctionRequest) (*configv1.GetFunctionResponse, error) {
	if err := collection.BadFields("", checkStage(req.GetStage())); err != nil {
		return nil, err
	}
	if req.GetStage() != configv1.Function_STAGE_LIVE {
		f, err := s.c.Get(ctx, req.GetName())
		if err != nil {
			return nil, err
		}
		return &configv1.GetFunctionResponse{Function: f}, nil
	}
	f, v, err := s.stored(ctx, req.GetName(), req.GetStage())
	if err == nil {
		err = s.showLive(ctx, f, v)
	}
	if err != nil {
		return nil, err
	}
	return &configv1.GetFunctionResponse{Function: f}, nil
}

// GetFunctionCode returns the code of one stage.
func (s *Server) GetFunctionCode(ctx context.Context, req *configv1.GetFunctionCodeRequest) (*configv1.GetFunctionCodeResponse, error) {
	if err := collection.BadFields("", checkStage(req.GetStage())); err != nil {
		return nil, err
	}
	f, v, err := s.stored(ctx, req.GetName(), req.GetStage())
	if err != nil {
		return nil, err
	}
	return &configv1.GetFunctionCodeResponse{Code: f.GetCode(), Etag: v.ETag(), Runtime: f.GetRuntime()}, nil
}

// CreateFunction checks and writes a new function, DEVELOPMENT alone.
func (s *Server) CreateFunction(ctx context.Context, req *configv1.CreateFunctionRequest) (*configv1.CreateFunctionResponse, error) {
	made, warnings, err := s.c.Create(ctx, req.GetFunction(), req.GetFunctionId(), collection.Of(req, script.CheckFunctionID(req.GetFunctionId())...))
	if err != nil {
		return nil, err
	}
	return &configv1.CreateFunctionResponse{Function: made, Warnings: warnings}, nil
}

// UpdateFunction checks and writes a change of DEVELOPMENT (C3.63).
func (s *Server) UpdateFunction(ctx context.Context, req *configv1.UpdateFunctionRequest) (*configv1.UpdateFunctionResponse, error) {
	made, warnings, err := s.c.Update(ctx, req.GetFunction(), req.GetUpdateMask(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.UpdateFunctionResponse{Function: made, Warnings: warnings}, nil
}

// DeleteFunction removes both stages (C1.61).
func (s *Server) DeleteFunction(ctx context.Context, req *configv1.DeleteFunctionRequest) (*configv1.DeleteFunctionResponse, error) {
	err := s.c.Delete(ctx, req.GetName(), req.GetEtag(), req.GetAllowMissing(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.DeleteFunctionResponse{}, nil
}

// refs are the stores that code reads (C1.48).
func refs(f *configv1.Function) []collection.Ref {
	var out []collection.Ref
	for i, name := range f.GetKeyValueStores() {
		if id, bad := rules.ParseName("", keys.KeyValueStores, name); len(bad) == 0 {
			out = append(out, collection.Ref{
				Collection: keys.KeyValueStores, ID: id, Field: fmt.Sprintf("key_value_stores[%d]", i), Reason: reasonNoSuchStore,
			})
		}
	}
	return out
}

// checkStage refuses numbers without a name.
func checkStage(stage configv1.Function_Stage) []rules.Violation {
	if _, known := configv1.Function_Stage_name[int32(stage)]; known {
		return nil
	}
	return []rules.Violation{{Field: "stage", Reason: rules.ReasonInvalid, Description: "has no such value"}}
}

// stored reads one stage, with its code; one that does not exist is an error.
func (s *Server) stored(ctx context.Context, name string, stage configv1.Function_Stage) (*configv1.Function, records.Version, error) {
	id, vs := rules.ParseName("name", keys.Functions, name)
	if err := collection.BadFields("", vs); err != nil {
		return nil, records.Version{}, err
	}
	key, what := keys.Draft(id), name
	if stage == configv1.Function_STAGE_LIVE {
		key, what = keys.Resource(keys.Functions, id), name+", stage LIVE,"
	}
	f := &configv1.Function{}
	v, found, err := records.Get(ctx, s.kv, key, f)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, reasonMissing, "%s does not exist", what).With("resource", name)
	}
	return f, v, err
}
