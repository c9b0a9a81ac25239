// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"net"

	"google.golang.org/grpc/test/bufconn"
)

// memoryBuffer is what a connection in memory holds in each direction, in bytes.
const memoryBuffer = 256 << 10

// Memory is a listener within the process. It reaches the same server, by the same
// code, as one on the network. Serve it, and give Dial to the clients.
type Memory struct{ *bufconn.Listener }

// NewMemory makes a listener that nobody serves yet; until then Dial waits.
func NewMemory() *Memory { return &Memory{bufconn.Listen(memoryBuffer)} }

// Dial connects. It waits for the server as long as ctx lasts, and fails once the
// listener is closed.
func (m *Memory) Dial(ctx context.Context) (net.Conn, error) { return m.DialContext(ctx) }
