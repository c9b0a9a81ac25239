// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// Explanation is what the steps up to the lookup decide about a request. Fields of steps
// that were not reached have their zero values.
type Explanation struct {
	Config       *snapshot.Snapshot
	Distribution *snapshot.Distribution
	Behavior     *snapshot.Behavior
	Policy       *snapshot.CachePolicy
	// Origin is the name of the origin that a miss goes to.
	Origin string
	// Ends is the step that answers the request, and why; empty for a request that comes to
	// the lookup.
	Ends string

	// Path is that of the object. Key names it, made of that and of Forward.
	Path    string
	Key     cachekey.Key
	Forward cachekey.Forward
	// Rules are those of caching.
	Rules httpcache.Policy
	// Vary is what the answers for the key vary by, as far as the store knows.
	Vary httpcache.Vary
	// Found is what is stored, in the order of the lookup.
	Found []Found
	// At is the moment of the lookup.
	At time.Time
}

// Found is an object that the lookup would weigh.
type Found struct {
	// Object has no body.
	Object *store.Object
	Tier   store.Tier
	// Vary is what the object was chosen by.
	Vary httpcache.Vary
	// Use is what may be done with it, for a viewer that takes an answer from the origin
	// too; Dead says that an invalidation has ended it.
	Use  httpcache.Use
	Dead bool
}

// Explain takes the steps of a request that lead to the lookup, and looks without taking
// anything: it is not counted and asks no origin. req is not kept, but parts of it are in
// what is returned.
func (p *Pipeline) Explain(ctx context.Context, req *exchange.Request) Explanation {
	x := newVisit(req, nil, p.Now())
	defer x.free()
	var e Explanation
	for i := range answering {
		s := &answering[i]
		if s.name == "lookup" {
			break
		}
		if s.take(p, ctx, x) {
			e.Ends = s.name + ": " + x.ending()
			break
		}
	}
	e.Config, e.Distribution, e.Behavior, e.Policy = x.config, x.distribution, x.behavior, x.policy
	e.Path, e.At = x.path, x.started
	if x.behavior != nil {
		if o, ok := x.config.Origin(x.behavior.Origin); ok {
			e.Origin, x.rules.S3 = o.Name, o.S3
		}
	}
	if e.Ends != "" {
		return e
	}
	e.Key, e.Forward, e.Rules = x.name.Own(), x.forward, x.rules
	if x.relayed() {
		e.Ends = "lookup: " + x.bypassed()
		return e
	}
	p.explainLookup(ctx, x, &e)
	return e
}

// ending is why a step has answered, for an operator.
func (x *visit) ending() string {
	if x.reply.location != "" {
		return fmt.Sprintf("%d, to %s", x.reply.status, x.reply.location)
	}
	return fmt.Sprintf("%d. %s", x.reply.status, x.reply.made)
}

// bypassed is why a request does not use the cache.
func (x *visit) bypassed() string {
	if x.rules.Disabled() {
		return "bypass, because caching is off by the cache policy"
	}
	return "bypass, because of the method"
}

// explainLookup goes along find and consider.
func (p *Pipeline) explainLookup(ctx context.Context, x *visit, e *Explanation) {
	for _, class := range x.forward.Encoding.Candidates() {
		key := e.Key.WithEncoding(class)
		p.explainKey(ctx, x, key, e)
		if x.wants.Method == "HEAD" {
			p.explainKey(ctx, x, headKey(key), e)
		}
	}
}

func (p *Pipeline) explainKey(ctx context.Context, x *visit, key cachekey.Key, e *Explanation) {
	o, tier, ok := p.Store.Find(ctx, key)
	var chosen httpcache.Vary
	if ok && o.Vary != "" && p.Store.Alive(o) {
		chosen = o.Vary
		e.Vary = chosen
		variant := chosen.AppendKey([]byte(key), selecting(x.header, &x.forward))
		o, tier, ok = p.Store.Find(ctx, cachekey.Key(variant))
	}
	if !ok || o.Vary != "" {
		return
	}
	wants := x.wants
	wants.OnlyIfCached = false
	e.Found = append(e.Found, Found{
		Object: o, Tier: tier, Vary: chosen,
		Use: httpcache.Decide(o.Span(), wants, x.started), Dead: !p.Store.Alive(o),
	})
}
