// SPDX-License-Identifier: Apache-2.0

// Package seafront is the root of the product's module. It holds no code, only the
// tests of what no single package can hold by itself: which package may import
// which, how files look, and that the documents say what the code does.
package seafront
