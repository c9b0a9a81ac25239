// SPDX-License-Identifier: Apache-2.0

//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package origin

import "net"

// probe cannot look into a socket here without taking from it: the free retry of
// D16.16 covers connections that turn out to be over.
func probe(net.Conn) func() bool { return func() bool { return true } }
