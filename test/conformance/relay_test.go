// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
)

// relayTLS listens without TLS and passes bytes on to an edge over TLS with HTTP/2 and
// the right server name, for programs that can name addresses only. It returns its
// address.
func relayTLS(t *testing.T, edge, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	config := &tls.Config{InsecureSkipVerify: true, ServerName: host, NextProtos: []string{"h2"}}
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer near.Close()
				far, err := tls.Dial("tcp", edge, config)
				if err != nil {
					t.Errorf("the edge does not take a connection: %v", err)
					return
				}
				defer far.Close()
				var out sync.WaitGroup
				out.Go(func() {
					_, _ = io.Copy(far, near)
					_ = far.CloseWrite()
				})
				_, _ = io.Copy(near, far)
				_ = near.Close() // ends the other direction
				out.Wait()
			})
		}
	})
	return l.Addr().String()
}
