// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
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
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := group(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("group(%s) = %s, want %s", addr, got, want)
		}
	}
}

// The viewer is whom a listed balancer names, also where connections are counted.
func TestProxyProtocol(t *testing.T) {
	viewers := make(chan netip.AddrPort, 1)
	s := serve(t, func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
		viewers <- req.Viewer
		_, _ = to.Send(ctx, &exchange.Answer{Status: 204})
	}, func(c *Config) {
		c.ProxyNetworks, c.MaxPerAddress = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, 1
	})
	ask := func(from string) (net.Conn, error) {
		c, r := dial(t, s.http)
		if _, err := io.WriteString(c, from+"GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			return c, err
		}
		_, err := http.ReadResponse(r, nil)
		return c, err
	}
	const one, two = "PROXY TCP4 192.0.2.1 192.0.2.9 1111 80\r\n", "PROXY TCP6 2001:db8::1 2001:db8::9 2222 80\r\n"
	for from, want := range map[string]string{one: "192.0.2.1:1111", two: "[2001:db8::1]:2222"} {
		if _, err := ask(from); err != nil {
			t.Fatal(err)
		}
		if got := <-viewers; got.String() != want {
			t.Errorf("viewer %v, want %s", got, want)
		}
	}
	for _, from := range []string{one, two, ""} {
		if _, err := ask(from); err == nil {
			t.Errorf("%q is served", from)
		}
	}
}
