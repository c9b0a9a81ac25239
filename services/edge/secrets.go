// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/pkg/records"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// opener opens the secrets of records with the cluster keys. What is on disk stays
// sealed: it is opened when it is compiled.
func (c Config) opener() snapshot.Opener {
	return func(key string, sealed *storev1.Secrets) (map[string]string, error) {
		return records.Open(c.Secrets, key, sealed)
	}
}
