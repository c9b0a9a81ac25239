// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// Response is the head of an answer and its body as it arrives (D17.1).
type Response struct {
	// Status is the final status, 200 to 599.
	Status int
	// Minor is the minor HTTP version that the origin named.
	Minor int
	// Header holds the fields as they came, without those that concern only the
	// connection (D17.2).
	Header header.Fields
	// ContentLength is what the origin announced, also where no body follows (HEAD,
	// 304); -1 if it announced nothing.
	ContentLength int64
	// Body is never nil and must be closed, which frees the origin's slot. Read
	// fails with an *Error when the body is incomplete (D17.12).
	Body io.ReadCloser
	// Framing is how the end of Body is known.
	Framing Framing
	// Attempts is how many tries were used; a free one (D16.16) is not counted.
	Attempts int
	// Reused says that the answer came over a kept connection, to RemoteAddr.
	Reused     bool
	RemoteAddr netip.AddrPort
	// RequestTime is when the request that was answered was sent, ResponseTime when
	// the head had arrived (RFC 9111 §4.2.3).
	RequestTime, ResponseTime time.Time
}

// fetch is one call of Fetch.
type fetch struct {
	client   *Client
	req      *Request
	origin   *snapshot.Origin
	endpoint endpoint
	head     []byte // of the request, the same in each attempt
	// attempt, reused and remote describe the present try.
	attempt int
	reused  bool
	remote  netip.AddrPort
}

// Causes of contexts that end by a time-out of the origin.
var (
	errConnectTimeout = errors.New("connection timed out")
	errCompletion     = errors.New("answer took too long")
)

// Fetch sends a request and returns the head of the answer. It fails with an
// *Error. The end of ctx ends whatever is under way, the body included.
//
// A try that fails without an answer is followed by the next until Origin.Attempts
// are used (D16.10). Each has ConnectTimeout for address, connection and handshake,
// then ReadTimeout for every packet; CompletionTimeout, from the moment the request
// has its turn, covers them all and the body (D16.15).
func (c *Client) Fetch(ctx context.Context, req *Request) (*Response, error) {
	f := &fetch{client: c, req: req, origin: req.Origin, endpoint: endpointOf(req)}
	var err error
	if f.head, err = req.head(); err != nil {
		return nil, f.explain(ctx, err)
	}
	if err := c.limits.acquire(ctx, f.origin.Name); err != nil {
		return nil, f.explain(ctx, err)
	}
	cancel := func() {}
	if t := f.origin.CompletionTimeout; t > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, t, errCompletion)
	}
	done := func() {
		cancel()
		c.limits.release(f.origin.Name)
	}
	res, err := f.run(ctx, done)
	if err != nil {
		done()
		return nil, err
	}
	return res, nil
}

// run makes attempts until one is answered or none is left (D16.9 to D16.16).
// Once a head has arrived nothing is tried again (D16.12).
func (f *fetch) run(ctx context.Context, done func()) (*Response, error) {
	fresh := false
	for f.attempt = 1; ; f.attempt++ {
		res, err := f.try(ctx, fresh, done)
		if err == nil {
			return res, nil
		}
		failed := f.explain(ctx, err)
		if f.reused && (failed.Kind == Lost || failed.Kind == Write) {
			// D16.16: the origin ended an idle connection just now. The try on a new one
			// is free, and only the first can have used a kept one.
			f.attempt--
		} else if !kinds[failed.Kind].again || f.attempt >= f.origin.Attempts {
			return nil, failed
		}
		fresh = true
	}
}

// try makes one attempt, over a kept connection unless it has to be a fresh one.
func (f *fetch) try(ctx context.Context, fresh bool, done func()) (*Response, error) {
	var c *conn
	if !fresh {
		c = f.client.idle.take(f.endpoint)
	}
	f.reused = c != nil
	if c == nil {
		var err error
		if c, err = f.connect(ctx); err != nil {
			return nil, err
		}
	}
	f.remote = c.remote
	c.line.arm(f.origin.ReadTimeout)
	unwatch := c.watch(ctx)
	res, keep, err := f.ask(c)
	if err != nil {
		c.abort()
		unwatch()
		return nil, err
	}
	b := res.Body.(*body) //nolint:errcheck // ask makes all bodies
	b.explain = func(err error) error { return f.explain(ctx, err) }
	b.release = func(whole bool) {
		if untouched := unwatch(); untouched && whole && keep {
			f.client.idle.put(c, f.origin.KeepaliveTimeout)
		} else {
			c.abort()
		}
		done()
	}
	return res, nil
}

// connect makes a new connection within ConnectTimeout.
func (f *fetch) connect(ctx context.Context) (*conn, error) {
	f.remote = netip.AddrPort{}
	ctx, cancel := context.WithTimeoutCause(ctx, f.origin.ConnectTimeout, errConnectTimeout)
	defer cancel()
	nc, remote, err := f.client.dialer.connect(ctx, f.endpoint)
	f.remote = remote
	if err != nil {
		return nil, err
	}
	l := &line{Conn: nc}
	if !f.endpoint.secure {
		return newConn(f.endpoint, remote, l, l), nil
	}
	secured, err := f.client.handshake(ctx, f.endpoint, l)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return newConn(f.endpoint, remote, l, secured), nil
}

// ask sends the request over c and reads the head of the answer. It also says
// whether c may be kept once the body has been read.
func (f *fetch) ask(c *conn) (res *Response, keep bool, err error) {
	sent := time.Now()
	if _, err := c.Write(f.head); err != nil {
		return nil, false, writeFault(err)
	}
	if _, err := c.in.Peek(1); err != nil {
		return nil, false, readFault(err, Lost)
	}
	h, err := readFinalHead(c.in, f.client.maxHead)
	if err != nil {
		return nil, false, err
	}
	fr, err := frameOf(f.req.Method, h)
	if err != nil {
		return nil, false, err
	}
	if limit := f.req.MaxLength; limit > 0 && fr.length > limit {
		return nil, false, fault(TooLarge, "%d bytes announced, limit %d", fr.length, limit) // D17.14
	}
	endToEnd(&h.fields)
	src := newSource(c.in, fr, f.client.maxHead)
	return &Response{
		Status:        h.status,
		Minor:         h.minor,
		Header:        h.fields,
		ContentLength: fr.length,
		Body:          &body{src: src, whole: src.whole()},
		Framing:       fr.framing,
		Attempts:      f.attempt,
		Reused:        f.reused,
		RemoteAddr:    c.remote,
		RequestTime:   sent,
		ResponseTime:  time.Now(),
	}, fr.keep, nil
}

// explain makes of a failure what the caller gets. When ctx has ended, that is
// why, whatever the connection said when it was torn down.
func (f *fetch) explain(ctx context.Context, err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Err: err}
	}
	out := &Error{
		Kind: e.Kind, Err: e.Err, Origin: f.origin.Name,
		Attempts: f.attempt, Reused: f.reused, RemoteAddr: f.remote,
	}
	switch {
	case ctx.Err() == nil:
	case errors.Is(context.Cause(ctx), errCompletion):
		out.Kind, out.Err = Completion, context.Cause(ctx) // D16.15
	case e.Kind != Canceled:
		out.Kind, out.Err = Canceled, context.Cause(ctx)
	}
	return out
}
