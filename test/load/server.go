// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"net"
	"sync"
)

// server has one goroutine for each connection.
type server struct {
	listener net.Listener
	handle   func(net.Conn) error
	mu       sync.Mutex // guards conns
	conns    map[net.Conn]bool
}

func listen(address string, handle func(net.Conn) error) (*server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &server{listener: l, handle: handle, conns: map[net.Conn]bool{}}, nil
}

// Address is where the server listens.
func (s *server) Address() string { return s.listener.Addr().String() }

// Serve answers until ctx ends.
func (s *server) Serve(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	stop := context.AfterFunc(ctx, s.end)
	defer stop()
	for {
		c, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		all.Go(func() {
			_ = s.handle(c) // its peer has left, or was told what is wrong
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
			_ = c.Close()
		})
	}
}

func (s *server) end() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}
