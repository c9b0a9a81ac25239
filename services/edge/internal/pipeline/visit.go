// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/forward"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/accesslog"
	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// Outcome is what lookup found. The zero value means that the request did not get
// that far.
type Outcome uint8

// The outcomes.
const (
	_ Outcome = iota
	// Hit: a stored object answers.
	Hit
	// Stale: there is an object, and the origin has to be asked about it.
	Stale
	// Miss: there is none.
	Miss
	// Bypass: caching is off (D13.3).
	Bypass
	outcomes // how many there are
)

// String returns the word for logs, spans and metrics.
func (o Outcome) String() string {
	switch o {
	case Hit:
		return "hit"
	case Stale:
		return "stale"
	case Miss:
		return "miss"
	case Bypass:
		return "bypass"
	default:
		return "none"
	}
}

// Result is how the request ended, as X-Cache tells the viewer (D22.5).
type Result uint8

// The results.
const (
	_ Result = iota
	// ResultHit: from the store, or from another request's fill (D14.8).
	ResultHit
	// ResultRefreshHit: from the store after the origin was asked (D14.6, D13.29).
	ResultRefreshHit
	// ResultMiss: from the origin.
	ResultMiss
	// ResultError: status 400 and above, from wherever.
	ResultError
	// ResultRedirect: to HTTPS (D6.3).
	ResultRedirect
	// ResultCapacity: 503 because the edge has as much to do as it may.
	ResultCapacity
	results // how many there are
)

// String returns the word for logs and X-Cache.
func (r Result) String() string {
	switch r {
	case ResultHit:
		return "Hit"
	case ResultRefreshHit:
		return "RefreshHit"
	case ResultMiss:
		return "Miss"
	case ResultError:
		return "Error"
	case ResultRedirect:
		return "Redirect"
	case ResultCapacity:
		return "CapacityExceeded"
	default:
		return "Unknown"
	}
}

// visit is one request on its path: what each step has found out, for those after
// it. Only the goroutine of its viewer uses it.
type visit struct {
	req     *exchange.Request
	started time.Time
	id      string     // of the request, for viewer, origin and log (D22.4)
	span    trace.Span // nil unless sampled

	era    uint64             // of the cache, loaded before config
	config *snapshot.Snapshot // the only load in this request
	// header is the viewer's without the fields between two hops (D15.8).
	header header.Fields

	distribution *snapshot.Distribution
	behavior     *snapshot.Behavior
	path         string // raw, of the object: the root object is in place (D12)
	query        string // raw, without the question mark

	policy  *snapshot.CachePolicy
	more    *forward.Policy // of the behavior, beside the cache policy; nil for none
	rules   httpcache.Policy
	wants   httpcache.Request // what the request says of caching
	name    cachekey.Key      // of the object
	forward cachekey.Forward

	outcome Outcome
	// object is the stale object to ask the origin about.
	object *store.Object
	// refresh: object answers, and the origin is to be asked about it all the same.
	refresh bool
	// vary is what the answers for the key vary by, as far as the store knows.
	vary httpcache.Vary
	// why is the reason for which the origin is asked.
	why httpcache.Forward
	// parts is what the viewer asks for, if ranged.
	parts  byterange.Set
	ranged bool
	// slicing is the question by which slices are fetched, once one is.
	slicing *question
	// apart: the request does not wait for others' answers, nor they for its own.
	apart bool
	// alone: the answer is for this viewer only, who gets what the origin says.
	alone bool

	to      exchange.Sender
	gone    *atomic.Bool          // the viewer has left: set while something waits
	tunnel  io.ReadWriteCloser    // with a status of 101
	closers []func()              // to be called at the end, last first
	reader  *fill.Reader[*served] // place at the fill that answers
	reply   reply
	answer  exchange.Answer

	// For the event.
	origin       string // that was asked
	asked        *served
	originStatus int
	passing      *interims // passes interim answers on
	collapsed    bool
	left         bool          // the viewer has gone
	ready        time.Duration // from the start until the head could be sent
	sending      bool          // the answer is the adapter's
	sent         int64
	err          error

	room
}

// room is what a visit writes into, so that a hit allocates nothing.
type room struct {
	keyRoom  []byte // of name
	event    accesslog.Event
	search   search
	idRoom   [requestIDLength]byte
	ageRoom  [20]byte
	partRoom [96]byte
	own      [9]header.Field  // of the edge, in the answer
	stored   [32]header.Field // of a stored object
}

// visits are those that nobody uses.
var visits = sync.Pool{New: func() any { return &visit{room: room{keyRoom: make([]byte, 0, 512)}} }} //nolint:gochecknoglobals // shared by all pipelines: it has no state

// newVisit begins a visit. It ends with free.
func newVisit(req *exchange.Request, to exchange.Sender, now time.Time) *visit {
	x := visits.Get().(*visit) //nolint:errcheck // visits holds nothing else
	x.req, x.to, x.header, x.started = req, to, req.Header, now
	x.id = requestID(&x.idRoom)
	return x
}

// free ends a visit: nobody may use it or what it has written any more.
func (x *visit) free() {
	x.close()
	x.search.room.Release()
	keyRoom := x.keyRoom
	*x = visit{}
	x.keyRoom = keyRoom[:0]
	visits.Put(x)
}

// keep makes everything that the visit has of the viewer's its own: something is going
// to outlive the exchange. It takes the steps again that have looked at it.
func (p *Pipeline) keep(ctx context.Context, x *visit) bool {
	x.req.Own()
	if x.object != nil {
		x.object = x.object.Own()
	}
	x.vary = httpcache.Vary(strings.Clone(string(x.vary)))
	x.id = strings.Clone(x.id)
	path, query, _ := strings.Cut(x.req.Target, "?")
	if x.path != x.distribution.RootObject {
		x.path = path
	}
	x.query, x.header = query, endToEnd(x.req.Header)
	if p.key(ctx, x) {
		return true
	}
	x.name = x.name.Own()
	return false
}

// reply is the answer as the steps decide it; deliver makes the head of it.
type reply struct {
	status int
	// object is what the store has, if that is the answer: its header and lines are
	// shared with it, never written to.
	object *store.Object
	// header is that of any other answer.
	header header.Fields
	body   exchange.Body
	result Result
	// aged says that Age belongs into the head.
	aged bool
	age  time.Duration
	// received is when the origin's answer came; zero for what the edge made.
	received time.Time
	// made is the reason line of an answer that the edge made.
	made string
	// source and size are a body of which parts can be sent, and its length; nil for bytes,
	// and for what comes from the origin.
	source byterange.Source
	size   int64
	// part is what a 206 has of it.
	part byterange.Range
	// several are the parts of a 206 that has more than one.
	several []byterange.Range
	// unsatisfied: nothing of what the viewer asks for is within size.
	unsatisfied bool
	// location is where a redirect goes.
	location string
	// closing ends the viewer's connection (D4.6).
	closing bool
}

// refuse makes the answer an error page with a reason line, and ends the path.
func (x *visit) refuse(status int, reason string) bool {
	x.reply = reply{status: status, made: reason, result: ResultError}
	return true
}

// refuseAs is refuse with what an adapter says of the same.
func (x *visit) refuseAs(why exchange.Reason) { x.refuse(why.Status(), why.Sentence()) }

// stored makes a stored object the answer, and ends the path.
func (p *Pipeline) stored(ctx context.Context, x *visit, o *store.Object, now time.Time, result Result) bool {
	x.reply = reply{
		status: o.Status, object: o, made: o.Made, result: result, received: o.ResponseTime,
		body: o.Content(),
		aged: true, age: httpcache.Age(o.InitialAge, o.ResponseTime, now),
	}
	if o.Status >= 400 {
		x.reply.result = ResultError // D18.10
	}
	if o.Slices != 0 {
		p.inSlices(ctx, x, o)
	}
	return true
}

// close leaves the fill and lets go what the request holds, whatever happened.
func (x *visit) close() {
	if x.passing != nil {
		x.passing.end()
	}
	for i := len(x.closers) - 1; i >= 0; i-- {
		x.closers[i]()
	}
	if x.reader != nil {
		x.reader.Close()
	}
}
