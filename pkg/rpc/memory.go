// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"net"

	"google.golang.org/grpc/test/bufconn"

	"github.com/seafront-cdn/seafront/pkg/auth"
)

// memoryBuffer is what a connection in memory holds in each direction, in bytes.
const memoryBuffer = 256 << 10

// Memory is a listener within the process. It reaches the same server, by the same
// code, as one on the network. Serve it, and give Dial to the clients.
type Memory struct {
	*bufconn.Listener
	who auth.Inside
}

// NewMemory makes a listener that nobody serves yet; until then Dial waits. To a
// server with a guard its clients are nobody, who may call what is open to all.
func NewMemory() *Memory { return NewMemoryAs(auth.Identity{}) }

// NewMemoryAs is NewMemory for a part of this process that a guard is to know.
func NewMemoryAs(who auth.Identity) *Memory {
	who.Kind = auth.InProcess
	return &Memory{bufconn.Listen(memoryBuffer), auth.Inside(who)}
}

// Dial connects. It waits for the server as long as ctx lasts, and fails once the
// listener is closed.
func (m *Memory) Dial(ctx context.Context) (net.Conn, error) { return m.DialContext(ctx) }

// Accept is part of net.Listener.
func (m *Memory) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &inside{c, m.who}, nil
}

// inside is a connection that was made in this process.
type inside struct {
	net.Conn
	who auth.Inside
}
