// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/embedded"
	"github.com/seafront-cdn/seafront/pkg/records"
)

type backupCommand struct {
	store
	File string `arg:"" help:"File to write; it is replaced." type:"path"`
}

// Run is called by the parser.
func (c *backupCommand) Run(ctx context.Context, out io.Writer) error {
	client, err := c.Dial(c.EtcdEndpoints)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer client.Close()
	size, err := etcd.Backup(ctx, client, c.File)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "%d bytes in %s\n", size, c.File)
	return nil
}

type restoreCommand struct {
	File string `arg:"" help:"File that was written by backup, or by etcdctl snapshot save." type:"existingfile"`
	Data string `help:"Data directory of seafront up. It must not hold an etcd: move the old one away first." default:".seafront" type:"path" env:"SEAFRONT_DATA"`
}

// Run is called by the parser.
func (c *restoreCommand) Run(ctx context.Context, out io.Writer) error {
	dir := filepath.Join(c.Data, "etcd")
	if err := embedded.Restore(c.File, dir); err != nil {
		return err
	}
	server, err := embedded.Start(ctx, embedded.Config{Dir: dir, ClientAddr: "127.0.0.1:0", PeerAddr: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	defer server.Close()
	client := server.Client()
	defer client.Close()
	epoch, err := records.NewEpoch(ctx, client)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "restored into %s as data set %s\n", dir, epoch)
	return nil
}

type newEpochCommand struct{ store }

// Run is called by the parser.
func (c *newEpochCommand) Run(ctx context.Context, out io.Writer) error {
	client, err := c.Dial(c.EtcdEndpoints)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer client.Close()
	epoch, err := records.NewEpoch(ctx, client)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "the data set is %s now\n", epoch)
	return nil
}
