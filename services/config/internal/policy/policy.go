// SPDX-License-Identifier: Apache-2.0

// Package policy serves cache policies, origin request policies and response headers
// policies (C1.7, C1.8, C1.9): the managed ones, which are part of the program and
// read-only (C1.71), and the custom ones, which are stored in etcd. A policy is not
// deleted while a distribution refers to it, a disabled one included (C1.70); a change
// of it that would make a referring distribution invalid is refused (C8.53).
package policy

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
)

// origin reads the type of a list request (C3.26); the three enums have the same
// numbers.
func origin(kind protoreflect.Enum) (collection.Origin, []rules.Violation) {
	switch kind.Number() {
	case 0:
		return collection.All, nil
	case 1:
		return collection.Managed, nil
	case 2:
		return collection.Custom, nil
	}
	return collection.All, []rules.Violation{{Field: "type", Reason: rules.ReasonInvalid, Description: "has no such value"}}
}
