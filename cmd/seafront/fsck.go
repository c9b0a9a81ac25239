// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/fsck"
)

type fsckCommand struct {
	etcd.Credentials
	EtcdEndpoints []string `help:"Addresses of etcd, host:port or URL." default:"127.0.0.1:7420" env:"SEAFRONT_ETCD_ENDPOINTS"`
	Repair        bool     `help:"Mend what can be mended, where nobody has written since it was looked at."`
}

// Run is called by the parser. Problems that remain make it fail.
func (c *fsckCommand) Run(ctx context.Context, out io.Writer) error {
	store, err := c.Dial(c.EtcdEndpoints)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer store.Close()
	r, err := fsck.Check(ctx, store, 0)
	if err != nil {
		return err
	}
	total := 0
	for _, n := range r.Resources {
		total += n
	}
	_, _ = fmt.Fprintf(out, "revision %d: %d resources, %d derived keys, %d problems\n", r.Revision, total, r.Derived, len(r.Problems))
	for _, p := range r.Problems {
		_, _ = fmt.Fprintln(out, p)
	}
	left := len(r.Problems)
	if c.Repair && left > 0 {
		repaired, remaining, err := fsck.Repair(ctx, store, r)
		if err != nil {
			return err
		}
		left = len(remaining)
		_, _ = fmt.Fprintf(out, "%d mended, %d left\n", repaired, left)
	}
	if left > 0 {
		return fmt.Errorf("%d problems", left)
	}
	return nil
}
