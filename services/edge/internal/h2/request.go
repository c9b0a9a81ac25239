// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// errSlow is what reading a body ends with that does not come.
var errSlow = fmt.Errorf("request body is too slow: %w", os.ErrDeadlineExceeded)

// adapter answers the requests of one connection.
type adapter struct {
	cfg     *Config
	metrics *metrics
	peer    exchange.Peer
	refused *refusals
}

// ServeHTTP adapts one request.
func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.overloaded() && a.refused.begin(w, int64(a.cfg.Limits.Streams)) {
		a.metrics.reset(r.Context())
		panic(http.ErrAbortHandler) // x/net resets the stream
	}
	to := &sender{w: w, control: http.NewResponseController(w), head: r.Method == http.MethodHead, stall: a.cfg.StallTimeout, draining: a.cfg.Draining}
	if why := a.refusal(r); why != 0 {
		a.metrics.refuse(r.Context(), why.Status())
		a.cfg.Refuser.Refuse(r.Context(), &exchange.Refusal{Request: a.known(r), Why: why}, to)
	} else {
		a.cfg.Handler.Serve(r.Context(), a.request(r), to)
	}
	if !to.whole {
		panic(http.ErrAbortHandler) // x/net resets the stream (D17.12)
	}
}

func (a *adapter) overloaded() bool { return a.cfg.Overloaded != nil && a.cfg.Overloaded() }

// refusal says why a request is refused, if it is.
func (a *adapter) refusal(r *http.Request) exchange.Reason {
	switch {
	case a.overloaded():
		return exchange.Overloaded
	case len("https://")+len(r.Host)+len(r.RequestURI) > a.cfg.MaxURLBytes:
		return exchange.URLTooLong
	case a.tooLarge(r):
		return exchange.HeadTooLarge
	case !lengthIsRight(r):
		return exchange.BadLength
	case r.ContentLength > a.cfg.MaxBodyBytes:
		return exchange.BodyTooLarge
	}
	return 0
}

// tooLarge says whether request line and header, as HTTP/1.1 would write them, are
// longer than the limit (D4.5), or the fields too many.
func (a *adapter) tooLarge(r *http.Request) bool {
	const line, perField = len("  HTTP/1.1\r\n"), len(": \r\n")
	fields, size := 0, len(r.Method)+len(r.RequestURI)+line+len("Host")+len(r.Host)+perField
	for name, values := range r.Header {
		fields += len(values)
		for _, v := range values {
			size += len(name) + len(v) + perField
		}
	}
	return size > a.cfg.MaxHeaderBytes || fields > a.cfg.MaxFields
}

// lengthIsRight says whether Content-Length is one number, and 0 where no body comes:
// x/net compares it with the bytes of a body only, and takes the first of several
// (RFC 9113 §8.1.1).
func lengthIsRight(r *http.Request) bool {
	values, ok := r.Header["Content-Length"]
	if !ok {
		return true
	}
	n, err := strconv.ParseUint(values[0], 10, 63) // digits only
	if err != nil || slices.ContainsFunc(values[1:], func(v string) bool { return v != values[0] }) {
		return false
	}
	return int64(n) == r.ContentLength
}

// known is the exchange's form of r without header and body.
func (a *adapter) known(r *http.Request) exchange.Request {
	out := exchange.Request{
		Method:     r.Method,
		Target:     r.RequestURI,
		Host:       r.Host,
		Scheme:     "http",
		Major:      r.ProtoMajor,
		Minor:      r.ProtoMinor,
		Viewer:     a.peer.Address,
		ServerName: a.peer.ServerName,
	}
	if a.peer.Secure {
		out.Scheme = "https"
	}
	return out
}

// request makes the exchange's form of r. x/net keeps fields in a map, so they are
// sorted by name: the same request looks the same each time. It has joined the crumbs
// of Cookie (RFC 9113 §8.2.3), seen to it that Host and :authority agree (§8.3.1), and
// takes Trailer away.
func (a *adapter) request(r *http.Request) *exchange.Request {
	out := new(a.known(r))
	out.HasBody = r.ContentLength != 0 // unknown is -1
	out.Length = r.ContentLength
	out.Fronted = a.peer.Fronts != nil && a.peer.Fronts(r.Host)
	out.Header = make(header.Fields, 0, len(r.Header)+2)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			out.Header.Add(name, value)
		}
	}
	if out.HasBody {
		out.Body = &body{from: r.Body, timeout: a.cfg.BodyTimeout, rate: a.cfg.MinBodyRate, most: a.cfg.MaxBodyBytes}
	}
	return out
}

// body is the body of a request. Its first Read answers an expectation of 100-continue
// (D4.10), which x/net does. It is read by one goroutine.
type body struct {
	from    io.ReadCloser
	timeout time.Duration // of one wait
	rate    int           // bytes a second that lengthen all waits together
	most    int64         // bytes that may come
	taken   int64
	waited  time.Duration
}

// Read reads what has come, or waits for more. Time in which nobody reads does not
// count against the viewer.
func (b *body) Read(p []byte) (int, error) {
	if b.waited > b.timeout+time.Duration(float64(b.taken)/float64(b.rate)*float64(time.Second)) {
		return 0, errSlow
	}
	gone := make(chan struct{})
	timer := time.AfterFunc(b.timeout, func() {
		defer close(gone)
		_ = b.from.Close() // ends the Read
	})
	began := time.Now()
	n, err := b.from.Read(p)
	b.waited += time.Since(began)
	if !timer.Stop() {
		<-gone // it must not outlive the exchange
		return 0, errSlow
	}
	if b.taken += int64(n); b.taken > b.most {
		return 0, exchange.ErrBodyTooLarge
	}
	return n, err
}
