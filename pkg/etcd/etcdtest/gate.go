// SPDX-License-Identifier: Apache-2.0

package etcdtest

import (
	"io"
	"net"
	"sync"
)

// gate is the address of a member that comes and goes. It keeps listening while
// the member is away, so that the address cannot be lost to somebody else, and
// hangs up on callers then.
type gate struct {
	net.Listener
	wg    sync.WaitGroup
	mu    sync.Mutex // guards the rest
	to    string     // empty while shut
	conns map[net.Conn]struct{}
}

func newGate() (*gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{Listener: l, conns: map[net.Conn]struct{}{}}
	g.wg.Go(g.accept)
	return g, nil
}

func (g *gate) accept() {
	for {
		c, err := g.Accept()
		if err != nil {
			return
		}
		g.wg.Go(func() { g.carry(c) })
	}
}

// carry joins a caller with the member until one of them, or shut, ends it.
func (g *gate) carry(c net.Conn) {
	defer g.drop(c)
	to, ok := g.keep(c)
	if !ok {
		return
	}
	member, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer g.drop(member)
	if now, ok := g.keep(member); !ok || now != to {
		return
	}
	g.wg.Go(func() {
		_, _ = io.Copy(member, c)
		_ = member.Close()
	})
	_, _ = io.Copy(c, member)
}

// keep remembers c for shut; it fails when the gate is shut.
func (g *gate) keep(c net.Conn) (to string, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.to != "" {
		g.conns[c] = struct{}{}
	}
	return g.to, g.to != ""
}

func (g *gate) drop(c net.Conn) {
	_ = c.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

// open lets callers through to a member.
func (g *gate) open(to string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.to = to
}

// shut hangs up on all callers.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.to = ""
	for c := range g.conns {
		_ = c.Close()
	}
}

// close gives the address up and waits for what was under way.
func (g *gate) close() {
	_ = g.Close()
	g.shut()
	g.wg.Wait()
}
