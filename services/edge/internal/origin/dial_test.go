// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

func TestAddresses(t *testing.T) {
	known := []netip.Addr{
		netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1"),
	}
	for _, tt := range []struct {
		name   string
		host   string
		family snapshot.Family
		asked  []string
		want   string
	}{
		{"D16.1: IPv4", "o.test", snapshot.IPv4, []string{"ip4 o.test"}, "192.0.2.1 192.0.2.2"},
		{"D16.1: IPv4 is the default", "o.test", 0, []string{"ip4 o.test"}, "192.0.2.1 192.0.2.2"},
		{"D16.1: IPv6", "o.test", snapshot.IPv6, []string{"ip6 o.test"}, "2001:db8::1"},
		{"D16.1: dual stack takes turns", "o.test", snapshot.DualStack, []string{"ip o.test"}, "2001:db8::1 192.0.2.1 192.0.2.2"},
		{"literal", "192.0.2.9", snapshot.IPv4, nil, "192.0.2.9"},
		{"literal in brackets", "[2001:db8::9]", snapshot.IPv6, nil, "2001:db8::9"},
		{"literal of the other family", "2001:db8::9", snapshot.IPv4, nil, ""},
		{"RFC 6761 6.3: localhost", "localhost", snapshot.IPv4, nil, "127.0.0.1"},
		{"RFC 6761 6.3: below localhost", "bucket.s3.LocalHost.", snapshot.IPv4, nil, "127.0.0.1"},
		{"RFC 6761 6.3: in the family asked for", "a.localhost", snapshot.IPv6, nil, "::1"},
		{"RFC 6761 6.3: both", "localhost", snapshot.DualStack, nil, "::1 127.0.0.1"},
		{"not localhost", "notlocalhost", snapshot.IPv4, []string{"ip4 notlocalhost"}, "192.0.2.1 192.0.2.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := &fakeResolver{addrs: known}
			d := &dialer{resolver: res}
			found, err := d.addresses(t.Context(), tt.host, tt.family)
			if (err == nil) != (tt.want != "") {
				t.Fatal(err)
			}
			var got []string
			for _, a := range found {
				got = append(got, a.String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.asked, res.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAddressesAreBounded(t *testing.T) {
	var many []netip.Addr
	for a := netip.MustParseAddr("192.0.2.1"); len(many) < 100; a = a.Next() {
		many = append(many, a)
	}
	got, err := ordered(many, snapshot.IPv4)
	if err != nil || !slices.Equal(got, many[:maxAddresses]) {
		t.Errorf("%d addresses, %v", len(got), err)
	}
}

func TestDNSFailure(t *testing.T) {
	for _, tt := range []struct {
		name string
		res  *fakeResolver
	}{
		{"D16.1: lookup fails", &fakeResolver{err: &net.DNSError{Err: "no such host", IsNotFound: true}}},
		{"D16.1: no address", &fakeResolver{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := originAt(80)
			o.Host = "o.test"
			_, err := newTestClient(t, Config{Resolver: tt.res}).Fetch(t.Context(), get(o))
			e := wantKind(t, err, DNS)
			if e.Status() != 502 || e.Detail() != "OriginDnsError" || len(tt.res.asked) != 1 {
				t.Errorf("%+v, asked %v", e, tt.res.asked)
			}
		})
	}
}

// TestRefused asks a port where nobody listens.
func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := originAt(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	_, err = newTestClient(t, Config{}).Fetch(t.Context(), get(o))
	e := wantKind(t, err, Connect)
	if e.Status() != 502 || e.Detail() != "OriginConnectError" || e.Attempts != 3 {
		t.Errorf("D16.13: %+v", e)
	}
}

func TestConnectFault(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		err  error
		want Kind
	}{
		{"D16.13: refused", t.Context(), syscall.ECONNREFUSED, Connect},
		{"D16.13: reset", t.Context(), syscall.ECONNRESET, Connect},
		{"D16.13: timed out", t.Context(), syscall.ETIMEDOUT, ConnectTimeout},
		{"D16.13: not reachable", t.Context(), syscall.EHOSTUNREACH, ConnectTimeout},
		{"D16.13: no route for one family, refused in the other", t.Context(), errors.Join(syscall.ENETUNREACH, syscall.ECONNREFUSED), Connect},
		{"D16.13: time is over", ended, errors.Join(syscall.ECONNREFUSED, context.Canceled), ConnectTimeout},
		{"something else", t.Context(), syscall.EMFILE, Connect},
	} {
		t.Run(tt.name, func(t *testing.T) { wantKind(t, connectFault(tt.ctx, tt.err), tt.want) })
	}
}

// TestRace: which address is connected to, and when, in dual stack.
func TestRace(t *testing.T) {
	six, four := "[2001:db8::1]:80", "192.0.2.1:80"
	type way struct {
		after time.Duration
		err   error
	}
	for _, tt := range []struct {
		name string
		ways map[string]way
		want string // "" for a failure
		at   time.Duration
	}{
		{"D16.1: IPv6 first", map[string]way{six: {10 * time.Millisecond, nil}, four: {0, nil}}, six, 10 * time.Millisecond},
		{"D16.1: IPv4 joins in later and wins", map[string]way{six: {time.Hour, nil}, four: {time.Millisecond, nil}}, four, headStart + time.Millisecond},
		{"D16.1: both connect, one is closed", map[string]way{six: {headStart + 5, nil}, four: {5, nil}}, "either", headStart + 5},
		{"D16.1: a failure starts the next at once", map[string]way{six: {time.Millisecond, syscall.ENETUNREACH}, four: {time.Millisecond, nil}}, four, 2 * time.Millisecond},
		{"D16.13: all fail", map[string]way{six: {1, syscall.ENETUNREACH}, four: {1, syscall.ECONNREFUSED}}, "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var far []net.Conn
				d := &dialer{
					resolver: &fakeResolver{addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
					dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
						select {
						case <-ctx.Done():
							return nil, ctx.Err()
						case <-time.After(tt.ways[addr].after):
						}
						if err := tt.ways[addr].err; err != nil {
							return nil, err
						}
						a, b := net.Pipe()
						mu.Lock()
						far = append(far, b)
						mu.Unlock()
						return a, nil
					},
				}
				began := time.Now()
				nc, addr, err := d.connect(t.Context(), endpoint{host: "o.test", port: 80, family: snapshot.DualStack})
				if got := time.Since(began); got != tt.at {
					t.Errorf("after %v, want %v", got, tt.at)
				}
				if tt.want == "" {
					wantKind(t, err, Connect)
					return
				}
				if err != nil || tt.want != "either" && addr.String() != tt.want {
					t.Fatalf("connected to %v, %v", addr, err)
				}
				_ = nc.Close()
				for _, c := range far { // every connection made is closed on the near side
					if _, err := c.Read(make([]byte, 1)); err == nil {
						t.Error("a byte came")
					}
				}
			})
		})
	}
}
