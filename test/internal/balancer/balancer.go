// SPDX-License-Identifier: Apache-2.0

// Package balancer is a small HTTP balancer before edges, as an operator would have one.
//
// It promises: a request goes to an edge whose /readyz has answered 200 lately, in
// turns; connections to edges are kept; a request that finds its kept connection closed,
// without a byte of an answer, is sent once more on another. It repeats nothing else: an
// edge that takes no connection is a 502 that says so, and an answer that breaks off breaks off.
package balancer

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/internal/program"
)

// interval is the time between two questions whether an edge is ready, patience how long
// one may take.
const (
	interval = 100 * time.Millisecond
	patience = time.Second
)

// Target is an edge.
type Target struct{ HTTP, Admin string } // addresses

// edge is a Target as it is now.
type edge struct {
	Target
	ready    atomic.Bool
	answered atomic.Int64
}

// Balancer is a running balancer.
type Balancer struct {
	// Address is where clients ask.
	Address string

	edges  []*edge
	next   atomic.Int64
	failed atomic.Int64
}

type chosen struct{} // key of the edge in the context of a request

// Start runs a balancer until the test ends. All edges are taken to be ready.
func Start(t testing.TB, targets ...Target) *Balancer {
	t.Helper()
	b := &Balancer{}
	for _, target := range targets {
		e := &edge{Target: target}
		e.ready.Store(true)
		b.edges = append(b.edges, e)
	}
	transport := &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 100,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}
	server := httptest.NewServer(b.handler(transport))
	b.Address = server.Listener.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // clients may go on until the cleanup
	var watching sync.WaitGroup
	for _, e := range b.edges {
		watching.Go(func() { e.watch(ctx) })
	}
	t.Cleanup(func() {
		server.Close()
		cancel()
		watching.Wait()
		transport.CloseIdleConnections()
	})
	return b
}

func (b *Balancer) handler(transport *http.Transport) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			e, _ := r.In.Context().Value(chosen{}).(*edge)
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", e.HTTP, r.In.Host
		},
		ModifyResponse: func(res *http.Response) error {
			if e, ok := res.Request.Context().Value(chosen{}).(*edge); ok {
				e.answered.Add(1)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { b.fail(w, err) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := b.choose()
		if e == nil {
			b.fail(w, errors.New("no edge is ready"))
			return
		}
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), chosen{}, e)))
	})
}

func (b *Balancer) fail(w http.ResponseWriter, err error) {
	b.failed.Add(1)
	http.Error(w, err.Error(), http.StatusBadGateway)
}

// choose takes the edges that are ready in turns.
func (b *Balancer) choose() *edge {
	from := int(b.next.Add(1))
	for i := range b.edges {
		if e := b.edges[(from+i)%len(b.edges)]; e.ready.Load() {
			return e
		}
	}
	return nil
}

// watch asks the edge whether it is ready until ctx ends.
func (e *edge) watch(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		e.ready.Store(e.ask(ctx) == nil)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ask takes an edge that does not answer soon for one that is not ready.
func (e *edge) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return program.Page(ctx, "http://"+e.Admin+"/readyz")
}

// Answered is how many answers of an edge clients have had, by its place in Start.
func (b *Balancer) Answered(i int) int64 { return b.edges[i].answered.Load() }

// Failed is how many requests got no answer of an edge.
func (b *Balancer) Failed() int64 { return b.failed.Load() }
