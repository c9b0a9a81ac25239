// SPDX-License-Identifier: Apache-2.0

// Package dns is a name server for tests: every name below one domain is 127.0.0.1,
// and no other exists. It answers over UDP and TCP.
package dns

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Start runs a server for the names below domain until the test ends, and returns
// its address.
func Start(t testing.TB, domain string) string {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{suffix: "." + domain + ".", t: t}
	s.running.Go(func() { s.packets(udp) })
	s.running.Go(func() { s.connections(tcp) })
	t.Cleanup(func() {
		_ = udp.Close()
		_ = tcp.Close()
		s.running.Wait()
	})
	return tcp.Addr().String()
}

type server struct {
	suffix  string
	running sync.WaitGroup
	t       testing.TB
}

func (s *server) packets(c net.PacketConn) {
	buf := make([]byte, 1<<12)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			s.closed(err)
			return
		}
		if out, err := s.answer(buf[:n]); err == nil {
			_, _ = c.WriteTo(out, from) // a lost datagram is asked for again
		}
	}
}

func (s *server) connections(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			s.closed(err)
			return
		}
		s.question(c)
	}
}

// question answers the one question of a connection.
func (s *server) question(c net.Conn) {
	defer c.Close()
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return
	}
	in := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, in); err != nil {
		return
	}
	out, err := s.answer(in)
	if err != nil {
		return
	}
	_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
}

func (s *server) closed(err error) {
	if !errors.Is(err, net.ErrClosed) {
		s.t.Errorf("name server: %v", err)
	}
}

func (s *server) answer(in []byte) ([]byte, error) {
	var p dnsmessage.Parser
	head, err := p.Start(in)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	head.Response, head.Authoritative = true, true
	known := strings.HasSuffix(strings.ToLower(q.Name.String()), s.suffix)
	if !known {
		head.RCode = dnsmessage.RCodeNameError
	}
	out := dnsmessage.Message{Header: head, Questions: []dnsmessage.Question{q}}
	if known && q.Type == dnsmessage.TypeA {
		out.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	return out.Pack()
}
