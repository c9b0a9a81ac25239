// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

func TestConnectionLimits(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"in all":          func(c *Config) { c.MaxConnections = 2 },
		"for one address": func(c *Config) { c.MaxPerAddress = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, answer(exchange.Answer{Status: 204}), change)
			ask := func(c net.Conn, r *bufio.Reader) error {
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
					return err
				}
				_, err := http.ReadResponse(r, nil)
				return err
			}
			first, reader := dial(t, s.http)
			second, reader2 := dial(t, s.http)
			for range 2 {
				if err := errors.Join(ask(first, reader), ask(second, reader2)); err != nil {
					t.Fatal(err)
				}
			}
			if third, r := dial(t, s.http); ask(third, r) == nil {
				t.Error("one connection too many is answered")
			}
			_ = first.Close()
			for { // the server learns of the end in its own time
				if next, r := dial(t, s.http); ask(next, r) == nil {
					break
				}
			}
		})
	}
}

func TestGroupsOfAddresses(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7:80": "192.0.2.7/32", "[::ffff:192.0.2.7]:80": "192.0.2.7/32",
		"[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64", "[fe80::1%eth0]:80": "fe80::/64",
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := group(tcp).String(); got != want {
			t.Errorf("group(%s) = %s, want %s", addr, got, want)
		}
	}
}
