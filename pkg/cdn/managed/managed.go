// SPDX-License-Identifier: Apache-2.0

// Package managed holds the policies that every installation has: the same ids and
// content as CloudFront's, so that existing configurations can be taken over
// unchanged (C1.82, D27.a, D27.b, D27.c). They can be read and referred to, never
// changed. They are as they are, and need not pass the rules for custom ones.
package managed

// etag is that of a policy which so many releases have changed.
func etag(version int) string { return "EMANAGED" + string(rune('A'+version)) + "AAAAA" }
