// SPDX-License-Identifier: Apache-2.0

package load

import "net"

// Floor is the least that a server of one goroutine for each connection can do: it
// answers each read with the same bytes, whatever was read. It knows no HTTP, so who
// asks it sends each request in one piece and awaits the answer.
type Floor struct{ *server }

// ListenFloor makes a floor at address. Serve runs it.
func ListenFloor(address string, answer []byte) (*Floor, error) {
	s, err := listen(address, func(c net.Conn) error {
		b := make([]byte, 4<<10)
		for {
			if _, err := c.Read(b); err != nil {
				return err
			}
			if _, err := c.Write(answer); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return &Floor{s}, nil
}
