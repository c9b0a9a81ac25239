// SPDX-License-Identifier: Apache-2.0

package store

import (
	"github.com/seafront-cdn/seafront/services/edge/internal/disk"
	"github.com/seafront-cdn/seafront/services/edge/internal/memory"
)

// Stats is what a Store holds and what it did since it was opened.
type Stats struct {
	Memory memory.Stats
	// Disk is nil without that tier.
	Disk *disk.Stats
}

// Stats returns the present numbers.
func (s *Store) Stats() Stats {
	out := Stats{Memory: s.memory.Stats()}
	if s.disk != nil {
		d := s.disk.Stats()
		out.Disk = &d
	}
	return out
}
