// SPDX-License-Identifier: Apache-2.0

package collection

import (
	"context"
	"encoding/base64"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// Get returns the resource of a name; a bad name is a violation at the field name.
func (c *Collection[M]) Get(ctx context.Context, name string) (M, error) {
	var none M
	id, vs := rules.ParseName("name", c.kind.Collection, name)
	if err := BadFields("", vs); err != nil {
		return none, err
	}
	if m, ok := c.managed(id); ok {
		return proto.CloneOf(m), nil
	}
	m, v, err := c.load(ctx, id)
	if err != nil {
		return none, err
	}
	return c.show(ctx, id, m, v)
}

// load reads a stored resource; one that does not exist is an error.
func (c *Collection[M]) load(ctx context.Context, id string) (M, records.Version, error) {
	m := c.empty()
	v, found, err := records.Get(ctx, c.kv, c.kind.Key(id), m)
	if err == nil && !found {
		err = c.noSuch(id)
	}
	return m, v, err
}

func (c *Collection[M]) empty() M {
	var m M
	return m.ProtoReflect().Type().New().Interface().(M) //nolint:errcheck // a new one of M
}

func (c *Collection[M]) managed(id string) (M, bool) {
	name := c.kind.Collection.Name(id)
	for _, m := range c.kind.Managed {
		if m.GetName() == name {
			return m, true
		}
	}
	var none M
	return none, false
}

// show makes of what is stored what callers see. m is the caller's own afterwards.
func (c *Collection[M]) show(ctx context.Context, id string, m M, v records.Version) (M, error) {
	set(m, "name", protoreflect.ValueOfString(c.kind.Collection.Name(id)))
	set(m, "etag", protoreflect.ValueOfString(v.ETag()))
	if c.kind.Show == nil {
		return m, nil
	}
	return m, c.kind.Show(ctx, m, v)
}

// preview makes of what would be stored what callers of a check see (C6.18): there is
// no etag, and no name of what does not exist.
func (c *Collection[M]) preview(ctx context.Context, m M, exists bool) (M, error) {
	m = proto.CloneOf(m)
	remove(m, "etag")
	if !exists {
		remove(m, "name")
		remove(m, "uid")
	}
	if c.kind.Show == nil {
		return m, nil
	}
	return m, c.kind.Show(ctx, m, records.Version{})
}

func set(m proto.Message, field protoreflect.Name, v protoreflect.Value) {
	r := m.ProtoReflect()
	r.Set(r.Descriptor().Fields().ByName(field), v)
}

func remove(m proto.Message, field protoreflect.Name) {
	r := m.ProtoReflect()
	r.Clear(r.Descriptor().Fields().ByName(field))
}

// Origin says whether managed resources, stored ones, or both are listed.
type Origin uint8

// What to list.
const (
	All Origin = iota
	Managed
	Custom
)

// ListRequest says which page to read.
type ListRequest[M Resource] struct {
	// Method names the listing; a page token is good for its own only.
	Method   string
	PageSize int32
	Token    string
	Only     Origin
	// Filter is the request's filter as text; a token is good for its own only. Match
	// says which resources it lets through; nil is all.
	Filter string
	Match  func(M) bool
	// Bad are violations that the service has found itself.
	Bad []rules.Violation
}

// List returns a page: managed resources first, each kind in the order of ids (C3.26).
func (c *Collection[M]) List(ctx context.Context, req ListRequest[M]) (page []M, next string, err error) {
	size, bad := rules.PageSize(req.PageSize)
	filter := string([]byte{'0' + byte(req.Only)}) + req.Filter
	after, ours := managedToken(req.Token, req.Method, filter)
	listing := records.ListRequest{
		Method: req.Method, Prefix: prefixOf(c.kind.Key), PageSize: size, Token: req.Token, Filter: filter,
	}
	if !ours {
		for _, v := range listing.Check() {
			bad = append(bad, rules.Violation(v))
		}
	}
	if err := BadFields("", append(bad, req.Bad...)); err != nil {
		return nil, "", err
	}
	if req.Only != Custom && (req.Token == "" || ours) {
		page, next = c.managedPage(req, after, size, filter)
		if next != "" || req.Only == Managed {
			return page, next, nil
		}
		listing.Token = ""
	}
	if listing.PageSize = size - len(page); listing.PageSize == 0 || req.Only == Managed {
		return page, "", nil
	}
	stored, next, err := records.List(ctx, c.kv, listing, func(item records.Item) (M, error) { return c.item(ctx, item, req.Match) })
	return append(page, stored...), next, err
}

func (c *Collection[M]) item(ctx context.Context, item records.Item, match func(M) bool) (M, error) {
	m := c.empty()
	if err := item.Into(m); err != nil {
		return m, err
	}
	m, err := c.show(ctx, keys.ID(item.Key), m, item.Version)
	if err == nil && match != nil && !match(m) {
		err = records.ErrSkip
	}
	return m, err
}

// managedPage returns the managed resources behind after, and the token of the next
// page when this one is full.
func (c *Collection[M]) managedPage(req ListRequest[M], after string, size int, filter string) (page []M, next string) {
	for i, m := range c.kind.Managed {
		if m.GetName() <= after || req.Match != nil && !req.Match(m) {
			continue
		}
		page = append(page, proto.CloneOf(m))
		last := i == len(c.kind.Managed)-1 && req.Only == Managed
		if len(page) == size && !last {
			return page, formatManaged(req.Method, m.GetName(), filter)
		}
	}
	return page, ""
}

// Tokens within the managed resources are told from those of package records by their
// method.
const managedMethod = "/managed"

func formatManaged(method, after, filter string) string {
	b, err := proto.Marshal(&storev1.PageToken{Method: method + managedMethod, After: after, Filter: filter})
	if err != nil { // only for text that is not UTF-8
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func managedToken(token, method, filter string) (after string, ours bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	var at storev1.PageToken
	if err != nil || proto.Unmarshal(b, &at) != nil || at.GetMethod() != method+managedMethod || at.GetFilter() != filter {
		return "", false
	}
	return at.GetAfter(), true
}

// prefixOf is the prefix of the keys that key makes.
func prefixOf(key func(string) string) string { return key("") }
