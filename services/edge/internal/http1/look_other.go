// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package http1

const canLook = false

// lookForBytes is not to be had here: connections wait as those that are no sockets do.
func (c *conn) lookForBytes(uintptr) bool { return true }

func (c *conn) pushBytes(uintptr) bool { return true }
