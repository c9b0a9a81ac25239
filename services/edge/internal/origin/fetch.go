// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// Response is the head of an answer and its body as it arrives (D17.1).
type Response struct {
	// Status is the final status, 200 to 999, or 101 where Upgrade was sent.
	Status int
	// Minor is the minor HTTP version that the origin named.
	Minor int
	// Header holds the fields as they came, without those that concern only the
	// connection (D17.2). That of 101 has Upgrade; Connection is for the caller to add.
	Header header.Fields
	// ContentLength is what the origin announced, also where no body follows (HEAD,
	// 304); -1 if it announced nothing.
	ContentLength int64
	// Body is never nil and must be closed, which frees the origin's slot. Read
	// fails with an *Error when the body is incomplete (D17.12).
	Body io.ReadCloser
	// Tunnel is set with status 101 only, must be closed then, and goes on with the
	// bytes after the head. It ends with the caller's context.
	Tunnel Tunnel
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

// Arrived reads the beginning of the body that has come with the head, and waits for
// nothing. Whole says that there is no more. It may return nothing of a body that has
// come; then Read does.
func (r *Response) Arrived() (first []byte, whole bool) {
	b, ok := r.Body.(*body)
	if !ok {
		return nil, false
	}
	return b.arrived()
}

// fetch is one call of Fetch, and the body of its answer until that is closed. All of
// it is one piece of memory.
type fetch struct {
	client   *Client
	req      *Request
	origin   *snapshot.Origin
	endpoint endpoint
	viewer   netip.Addr
	res      Response
	body     body
	// caller is the context of Fetch, ctx that with CompletionTimeout. They are kept
	// because the reads of the body belong to the same call.
	caller, ctx context.Context
	cancel      context.CancelFunc // of ctx, nil if that is the caller's
	unwatch     func() bool
	// attempt, reused, sent, remote and upload describe the present try; sent says that
	// the origin may have seen something of the request.
	attempt      int
	reused, sent bool
	remote       netip.AddrPort
	upload       *upload       // nil without a body, or before it
	keepFor      time.Duration // of its connection, idle after the body

	mu   sync.Mutex // guards the rest
	conn *conn      // to end when ctx ends
	over bool       // ctx has ended
}

// Causes of contexts that end by a time-out of the origin.
var (
	errConnectTimeout = errors.New("connection timed out")
	errCompletion     = errors.New("answer took too long")
)

// heads has *[]byte for heads of requests.
var heads = sync.Pool{New: func() any { //nolint:gochecknoglobals // a pool of buffers is no state
	b := make([]byte, 0, 1024)
	return &b
}}

// Fetch sends a request and returns the head of the answer. It fails with an
// *Error. The end of ctx ends whatever is under way, the body included.
//
// A try that fails without an answer is followed by the next until Origin.Attempts
// are used (D16.10), but what an origin may have seen is sent again only when it is
// GET or HEAD without a body (D16.11) and not Once. Each try has ConnectTimeout for
// address, connection and handshake, then ReadTimeout for every packet, counted from
// the end of the request (D16.9); CompletionTimeout, from the moment the request has
// its turn, covers them all and the body (D16.15).
func (c *Client) Fetch(ctx context.Context, req *Request) (*Response, error) {
	f := &fetch{
		client: c, req: req, origin: req.Origin, endpoint: endpointOf(req), viewer: sharer(req.Viewer),
		caller: ctx, ctx: ctx,
	}
	buf, ok := heads.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	defer heads.Put(buf)
	head, err := req.appendHead((*buf)[:0])
	if err != nil {
		return nil, f.explain(err)
	}
	*buf = head[:0]
	if err := f.enter(); err != nil {
		return nil, f.explain(err)
	}
	if t := f.origin.CompletionTimeout; t > 0 {
		f.ctx, f.cancel = context.WithTimeoutCause(ctx, t, errCompletion)
	}
	f.unwatch = context.AfterFunc(f.ctx, f.abort)
	if err := f.run(head); err != nil {
		f.unwatch()
		f.end()
		f.endTunnel()
		return nil, err
	}
	if req.Upgrade != "" && f.res.Tunnel == nil {
		f.endTunnel()
	}
	return &f.res, nil
}

// enter waits for a slot of the origin.
func (f *fetch) enter() error {
	if f.req.Upgrade != "" {
		if err := f.client.tunnels.acquire(f.ctx, f.origin.Name, f.viewer); err != nil {
			return err
		}
	}
	err := f.client.limits.acquire(f.ctx, f.origin.Name, f.viewer)
	if err != nil {
		f.endTunnel()
	}
	return err
}

// end gives the slot back.
func (f *fetch) end() {
	if f.cancel != nil {
		f.cancel()
	}
	f.client.limits.release(f.origin.Name, f.viewer)
}

// endTunnel gives up the place of a tunnel that did not come about.
func (f *fetch) endTunnel() {
	if f.req.Upgrade != "" {
		f.client.tunnels.release(f.origin.Name, f.viewer)
	}
}

// run makes attempts until one is answered or none is left (D16.9 to D16.16).
// Once a head has arrived nothing is tried again (D16.12).
func (f *fetch) run(head []byte) error {
	fresh := false
	for f.attempt = 1; ; f.attempt++ {
		err := f.try(head, fresh)
		if err == nil {
			return nil
		}
		failed := f.explain(err)
		if f.reused && (failed.Kind == Lost || failed.Kind == Write) && (!f.sent || f.req.idempotent()) {
			// D16.16: the origin ended an idle connection just now. The try on a new one
			// is free, and only the first can have used a kept one.
			f.attempt--
		} else if !f.mayRepeat(failed.Kind) {
			return failed
		}
		fresh = true
	}
}

// mayRepeat says whether a failed attempt is followed by another.
func (f *fetch) mayRepeat(failed Kind) bool {
	return kinds[failed].again && f.attempt < f.origin.Attempts && (!f.sent || f.req.safeToRepeat())
}

// try makes one attempt, over a kept connection unless it has to be a fresh one.
func (f *fetch) try(head []byte, fresh bool) error {
	f.sent = false
	var c *conn
	if !fresh {
		c = f.client.idle.take(f.endpoint)
	}
	f.reused = c != nil
	if c == nil {
		var err error
		if c, err = f.connect(); err != nil {
			return err
		}
	}
	f.remote = c.remote
	f.hold(c)
	c.line.arm(f.origin.ReadTimeout)
	err := f.ask(c, head)
	if err == nil {
		return nil
	}
	c.abort()
	f.drop()
	if u := f.upload; u != nil {
		u.stop()
		return u.cause(err)
	}
	return err
}

// hold makes c the connection that ends with ctx.
func (f *fetch) hold(c *conn) {
	f.mu.Lock()
	f.conn = c
	over := f.over
	f.mu.Unlock()
	if over {
		c.abort()
	}
}

// drop undoes hold and says whether the connection is untouched.
func (f *fetch) drop() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conn = nil
	return !f.over
}

// abort ends the connection, when ctx has ended.
func (f *fetch) abort() {
	f.mu.Lock()
	f.over = true
	c := f.conn
	f.mu.Unlock()
	if c != nil {
		c.abort()
	}
}

// connect makes a new connection within ConnectTimeout.
func (f *fetch) connect() (*conn, error) {
	f.remote = netip.AddrPort{}
	ctx, cancel := context.WithTimeoutCause(f.ctx, f.origin.ConnectTimeout, errConnectTimeout)
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

// ask sends the request over c and reads the head of the answer.
func (f *fetch) ask(c *conn, head []byte) error {
	f.res.RequestTime = time.Now()
	if f.req.hasBody() {
		c.line.begin()
	}
	n, err := c.Write(head)
	f.sent = n > 0
	if err != nil {
		return writeFault(err)
	}
	if f.req.hasBody() {
		f.upload = startUpload(c, f.req)
	}
	if _, err := c.in.Peek(1); err != nil {
		return readFault(err, Lost)
	}
	h, err := readFinalHead(c.in, f.client.maxHead, f.req.Upgrade != "", f.req.Interim)
	if err != nil {
		return err
	}
	f.res.ResponseTime = time.Now()
	f.res.Attempts, f.res.Reused, f.res.RemoteAddr = f.attempt, f.reused, c.remote
	if f.upload != nil {
		f.upload.answer(h.status)
	}
	if h.status == 101 {
		return f.switched(c, h)
	}
	return f.answered(c, h)
}

// answered fills in the Response for a final answer.
func (f *fetch) answered(c *conn, h head) error {
	fr, err := frameOf(f.req.Method, h)
	if err != nil {
		return err
	}
	if limit := f.req.MaxLength; limit > 0 && fr.length > limit {
		return fault(TooLarge, "%d bytes announced, limit %d", fr.length, limit) // D17.14
	}
	if h.status == 206 {
		if err := checkRange(h.fields, fr.length); err != nil {
			return err
		}
	}
	f.keepFor = keepFor(h.fields, f.origin.KeepaliveTimeout)
	endToEnd(&h.fields)
	b := &f.body
	b.fetch, b.conn, b.keep = f, c, fr.keep
	b.src = b.source(fr, f.client.maxHead)
	b.length.cuts = f.req.CutSurplus
	b.whole = b.src.whole()
	r := &f.res
	r.Status, r.Minor, r.Header = h.status, h.minor, h.fields
	r.ContentLength, r.Framing, r.Body = fr.length, fr.framing, b
	return nil
}

// finish ends the use of a connection after the body. It may be kept when the body
// is whole, the request was sent to its end, and nothing has touched it.
func (f *fetch) finish(c *conn, keep bool) {
	u := f.upload
	keep = keep && (u == nil || u.sent())
	f.unwatch()
	if untouched := f.drop(); untouched && keep {
		f.client.idle.put(c, f.keepFor)
	} else {
		c.abort()
	}
	f.end()
	if u != nil {
		u.stop()
	}
}

// explain makes of a failure what the caller gets. When ctx has ended, that is
// why, whatever the connection said when it was torn down.
func (f *fetch) explain(err error) *Error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Err: err}
	}
	out := &Error{
		Kind: e.Kind, Err: e.Err, Origin: f.origin.Name,
		Attempts: f.attempt, Reused: f.reused, RemoteAddr: f.remote,
	}
	switch {
	case f.ctx.Err() == nil:
	case errors.Is(context.Cause(f.ctx), errCompletion):
		out.Kind, out.Err = Completion, context.Cause(f.ctx) // D16.15
	case e.Kind != Canceled:
		out.Kind, out.Err = Canceled, context.Cause(f.ctx)
	}
	return out
}
