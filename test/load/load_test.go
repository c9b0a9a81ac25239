// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestParseHead(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     head
		err      string
	}{
		{"with a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", head{200, 5, 44}, ""},
		{"names in any case", "HTTP/1.1 304 \r\ncOnTeNt-LeNgTh:7\r\n\r\n", head{304, 7, 35}, ""},
		{"without fields", "HTTP/1.1 204 No Content\r\n\r\n", head{204, -1, 27}, ""},
		{"not complete", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", head{}, errUnfinished.Error()},
		{"another protocol", "SSH-2.0 200 OK\r\n\r\n", head{}, "not a status line"},
		{"a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n", head{}, "not a length"},
		{"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", head{}, "not a length"},
		{"no end", "HTTP/1.1 200 OK\r\n" + strings.Repeat("x", maxHead), head{}, "a head of more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseHead([]byte(tt.in))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if h, err := parseHead(in); err == nil && (h.size > len(in) || h.length < -1) {
			t.Errorf("%q: %+v", in, h)
		}
	})
}

func startOrigin(t *testing.T) *Origin {
	t.Helper()
	o, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, o.server)
	return o
}

// serve runs a server until the test ends.
func serve(t *testing.T, s *server) {
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
}

func TestRun(t *testing.T) {
	o := startOrigin(t)
	for _, tt := range []struct {
		name string
		plan Plan
		want int // requests
		err  string
	}{
		{"a count", Plan{Connections: 3, Target: "/1000/a", Count: 50, Status: 200, Length: 1000}, 50, ""},
		{"more connections than requests", Plan{Connections: 9, Target: "/10/a", Count: 2, Status: 200, Length: 10}, 2, ""},
		{"numbered targets", Plan{Connections: 2, Target: "/10/#/x", First: 7, Count: 20, Status: 200, Length: 10}, 20, ""},
		{"a large body", Plan{Connections: 2, Target: "/3000000/a", Count: 4, Status: 200, Length: 3000000}, 4, ""},
		{"a rate", Plan{Connections: 2, Target: "/10/a", Rate: 5000, Count: 100, Status: 200, Length: 10}, 100, ""},
		{"another status", Plan{Connections: 1, Target: "/none", Count: 1, Status: 200, Length: -1}, 0, "status 404"},
		{"another length", Plan{Connections: 1, Target: "/10/a", Count: 1, Status: 200, Length: 11}, 0, "length 10"},
		{"no end", Plan{Connections: 1, Target: "/10/a"}, 0, "a duration or a count"},
		{"a line break", Plan{Connections: 1, Target: "/10/a\r\nX: y", Count: 1}, 0, "a line break"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.plan.Address, tt.plan.Host = o.Address(), "localhost"
			before := o.asked.Load()
			got, err := Run(tt.plan)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || got.Requests != tt.want || o.asked.Load()-before != int64(tt.want) {
				t.Errorf("got %v, %v, %d requests at the origin; want %d", got, err, o.asked.Load()-before, tt.want)
			}
			if got.Bytes != int64(tt.want)*tt.plan.Length {
				t.Errorf("got %d bytes", got.Bytes)
			}
		})
	}
}

func TestFloor(t *testing.T) {
	f, err := ListenFloor("127.0.0.1:0", []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	if err != nil {
		t.Fatal(err)
	}
	serve(t, f.server)
	got, err := Run(Plan{Address: f.Address(), Connections: 3, Target: "/whatever", Count: 50, Status: 200, Length: 5})
	if err != nil || got.Requests != 50 || got.Bytes != 250 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestStoppedServer: what a server does not answer in time counts from when it was
// due, not from when it was sent.
func TestStoppedServer(t *testing.T) {
	const stop, requests = 200 * time.Millisecond, 100
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	defer all.Wait()
	defer l.Close()
	all.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for i := 0; ; i++ {
			if _, err := readTarget(r); err != nil {
				return
			}
			if i == 1 {
				time.Sleep(stop)
			}
			if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")); err != nil {
				return
			}
		}
	})
	// One request is due each millisecond, so 90 of them wait for half of the stop and more.
	got, err := Run(Plan{Address: l.Addr().String(), Connections: 1, Target: "/", Rate: 1000, Count: requests, Status: 200, Length: 0})
	if err != nil || got.Requests != requests {
		t.Fatalf("%v, %v", got, err)
	}
	if least := float64((stop / 2).Microseconds()); got.P50 < least {
		t.Errorf("the median is %.0f µs, though the server stopped for %v", got.P50, stop)
	}
}

func TestHold(t *testing.T) {
	o := startOrigin(t)
	held, err := Hold(Plan{Address: o.Address(), Sources: []string{"127.0.0.2", "127.0.0.3"}, Connections: 5, Target: "/10/a", Status: 200, Length: 10})
	if err != nil {
		t.Fatal(err)
	}
	o.server.mu.Lock()
	var from []string
	for c := range o.conns {
		host, _, err := net.SplitHostPort(c.RemoteAddr().String())
		if err != nil {
			t.Error(err)
		}
		from = append(from, host)
	}
	o.server.mu.Unlock()
	slices.Sort(from)
	if want := []string{"127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"}; !slices.Equal(from, want) {
		t.Errorf("connections from %v, want %v", from, want)
	}
	held.Close()
}

func TestCount(t *testing.T) {
	o := startOrigin(t)
	if _, err := Run(Plan{Address: o.Address(), Connections: 1, Target: "/1/a", Count: 3, Status: 200, Length: 1}); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", o.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("GET " + CountTarget + " HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1000)
	n, err := c.Read(b)
	if err != nil || !strings.HasSuffix(string(b[:n]), "\r\n\r\n3") {
		t.Errorf("%q, %v", b[:n], err)
	}
}

func TestRaise(t *testing.T) {
	if n, err := Raise(64); err != nil || n < 64 {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := parseHead(nil); !errors.Is(err, errUnfinished) {
		t.Error(err)
	}
}
