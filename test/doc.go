// SPDX-License-Identifier: Apache-2.0

// Package test holds the tests that need heavy dependencies or real processes.
package test
