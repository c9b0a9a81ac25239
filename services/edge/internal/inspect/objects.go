// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"context"
	"encoding/hex"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/pipeline"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// inspect is what the edge would do with a request.
func (s *Service) inspect(ctx context.Context, req *exchange.Request) *edgev1.Inspection {
	if !s.cfg.Loaded() {
		return &edgev1.Inspection{Ends: "503. The edge has no configuration yet."}
	}
	e := s.cfg.Pipeline.Explain(ctx, req)
	out := &edgev1.Inspection{Revision: e.Config.Revision, Origin: e.Origin, Ends: text(e.Ends), Key: hex.EncodeToString([]byte(e.Key))}
	if e.Distribution != nil {
		out.Distribution = "distributions/" + e.Distribution.ID
	}
	if e.Behavior != nil {
		out.PathPattern = e.Behavior.Pattern
	}
	if e.Policy != nil {
		out.CachePolicy = "cachePolicies/" + e.Policy.ID
	}
	if e.Key != "" {
		out.KeyParts = keyParts(req, &e)
	}
	for name := range e.Vary.Names {
		out.Vary = append(out.Vary, text(name))
	}
	for i := range e.Found {
		out.Objects = append(out.Objects, s.object(ctx, &e, &e.Found[i]))
	}
	return out
}

// keyParts are the parts of the key that came from the request. Those that are no header
// have names that no header has.
func keyParts(req *exchange.Request, e *pipeline.Explanation) []*edgev1.HeaderField {
	var out []*edgev1.HeaderField
	add := func(name, value string, there bool) {
		if there {
			out = append(out, field(name, value))
		}
	}
	add(":method", req.Method, req.Method != "GET" && req.Method != "HEAD")
	add(":path", e.Path, true)
	add(":query", e.Forward.Query, e.Forward.HasQuery)
	add(":cookies", e.Forward.Cookie, e.Forward.HasCookie)
	for _, f := range e.Forward.Header {
		add(f.Name, f.Value, true)
	}
	add(":encoding", e.Forward.Encoding.String(), true)
	return out
}

// object describes what was found.
func (s *Service) object(ctx context.Context, e *pipeline.Explanation, f *pipeline.Found) *edgev1.StoredObject {
	o := f.Object
	out := &edgev1.StoredObject{
		State: stateOf(f, e.At), Tier: tierKind(f.Tier), Status: int32(min(o.Status, math.MaxInt32)), Size: o.Size, //nolint:gosec // bounded by min
		ResponseTime: timestamppb.New(o.ResponseTime),
		Age:          durationpb.New(httpcache.Age(o.InitialAge, o.ResponseTime, e.At)),
		Lifetime:     durationpb.New(o.Lifetime), LifetimeSource: source(o, e.Rules),
		CheckedRevision: o.Stamp.Moment().Revision,
	}
	for _, h := range o.Header {
		out.Headers = append(out.Headers, field(h.Name, h.Value))
	}
	for _, tag := range o.Tags {
		out.Tags = append(out.Tags, text(tag))
	}
	for name := range f.Vary.Names {
		out.Vary = append(out.Vary, text(name))
	}
	stored, all := s.cfg.Store.CountSlices(ctx, o)
	out.SlicesStored, out.Slices = clamp(stored), clamp(all)
	return out
}

// stateOf is what may be done with an object now.
func stateOf(f *pipeline.Found, now time.Time) edgev1.StoredObject_State {
	switch {
	case f.Dead:
		return edgev1.StoredObject_STATE_INVALIDATED
	case f.Object.HitForMiss && httpcache.State(f.Object.Span(), now) == httpcache.Fresh:
		return edgev1.StoredObject_STATE_HIT_FOR_MISS
	case f.Object.HitForMiss:
		return edgev1.StoredObject_STATE_EXPIRED
	}
	switch f.Use {
	case httpcache.Serve:
		return edgev1.StoredObject_STATE_FRESH
	case httpcache.ServeAndRefresh:
		return edgev1.StoredObject_STATE_STALE_WHILE_REVALIDATE
	case httpcache.Validate:
		return edgev1.StoredObject_STATE_STALE
	default:
		return edgev1.StoredObject_STATE_EXPIRED
	}
}

// source says in words what gave an object its lifetime.
func source(o *store.Object, rules httpcache.Policy) string {
	if o.HitForMiss {
		return "the edge: answers for this key could not be shared"
	}
	from, lifetime := httpcache.LifetimeSource(httpcache.Response{
		Status: o.Status, Header: o.Header, RequestTime: o.RequestTime, ResponseTime: o.ResponseTime,
	}, rules)
	if lifetime != o.Lifetime {
		return "rules that have changed since; now it would be " + lifetime.String() + " by " + from.String()
	}
	return from.String()
}

func field(name, value string) *edgev1.HeaderField {
	return &edgev1.HeaderField{Name: text(name), Value: text(value)}
}

// text is s with what is no UTF-8 replaced: a message must not hold it.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func clamp(n int64) int32 { return int32(min(n, math.MaxInt32)) } //nolint:gosec // bounded by min
