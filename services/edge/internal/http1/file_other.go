// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package http1

import "github.com/seafront-cdn/seafront/services/edge/internal/exchange"

// fileSender has nothing to do here.
type fileSender struct{}

// putFile sends a piece of a file behind a head or nothing.
func (c *conn) putFile(head []byte, p exchange.Piece) (sent int64, err error) {
	return c.copyFile(head, p)
}
