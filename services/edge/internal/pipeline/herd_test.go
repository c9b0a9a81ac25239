// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// TestHerd: when what many wait for turns out not to be shared, they go to the origin
// under its limit, and each gets an answer of its own (D14.10, design 3.9).
func TestHerd(t *testing.T) {
	const viewers, limit = 200, 5
	var now, most, total atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		w.Header().Set("Cache-Control", "private")
		_, _ = w.Write([]byte{'a' + byte(total.Add(1)%26)})
	}))
	t.Cleanup(server.Close)
	client := origin.NewClient(origin.Config{MaxConcurrent: limit})
	t.Cleanup(client.Close)
	e := newEdge(t, options{site: siteOf(server.Listener.Addr().(*net.TCPAddr).Port), origins: client})
	c := start(e, viewers, "/")
	c.wg.Wait()
	for i, w := range c.viewers {
		if w.status != 200 || len(w.far()) != 1 || w.err != nil {
			t.Errorf("viewer %d: %d %q %v", i, w.status, w.far(), w.err)
		}
	}
	if total.Load() != viewers || most.Load() > limit {
		t.Errorf("%d origin requests for %d viewers, up to %d at a time", total.Load(), viewers, most.Load())
	}
	waitStored(e) // viewers have their answers a moment before
	if s := client.Stats(); s.Active != 0 || s.Queued != 0 {
		t.Errorf("left over: %+v", s)
	}
	if s := e.fills.Stats(); s.Fills != 0 || s.Bytes != 0 {
		t.Errorf("left over: %+v", s)
	}
}
