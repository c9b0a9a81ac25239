// SPDX-License-Identifier: Apache-2.0

package function

import (
	"context"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// liveRef is the key by which the LIVE stage of a function holds a store. It is not that
// of DEVELOPMENT: each stage has stores of its own, and its writes touch its own keys.
func liveRef(ref collection.Ref, function string) string {
	return keys.Ref(ref.Collection, ref.ID, keys.Functions, keys.LiveStage(function))
}

// showDevelopment fills what is computed and takes the code away.
func (s *Server) showDevelopment(ctx context.Context, f *configv1.Function, _ records.Version) error {
	f.Code, f.Stage, f.Status = nil, configv1.Function_STAGE_DEVELOPMENT, configv1.Function_STATUS_UNPUBLISHED
	id := strings.TrimPrefix(f.GetName(), keys.Functions.Name(""))
	if id == "" { // a check of what does not exist
		return nil
	}
	v, live, err := records.Get(ctx, s.kv, keys.Resource(keys.Functions, id), &configv1.Function{})
	if err != nil || !live {
		return err
	}
	f.LiveEtag = v.ETag()
	f.Status, err = s.published(ctx, id)
	return err
}

// showLive is showDevelopment for LIVE. Without a version it is what would be there.
func (s *Server) showLive(ctx context.Context, f *configv1.Function, v records.Version) (err error) {
	f.Code, f.Stage, f.Etag, f.LiveEtag = nil, configv1.Function_STAGE_LIVE, "", ""
	if v.WriteID != 0 {
		f.Etag, f.LiveEtag = v.ETag(), v.ETag()
	}
	f.Status, err = s.published(ctx, strings.TrimPrefix(f.GetName(), keys.Functions.Name("")))
	return err
}

// published is the status of a function that has a LIVE stage (C1.77).
func (s *Server) published(ctx context.Context, id string) (configv1.Function_Status, error) {
	held, _, err := records.Names(ctx, s.kv, keys.RefsTo(keys.Functions, id), 1)
	if err != nil || len(held) > 0 {
		return configv1.Function_STATUS_ASSOCIATED, err
	}
	return configv1.Function_STATUS_UNASSOCIATED, nil
}

// withLive lets the deletion of a function take LIVE with it (C8.51).
func (s *Server) withLive(ctx context.Context, tx *collection.Write, _, now *configv1.Function) error {
	if now != nil {
		return nil
	}
	key, live := keys.Resource(keys.Functions, tx.ID), &configv1.Function{}
	v, _, err := records.Get(ctx, s.kv, key, live)
	if err != nil {
		return err
	}
	tx.AtRevision(conditionLive, key, v.ModRevision)
	tx.Delete(key)
	for _, r := range refs(live) {
		tx.Delete(liveRef(r, tx.ID))
	}
	return nil
}

// ListFunctions returns a page of functions; without a stage, each with both of its
// stages one after the other (C3.26).
func (s *Server) ListFunctions(ctx context.Context, req *configv1.ListFunctionsRequest) (*configv1.ListFunctionsResponse, error) {
	stage := req.GetStage()
	size, vs := rules.PageSize(req.GetPageSize())
	listing := records.ListRequest{
		Method: "ListFunctions", Prefix: keys.Draft(""), PageSize: size, Token: req.GetPageToken(), Filter: stage.String(),
	}
	if stage == configv1.Function_STAGE_LIVE {
		listing.Prefix = keys.Functions.Prefix()
	}
	vs = append(checkStage(stage), vs...)
	for _, v := range listing.Check() {
		vs = append(vs, rules.Violation(v))
	}
	if err := collection.BadFields("", vs); err != nil {
		return nil, err
	}
	// A row of the page holds the stages of one function, so that the page's size in
	// bytes counts both.
	page, next, err := records.List(ctx, s.kv, listing, func(item records.Item) (*configv1.ListFunctionsResponse, error) {
		return s.row(ctx, item, stage)
	})
	if err != nil {
		return nil, err
	}
	out := &configv1.ListFunctionsResponse{NextPageToken: next}
	for _, row := range page {
		out.Functions = append(out.Functions, row.GetFunctions()...)
	}
	return out, nil
}

func (s *Server) row(ctx context.Context, item records.Item, stage configv1.Function_Stage) (*configv1.ListFunctionsResponse, error) {
	f := &configv1.Function{}
	if err := item.Into(f); err != nil {
		return nil, err
	}
	out := &configv1.ListFunctionsResponse{Functions: []*configv1.Function{f}}
	if stage == configv1.Function_STAGE_LIVE {
		return out, s.showLive(ctx, f, item.Version)
	}
	f.Etag = item.ETag()
	if err := s.showDevelopment(ctx, f, item.Version); err != nil || stage == configv1.Function_STAGE_DEVELOPMENT || f.GetLiveEtag() == "" {
		return out, err
	}
	live := &configv1.Function{}
	v, found, err := records.Get(ctx, s.kv, keys.Resource(keys.Functions, keys.ID(item.Key)), live)
	if err != nil || !found {
		return out, err
	}
	out.Functions = append(out.Functions, live)
	return out, s.showLive(ctx, live, v)
}
