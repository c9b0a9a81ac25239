// SPDX-License-Identifier: Apache-2.0

package rules

import (
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// CheckOrigin returns everything that is wrong with a registered origin by itself,
// in the order of the fields, enum numbers without a name included. Field paths
// begin at Origin, for example endpoint.http.host. o has been through Unsupported
// and DefaultOrigin.
func CheckOrigin(o *originv1.Origin) []Violation {
	return nil
}
