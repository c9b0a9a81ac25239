// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"fmt"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
)

// bump is how far a restore raises revisions: above all that have been given out since
// the backup, so that none ever means two things (C8.88).
const bump = 1_000_000_000

// Restore makes the data of a member in dir, which must not exist, from a backup made by
// etcd's snapshot. Revisions are raised, and every older one is compacted. Whoever
// starts the member gives the data set a new name before anything else.
func Restore(file, dir string) error {
	const peer = "http://127.0.0.1:7421" // of a cluster of one that nobody joins
	err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: file, Name: memberName, OutputDataDir: dir,
		PeerURLs: []string{peer}, InitialCluster: memberName + "=" + peer, InitialClusterToken: "seafront",
		RevisionBump: bump, MarkCompacted: true,
	})
	if err != nil {
		return fmt.Errorf("restore %s into %s: %w", file, dir, err)
	}
	return nil
}
