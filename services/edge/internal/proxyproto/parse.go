// SPDX-License-Identifier: Apache-2.0

package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// Lengths in bytes. The longest line of version 1 is fixed by the protocol. Version 2
// may have 64 KiB; balancers send a few hundred.
const (
	v1Signature = "PROXY "
	v1Least     = len("PROXY UNKNOWN\r\n")
	v1Most      = 107
	v2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	v2Head      = len(v2Signature) + 4
	v2Most      = 4096 // after the head
)

// parseV1 returns the source in a line, without its end.
func parseV1(line string) (source netip.AddrPort, err error) {
	rest := strings.TrimPrefix(line, v1Signature)
	if rest == "UNKNOWN" || strings.HasPrefix(rest, "UNKNOWN ") {
		return netip.AddrPort{}, nil // whatever follows
	}
	f := strings.Split(rest, " ")
	if len(f) != 5 || f[0] != "TCP4" && f[0] != "TCP6" {
		return netip.AddrPort{}, malformed("want TCP4 or TCP6 with two addresses and two ports")
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		addr, err := netip.ParseAddr(f[1+i])
		if err != nil || addr.Zone() != "" || addr.Is4() != (f[0] == "TCP4") {
			return netip.AddrPort{}, malformed("address")
		}
		port, err := strconv.ParseUint(f[3+i], 10, 16)
		if err != nil || strconv.FormatUint(port, 10) != f[3+i] {
			return netip.AddrPort{}, malformed("port")
		}
		ends[i] = netip.AddrPortFrom(addr.Unmap(), uint16(port))
	}
	return ends[0], nil
}

// Values of version 2.
const (
	v2Local = 0x20 // version 2, the balancer's own connection
	v2Proxy = 0x21

	v2Unspecified = 0x00
	v2TCP4        = 0x11
	v2TCP6        = 0x21
	v2Unix        = 0x31
)

// parseV2 returns the source in what follows the head, whose bytes are command and
// family.
func parseV2(command, family byte, rest []byte) (source netip.AddrPort, err error) {
	switch command {
	case v2Local:
		return netip.AddrPort{}, nil // whatever follows
	case v2Proxy:
	default:
		return netip.AddrPort{}, malformed("version or command")
	}
	var length int // of both addresses and ports
	switch family {
	case v2Unspecified:
		return netip.AddrPort{}, nil
	case v2TCP4:
		length = 12
	case v2TCP6:
		length = 36
	case v2Unix:
		length = 216
	default: // datagrams and what does not exist
		return netip.AddrPort{}, malformed("family or protocol")
	}
	if len(rest) < length || !extensionsFit(rest[length:]) {
		return netip.AddrPort{}, malformed("length")
	}
	switch family {
	case v2TCP4:
		source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest)), binary.BigEndian.Uint16(rest[8:]))
	case v2TCP6:
		source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest)).Unmap(), binary.BigEndian.Uint16(rest[32:]))
	}
	return source, nil
}

// extensionsFit says whether b is a list of types, lengths and values.
func extensionsFit(b []byte) bool {
	for len(b) >= 3 {
		n := 3 + int(binary.BigEndian.Uint16(b[1:]))
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return len(b) == 0
}
