// SPDX-License-Identifier: Apache-2.0

// Package caller says on whose behalf a call is made. What authenticates callers puts
// it into the context of a call; what records or judges an act takes it from there. The
// package decides nothing itself.
package caller

import "context"

// Anonymous is the name of a caller that nothing is known about.
const Anonymous = "anonymous"

// Caller is who makes a call.
type Caller struct {
	// Name identifies the caller in records, quotas and audit lines.
	Name string
	// Role is what the caller may do, by the name of the role; empty for nothing.
	Role string
}

type key struct{}

// With returns a context of calls by c.
func With(ctx context.Context, c Caller) context.Context { return context.WithValue(ctx, key{}, c) }

// From is who makes the call that ctx belongs to.
func From(ctx context.Context) Caller {
	if c, ok := ctx.Value(key{}).(Caller); ok {
		return c
	}
	return Caller{Name: Anonymous}
}
