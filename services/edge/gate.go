// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"context"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/brand"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/follow"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/pipeline"
)

// gate keeps viewers from the pipeline until there is a configuration: without one
// every name would look unknown, and "unknown" is an answer that is believed.
type gate struct {
	follower *follow.Follower
	pipeline *pipeline.Pipeline
	brand    brand.Brand
}

const notYet = "This edge has no configuration yet.\n"

// Serve answers one request.
func (g *gate) Serve(ctx context.Context, req *exchange.Request, to exchange.Sender) {
	if g.follower.Loaded() {
		g.pipeline.Serve(ctx, req, to)
		return
	}
	_, _ = to.Send(ctx, &exchange.Answer{
		Status: 503,
		Header: header.Fields{
			{Name: "Server", Value: g.brand.Server},
			{Name: "Date", Value: httpcache.FormatDate(time.Now())},
			{Name: "Content-Type", Value: "text/plain; charset=utf-8"},
			{Name: "Cache-Control", Value: "no-store"},
			{Name: "Retry-After", Value: "1"},
			{Name: "X-Cache", Value: g.brand.XCache("Error")},
		},
		Body: exchange.Bytes([]byte(notYet)),
	})
}
