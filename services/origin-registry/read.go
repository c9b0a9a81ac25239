// SPDX-License-Identifier: Apache-2.0

package originregistry

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// GetOrigin returns one origin.
func (s *Service) GetOrigin(ctx context.Context, req *originv1.GetOriginRequest) (*originv1.GetOriginResponse, error) {
	if err := offered(req); err != nil {
		return nil, err
	}
	id, bad := rules.ParseName("name", keys.Origins, req.GetName())
	if err := invalid(bad); err != nil {
		return nil, err
	}
	stored, v, _, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	return &originv1.GetOriginResponse{Origin: present(id, v, stored)}, nil
}

// ListOrigins returns a page of all origins, by id.
func (s *Service) ListOrigins(ctx context.Context, req *originv1.ListOriginsRequest) (*originv1.ListOriginsResponse, error) {
	if err := offered(req); err != nil {
		return nil, err
	}
	size, bad := rules.PageSize(req.GetPageSize())
	listing := records.ListRequest{Method: "ListOrigins", Prefix: keys.Origins.Prefix(), PageSize: size, Token: req.GetPageToken()}
	if e := apierr.BadFields(append(violations(bad), listing.Check()...)); e != nil {
		return nil, e
	}
	page, next, err := records.List(ctx, s.kv, listing, fromItem)
	if err != nil {
		return nil, err
	}
	return &originv1.ListOriginsResponse{Origins: page, NextPageToken: next}, nil
}

// maxResolved is how many names one ResolveOrigins may have.
const maxResolved = 100

// ResolveOrigins returns several origins at one revision of the store, each with the
// revision of its last write.
func (s *Service) ResolveOrigins(ctx context.Context, req *originv1.ResolveOriginsRequest) (*originv1.ResolveOriginsResponse, error) {
	if err := offered(req); err != nil {
		return nil, err
	}
	names := req.GetNames()
	bad := countNames(names)
	want := make([]string, 0, len(names)) // keys
	for i, name := range names[:min(len(names), maxResolved)] {
		id, v := rules.ParseName(fmt.Sprintf("names[%d]", i), keys.Origins, name)
		bad, want = append(bad, v...), append(want, keys.Resource(keys.Origins, id))
	}
	if err := invalid(bad); err != nil {
		return nil, err
	}
	found := map[string]*originv1.ResolvedOrigin{} // by key
	err := records.Each(ctx, s.kv, want, 0, func(item records.Item) error {
		o, err := fromItem(item)
		found[item.Key] = &originv1.ResolvedOrigin{Origin: o, ModRevision: item.ModRevision}
		return err
	})
	if err != nil {
		return nil, err
	}
	res := &originv1.ResolveOriginsResponse{}
	for i, key := range want {
		if o, ok := found[key]; ok {
			res.Origins = append(res.Origins, o)
		} else {
			res.Missing = append(res.Missing, names[i])
		}
	}
	return res, nil
}

func countNames(names []string) []rules.Violation {
	if n := len(names); n < 1 || n > maxResolved {
		return []rules.Violation{{
			Field: "names", Reason: rules.ReasonInvalid,
			Description: fmt.Sprintf("has %d names; 1 to %d are allowed", n, maxResolved),
		}}
	}
	return nil
}

// load reads the stored form of an origin, with its secrets sealed, or says that there
// is none.
func (s *Service) load(ctx context.Context, id string) (*originv1.Origin, records.Version, records.Secrets, error) {
	var stored originv1.Origin
	v, sealed, found, err := records.GetWithSecrets(ctx, s.kv, keys.Resource(keys.Origins, id), &stored)
	if err != nil {
		return nil, records.Version{}, nil, err
	}
	if !found {
		return nil, records.Version{}, nil, notFound(id)
	}
	return &stored, v, sealed, nil
}

// present makes the API's form of a stored origin. What is stored has neither name
// nor etag: they follow from key and envelope.
func present(id string, v records.Version, stored *originv1.Origin) *originv1.Origin {
	o := proto.CloneOf(stored)
	o.Name, o.Etag = keys.Origins.Name(id), v.ETag()
	return o
}

func fromItem(item records.Item) (*originv1.Origin, error) {
	_, id := keys.Parse(item.Key)
	var stored originv1.Origin
	if err := item.Into(&stored); err != nil {
		return nil, err
	}
	return present(id, item.Version, &stored), nil
}
