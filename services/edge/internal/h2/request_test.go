// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// seen is what a handler saw of a request.
type seen struct {
	exchange.Request
	Body string
	Err  error
}

// record hands each request on and answers it.
func record(to chan<- seen) handler {
	return func(ctx context.Context, req *exchange.Request, s exchange.Sender) {
		r := seen{Request: *req}
		if req.Body != nil {
			b, err := io.ReadAll(req.Body)
			r.Body, r.Err = string(b), err
		}
		r.Request.Body = nil
		to <- r
		hello(ctx, req, s)
	}
}

func TestRequestReachesTheHandlerAsSent(t *testing.T) {
	pseudo := []string{":method", "POST", ":scheme", "https", ":authority", "X.cdn.test:8443", ":path", "/a//b/../%2f?q=%41&&"}
	for _, tt := range []struct {
		name   string
		fields []string
		body   string
		want   exchange.Request
	}{
		{"bare", pseudo, "", exchange.Request{}},
		{"header", append(pseudo, "x-b", "2", "x-a", "1", "x-b", "3", "te", "trailers"), "", exchange.Request{
			Header: header.Fields{{Name: "Te", Value: "trailers"}, {Name: "X-A", Value: "1"}, {Name: "X-B", Value: "2"}, {Name: "X-B", Value: "3"}},
		}},
		{"RFC 9113 §8.2.3: crumbs of Cookie are one line", append(pseudo, "cookie", "a=b", "cookie", "c=d; e=f"), "", exchange.Request{
			Header: header.Fields{{Name: "Cookie", Value: "a=b; c=d; e=f"}},
		}},
		{"RFC 9113 §8.3.1: Host in place of :authority", append([]string{":method", "POST", ":scheme", "https", ":path", pseudo[7]}, "host", pseudo[5]), "", exchange.Request{}},
		{"RFC 9113 §8.3.1: Host that agrees", append(pseudo, "host", pseudo[5]), "", exchange.Request{}},
		{"D4.9: body of unknown length", pseudo, "some text", exchange.Request{HasBody: true, Length: -1}},
		{"body of known length", append(pseudo, "content-length", "9"), "some text", exchange.Request{
			HasBody: true, Length: 9, Header: header.Fields{{Name: "Content-Length", Value: "9"}},
		}},
		{"no body, and its length", append(pseudo, "content-length", "0"), "", exchange.Request{Header: header.Fields{{Name: "Content-Length", Value: "0"}}}},
		{"scheme of the connection, not of the viewer", []string{":method", "POST", ":scheme", "http", ":authority", pseudo[5], ":path", pseudo[7]}, "", exchange.Request{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				requests := make(chan seen, 1)
				v := connect(t, newServer(t, record(requests)))
				v.ask(1, tt.body == "", tt.fields...)
				if tt.body != "" {
					for i, c := range tt.body {
						if err := v.WriteData(1, i == len(tt.body)-1, []byte(string(c))); err != nil {
							t.Fatal(err)
						}
					}
				}
				if head, _, _ := v.answer(); head.status() != "200" {
					t.Fatalf("%+v", head)
				}
				got, want := <-requests, tt.want
				want.Method, want.Scheme, want.Host, want.Target = "POST", "https", pseudo[5], pseudo[7]
				want.Major, want.Viewer, want.ServerName = 2, peer.Address, peer.ServerName
				if want.Header == nil {
					want.Header = header.Fields{}
				}
				if d := cmp.Diff(want, got.Request, cmp.Comparer(func(a, b exchange.Request) bool { return equal(a, b) })); d != "" || got.Body != tt.body || got.Err != nil {
					t.Errorf("request %s\nbody %q, %v", d, got.Body, got.Err)
				}
			})
		})
	}
}

func equal(a, b exchange.Request) bool {
	ha, hb := a.Header, b.Header
	a.Header, b.Header = nil, nil
	return cmp.Equal(ha, hb) && a.Method == b.Method && a.Target == b.Target && a.Host == b.Host && a.Scheme == b.Scheme &&
		a.Major == b.Major && a.Minor == b.Minor && a.HasBody == b.HasBody && a.Length == b.Length &&
		a.Viewer == b.Viewer && a.ServerName == b.ServerName && a.Upgrade == b.Upgrade && a.Fronted == b.Fronted
}

// refusedRequests remembers what was refused.
type refusedRequests []exchange.Refusal

func (r *refusedRequests) Refuse(ctx context.Context, why *exchange.Refusal, to exchange.Sender) {
	*r = append(*r, *why)
	exchange.Plain{}.Refuse(ctx, why, to)
}

// What must not reach the pipeline resets its stream or is answered, and the
// connection goes on.
func TestRefusedRequests(t *testing.T) {
	with := func(name, value string) []string {
		p := request()
		for i := 0; i < len(p); i += 2 {
			if p[i] == name {
				p[i+1] = value
				return p
			}
		}
		return append(p, name, value)
	}
	without := func(name string) (out []string) {
		p := request()
		for i := 0; i < len(p); i += 2 {
			if p[i] != name {
				out = append(out, p[i], p[i+1])
			}
		}
		return out
	}
	many := request()
	for range 300 {
		many = append(many, "x", "y")
	}
	long := request()
	for range 10 {
		long = append(long, "x", strings.Repeat("a", 7500))
	}
	const reset = ""
	for _, tt := range []struct {
		name   string
		fields []string
		status string
	}{
		{"D24.7: no :method", without(":method"), reset},
		{"D24.7: no :path", without(":path"), reset},
		{"D24.7: no :scheme", without(":scheme"), reset},
		{"D24.7: empty :path", with(":path", ""), reset},
		{"D24.7: :path without a slash", with(":path", "a"), reset},
		{"D24.7: unknown pseudo-header", with(":x", "y"), reset},
		{"D24.7: pseudo-header twice", append(request(), ":path", "/b"), reset},
		{"D24.7: pseudo-header after others", append([]string{"x", "y"}, request()...), reset},
		{"D24.7: a pseudo-header of answers", with(":status", "200"), reset},
		{"D24.7: extended CONNECT (RFC 8441 §4)", append(with(":method", "CONNECT"), ":protocol", "websocket"), reset},
		{"D24.7: CONNECT with a path", with(":method", "CONNECT"), reset},
		{"RFC 9113 §8.2.1: upper case", with("X-Y", "z"), reset},
		{"RFC 9113 §8.2.1: control byte", with("x", "a\nb"), reset},
		{"RFC 9113 §8.3.1: user in :authority", with(":authority", "a@b"), reset},
		{"RFC 9113 §8.3.1: Host that disagrees", with("host", "y.cdn.test"), reset},
		{"RFC 9113 §8.3.1: Host twice", append(request(), "host", "x.cdn.test", "host", "x.cdn.test"), reset},
		{"RFC 9113 §8.2.2: Connection", with("connection", "close"), "400"},
		{"RFC 9113 §8.2.2: Transfer-Encoding", with("transfer-encoding", "chunked"), "400"},
		{"RFC 9113 §8.2.2: TE", with("te", "gzip"), "400"},
		{"RFC 9113 §8.1.1: length without a body", with("content-length", "5"), "400"},
		{"RFC 9113 §8.1.1: no number", with("content-length", "+0"), "400"},
		{"RFC 9113 §8.1.1: two lengths", append(request(), "content-length", "0", "content-length", "5"), "400"},
		{"D4.6: URL", with(":path", "/"+strings.Repeat("a", 8192)), "414"},
		{"D4.6: header", with("x", strings.Repeat("a", 32768)), "494"},
		{"D4.6: number of fields", many, "494"},
		{"D4.5: far too long a header", long, "431"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var refused refusedRequests
				s := newServer(t, hello, func(c *Config) { c.Refuser = &refused })
				v := connect(t, s)
				b := v.encode(tt.fields...)
				for first := true; first || len(b) > 0; first = false {
					n := min(len(b), frameSize)
					write := func() error { return v.WriteContinuation(1, n == len(b), b[:n]) }
					if first {
						write = func() error {
							return v.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:n], EndStream: true, EndHeaders: n == len(b)})
						}
					}
					if err := write(); err != nil {
						t.Fatal(err)
					}
					b = b[n:]
				}
				head, _, code := v.answer()
				if head.status() != tt.status || tt.status == reset && code != http2.ErrCodeProtocol {
					t.Fatalf("status %q, reset %v, want status %q", head.status(), code, tt.status)
				}
				if ours := tt.status == "414" || tt.status == "494" || strings.Contains(tt.name, "§8.1.1"); ours != (len(refused) == 1) ||
					ours && (strconv.Itoa(refused[0].Why.Status()) != tt.status || refused[0].Request.Host != "x.cdn.test" || refused[0].Request.Viewer != peer.Address) {
					t.Errorf("D4.7: told of %+v", refused)
				}
				if tt.status != reset && tt.status != "431" && tt.status != "400" {
					return // its connection ends with it (D4.6)
				}
				if tt.status == "400" && strings.Contains(tt.name, "§8.1.1") {
					return
				}
				v.ask(3, true, request()...)
				if head, _, _ := v.answer(); head.status() != "200" {
					t.Errorf("the next request gets %+v", head)
				}
			})
		})
	}
}

// D24.10: trailers of requests are dropped.
func TestTrailersAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := make(chan seen, 1)
		v := connect(t, newServer(t, record(requests)))
		v.ask(1, false, request("trailer", "x-t")...)
		if err := v.WriteData(1, false, []byte("text")); err != nil {
			t.Fatal(err)
		}
		v.ask(1, true, "x-t", "1")
		v.answer()
		if got := <-requests; got.Body != "text" || got.Err != nil || len(got.Header) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestBadBodies(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(v *viewer)
		want error // nil: any
	}{
		{"RFC 9113 §8.1.1: shorter than announced", func(v *viewer) {
			v.ask(1, false, request("content-length", "9")...)
			_ = v.WriteData(1, true, []byte("text")) // the handler tells
		}, nil},
		{"RFC 9113 §8.1.1: longer than announced", func(v *viewer) {
			v.ask(1, false, request("content-length", "3")...)
			_ = v.WriteData(1, true, []byte("text")) // the handler tells
		}, nil},
		{"reset", func(v *viewer) {
			v.ask(1, false, request()...)
			_ = v.WriteRSTStream(1, http2.ErrCodeCancel) // the handler tells
		}, nil},
		{"viewer gone", func(v *viewer) {
			v.ask(1, false, request()...)
			_ = v.conn.Close() // the handler tells
		}, nil},
		{"D4.8: too large", func(v *viewer) {
			v.ask(1, false, request()...)
			for range 11 {
				_ = v.WriteData(1, false, make([]byte, 100)) // the handler tells
			}
		}, exchange.ErrBodyTooLarge},
		{"no more comes", func(v *viewer) {
			v.ask(1, false, request()...)
			_ = v.WriteData(1, false, []byte("t")) // the handler tells
		}, os.ErrDeadlineExceeded},
		{"a byte now and then", func(v *viewer) {
			v.ask(1, false, request()...)
			for range 10 {
				_ = v.WriteData(1, false, []byte("t")) // the handler tells
				time.Sleep(DefaultBodyTimeout / 2)
			}
		}, os.ErrDeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				requests := make(chan seen, 1)
				v := connect(t, newServer(t, record(requests), func(c *Config) { c.MaxBodyBytes = 1000 }))
				began := time.Now()
				tt.send(v)
				got := <-requests
				if got.Err == nil || tt.want != nil && !errors.Is(got.Err, tt.want) {
					t.Errorf("body ends with %v, want %v", got.Err, tt.want)
				}
				if d := time.Since(began); d > 5*DefaultBodyTimeout {
					t.Errorf("ended after %v", d)
				}
			})
		})
	}
}

// A body is not slow because nobody reads it.
func TestUnreadBodyIsNotSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan error, 1)
		v := connect(t, newServer(t, handler(func(ctx context.Context, req *exchange.Request, to exchange.Sender) {
			time.Sleep(time.Hour)
			_, err := io.ReadAll(req.Body)
			read <- err
			hello(ctx, req, to)
		})))
		v.ask(1, false, request()...)
		time.Sleep(time.Hour + time.Second)
		if err := v.WriteData(1, true, []byte("text")); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != nil {
			t.Error(err)
		}
	})
}

// D4.10: reading the body answers an expectation, and answering without reading does
// not.
func TestExpectation(t *testing.T) {
	for _, reads := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			requests := make(chan seen, 1)
			h := handler(hello)
			if reads {
				h = record(requests)
			}
			v := connect(t, newServer(t, h))
			v.ask(1, false, request("expect", "100-continue")...)
			e, _ := v.next()
			want := "200"
			if reads {
				want = "100"
			}
			if e.status() != want {
				t.Fatalf("first %+v, want %s", e, want)
			}
			if !reads {
				return
			}
			if err := v.WriteData(1, true, []byte("text")); err != nil {
				t.Fatal(err)
			}
			if head, body, _ := v.answer(); head.status() != "200" || body != "hello" {
				t.Errorf("%+v %q", head, body)
			}
			if got := <-requests; got.Body != "text" || got.Header.Has("Expect") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// D2.7: the peer says which hosts may not come this way.
func TestFrontedHosts(t *testing.T) {
	a := adapter{cfg: &Config{}, peer: exchange.Peer{Fronts: func(host string) bool { return host == "b.test" }}}
	for host, want := range map[string]bool{"a.test": false, "b.test": true} {
		if got := a.request(newRequest(host)); got.Fronted != want || got.Scheme != "http" {
			t.Errorf("%s: fronted %v, scheme %s", host, got.Fronted, got.Scheme)
		}
	}
}
