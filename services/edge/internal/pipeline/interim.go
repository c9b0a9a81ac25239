// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"sync"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
)

// interims passes the interim answers of an origin to the viewer whose request it was
// asked for, as long as that one waits: a fill may outlive its first viewer.
type interims struct {
	mu sync.Mutex
	to exchange.Sender // nil once the answer itself is sent
}

// interims returns the passage to the viewer of this visit.
func (x *visit) interims() *interims {
	if x.passing == nil {
		x.passing = &interims{to: x.to}
	}
	return x.passing
}

// pass hands an interim answer on. That it does not arrive is noticed by what follows.
func (i *interims) pass(status int, h header.Fields) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.to != nil {
		_ = i.to.Interim(status, h)
	}
}

// end lets nothing pass any more.
func (i *interims) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.to = nil
}

// cacheStatus is the Cache-Status of the answer (RFC 9211).
func (p *Pipeline) cacheStatus(x *visit) string {
	s := httpcache.CacheStatus{
		Cache: p.Brand.Name, Hit: x.outcome == Hit, Forward: x.why, ForwardStatus: x.originStatus, Collapsed: x.collapsed,
	}
	o := x.reply.object
	if o != nil {
		s.Aged, s.TTL = true, httpcache.TTL(o.Span(), p.Now())
	}
	if a := x.asked; a != nil {
		s.Stored = a.reason == httpcache.ReasonStored
	}
	return string(s.Append(nil))
}
