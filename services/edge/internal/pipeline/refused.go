// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"fmt"
	"strings"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

var _ exchange.Refuser = (*Pipeline)(nil)

// Refuse answers what an adapter refuses before it becomes a request, with the page of
// D22.12, and records it: one event with what is known. There is no span of it, not
// even of one that failed: anybody can send what is no request.
func (p *Pipeline) Refuse(ctx context.Context, r *exchange.Refusal, to exchange.Sender) {
	x := newVisit(&r.Request, to, p.Now())
	defer x.free()
	x.path, _, _ = strings.Cut(r.Request.Target, "?")
	x.err = fmt.Errorf("refused: %s", r.Why)
	x.refuseAs(r.Why)
	x.reply.closing = true
	p.deliver(ctx, x, to)
	p.event(ctx, x, p.Now())
}
