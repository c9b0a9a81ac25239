// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
)

// Refused is the answer to what an adapter refuses before it becomes a request: the
// page of D22.12. Reason is a constant sentence of the edge's own. There is no event
// of it (D4.7).
func (p *Pipeline) Refused(status int, reason string) exchange.Answer {
	id := requestID(new([requestIDLength]byte))
	h := header.Fields{
		{Name: "Server", Value: p.Brand.Server},
		{Name: "Date", Value: httpcache.FormatDate(p.Now())},
		{Name: "Content-Type", Value: "text/html"},
		{Name: "Via", Value: p.words.via},
		{Name: "X-Cache", Value: p.words.xcache[ResultError]},
		{Name: p.Brand.RequestID, Value: id},
	}
	if p.Pop != "" {
		h.Add(p.Brand.Pop, p.Pop)
	}
	return exchange.Answer{Status: status, Header: h, Body: exchange.Bytes(p.words.errorPage(status, reason, id)), Close: true}
}
