// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Backup writes a snapshot of all that the first member holds into a file, whole or not
// at all, and returns its size. An older file of that name is replaced. With users, etcd
// demands root for it.
func Backup(ctx context.Context, client *clientv3.Client, file string) (size int64, err error) {
	from, err := client.Snapshot(ctx)
	if err != nil {
		return 0, fmt.Errorf("begin snapshot: %w", Explain(err))
	}
	defer from.Close()
	part := file + ".part"
	to, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	size, err = io.Copy(to, from)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		_ = os.Remove(part)
		return 0, fmt.Errorf("write snapshot: %w", Explain(err))
	}
	return size, os.Rename(part, file)
}
