// SPDX-License-Identifier: Apache-2.0

//go:build race

package http1

// raceDetector allocates by itself, and pools forget on purpose under it.
const raceDetector = true
