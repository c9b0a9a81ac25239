// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"cmp"
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/config/internal/completion"
)

// ListInvalidations returns a page of a distribution's invalidations. Their ids are in
// the order of their age, so the keys are newest first (C3.25).
func (s *Server) ListInvalidations(ctx context.Context, req *configv1.ListInvalidationsRequest) (*configv1.ListInvalidationsResponse, error) {
	parent, vs := rules.ParseName("parent", keys.Distributions, req.GetParent())
	size, bad := rules.PageSize(req.GetPageSize())
	listing := records.ListRequest{
		Method: "ListInvalidations", Prefix: keys.InvalidationsOf(parent), PageSize: size, Token: req.GetPageToken(), Filter: parent,
	}
	all := violations(append(vs, bad...))
	if len(vs) == 0 { // a token is of one parent
		all = append(all, listing.Check()...)
	}
	if e := apierr.BadFields(all); e != nil {
		return nil, e
	}
	if err := s.checkParent(ctx, parent); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, indexPatience) // for the page, not for each
	defer cancel()
	done := &completions{kv: s.kv, distribution: parent}
	page, next, err := records.List(ctx, s.kv, listing, func(item records.Item) (*configv1.Invalidation, error) {
		_, id, _ := keys.ParseInvalidation(item.Key)
		st := &stored{id: completion.ID{Distribution: parent, Invalidation: id}, version: item.Version, inv: &configv1.Invalidation{}}
		if err := item.Into(st.inv); err != nil {
			return nil, err
		}
		var err error
		if st.done, err = done.of(ctx, id); err != nil {
			return nil, err
		}
		// A page may be as old as the first, and its invalidation completed and expired.
		if st.done == nil && !s.index.Look(st.id, st.version.ModRevision).InProgress {
			if st, err = s.find(ctx, st.id); st == nil || err != nil {
				return nil, cmp.Or(err, records.ErrSkip)
			}
		}
		return s.show(waiting, st), nil
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListInvalidationsResponse{Invalidations: page, NextPageToken: next}, nil
}

// ahead is how many completions one read of a listing fetches.
const ahead = 64

// readTimeout bounds it.
const readTimeout = 5 * time.Second

// completions reads those of a distribution in the order of ids, a few at once. They
// are as new as the read, and so never older than what a caller has seen before.
type completions struct {
	kv           clientv3.KV
	distribution string
	known        map[string]*storev1.Completion
	upTo         string // the last key that known is complete for
}

// of returns the completion of id, nil for none. Ids come in order.
func (c *completions) of(ctx context.Context, id string) (*storev1.Completion, error) {
	key := keys.Completion(c.distribution, id)
	if c.known == nil || key > c.upTo {
		if err := c.fetch(ctx, key); err != nil {
			return nil, err
		}
	}
	return c.known[key], nil
}

func (c *completions) fetch(ctx context.Context, from string) error {
	inner, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	end := clientv3.GetPrefixRangeEnd(keys.CompletionsOf(c.distribution))
	res, err := c.kv.Get(inner, from, clientv3.WithRange(end), clientv3.WithLimit(ahead))
	if err != nil {
		if ctx.Err() == nil && inner.Err() != nil {
			return behind("the store does not answer; try again")
		}
		return etcd.Fault(fmt.Errorf("read completions from %s on: %w", from, err))
	}
	c.known, c.upTo = map[string]*storev1.Completion{}, end
	for _, pair := range res.Kvs {
		m := &storev1.Completion{}
		if _, err := records.Decode(pair, m); err != nil {
			return err
		}
		c.known[string(pair.Key)] = m
		if res.More {
			c.upTo = string(pair.Key)
		}
	}
	return nil
}
