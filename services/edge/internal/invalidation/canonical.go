// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/canonical"
)

// target is the canonical form of the path in an invalidation. A question mark with
// nothing behind it is no query (D25.4).
func target(path string) string {
	return string(canonical.Append(nil, strings.TrimSuffix(path, "?")))
}

// prefix is the canonical form of what stands before the wildcard. Where that breaks an
// encoding in two the prefix ends before it.
func prefix(path string) string {
	if i := strings.LastIndexByte(path, '%'); i >= 0 && i+2 >= len(path) {
		path = path[:i]
	}
	return string(canonical.Append(nil, path))
}
