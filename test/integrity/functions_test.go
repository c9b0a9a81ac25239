// SPDX-License-Identifier: Apache-2.0

package integrity

import (
	"context"
	"fmt"
	"strings"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// program is a function that reads a store that others may be deleting.
func (c *caller) program() *configv1.Function {
	f := &configv1.Function{
		Runtime: configv1.Function_RUNTIME_CLOUDFRONT_JS_2_0,
		Code:    fmt.Appendf(nil, "function handler(event) { return %d; }", c.r.IntN(100)),
	}
	if name := c.world.pick(c.r, "keyValueStores"); name != "" && c.r.IntN(3) > 0 {
		f.KeyValueStores = []string{name}
	}
	return f
}

func (c *caller) createFunction(ctx context.Context, s replica, _ int) error {
	res, err := s.functions.CreateFunction(ctx, &configv1.CreateFunctionRequest{
		FunctionId: fmt.Sprintf("f%d", c.r.IntN(10)), Function: c.program(),
	})
	c.world.add(res.GetFunction().GetName())
	return err
}

func (c *caller) changeFunction(ctx context.Context, s replica, _ int) error {
	f := c.program()
	if f.Name = c.world.pick(c.r, "functions"); f.Name == "" {
		return errNothing
	}
	_, err := s.functions.UpdateFunction(ctx, &configv1.UpdateFunctionRequest{Function: f})
	return err
}

func (c *caller) publish(ctx context.Context, s replica, _ int) error {
	name := c.world.pick(c.r, "functions")
	if name == "" {
		return errNothing
	}
	res, err := s.functions.GetFunction(ctx, &configv1.GetFunctionRequest{Name: name})
	if err != nil {
		return err
	}
	_, err = s.functions.PublishFunction(ctx, &configv1.PublishFunctionRequest{Name: name, Etag: res.GetFunction().GetEtag()})
	return err
}

func (c *caller) deleteFunction(ctx context.Context, s replica, _ int) error {
	name := c.world.pick(c.r, "functions")
	if name == "" {
		return errNothing
	}
	_, err := s.functions.DeleteFunction(ctx, &configv1.DeleteFunctionRequest{Name: name})
	return err
}

func (c *caller) createStore(ctx context.Context, s replica, _ int) error {
	res, err := s.stores.CreateKeyValueStore(ctx, &configv1.CreateKeyValueStoreRequest{
		KeyValueStoreId: fmt.Sprintf("s%d", c.r.IntN(6)), KeyValueStore: &configv1.KeyValueStore{},
	})
	c.world.add(res.GetKeyValueStore().GetName())
	return err
}

// batch writes some of few entries, so that most are there already.
func (c *caller) batch(ctx context.Context, s replica, _ int) error {
	req := &configv1.BatchUpdateEntriesRequest{Name: c.world.pick(c.r, "keyValueStores")}
	if req.Name == "" {
		return errNothing
	}
	for i := range 8 {
		switch key := fmt.Sprintf("key/%d", i); c.r.IntN(4) {
		case 0:
			req.Deletes = append(req.Deletes, key)
		case 1, 2:
			req.Puts = append(req.Puts, &configv1.KeyValueEntry{Key: key, Value: strings.Repeat("v", c.r.IntN(50))})
		}
	}
	if len(req.Puts)+len(req.Deletes) == 0 {
		return errNothing
	}
	_, err := s.stores.BatchUpdateEntries(ctx, req)
	return err
}

func (c *caller) deleteStore(ctx context.Context, s replica, _ int) error {
	name := c.world.pick(c.r, "keyValueStores")
	if name == "" {
		return errNothing
	}
	_, err := s.stores.DeleteKeyValueStore(ctx, &configv1.DeleteKeyValueStoreRequest{Name: name})
	return err
}
