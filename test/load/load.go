// SPDX-License-Identifier: Apache-2.0

package load

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Plan says what to ask.
type Plan struct {
	// Address is host:port of the server; Sources are the addresses of this machine to
	// connect from, in turn. None: the system chooses.
	Address string
	Sources []string
	// Connections is how many there are. Each has one request under way at most.
	Connections int
	// Method, Host, Target and Fields make the request. A # in Target stands for the
	// number of the request, from First on.
	Method, Host, Target string
	Fields               []string
	First                int
	// Rate is how many requests are due in a second. 0: each connection asks again as
	// soon as it has its answer.
	Rate float64
	// The run ends after Duration, or when Count requests are answered, where they are
	// set. Answers under way then are waited for.
	Duration time.Duration
	Count    int
	// Status and Length are what each answer must have. Length -1 is any, for answers
	// without a body the length that is told.
	Status int
	Length int64
}

// Result is what came of a plan.
type Result struct {
	Requests int
	Bytes    int64 // of bodies
	Seconds  float64
	// Quantiles of the time to a whole answer, in microseconds.
	P50, P90, P99, P999, Max float64
}

// PerSecond is the rate that was reached.
func (r Result) PerSecond() float64 { return float64(r.Requests) / r.Seconds }

// answerTimeout bounds the wait for anything to happen.
const answerTimeout = 30 * time.Second

func (p Plan) validate() error {
	switch {
	case p.Connections < 1:
		return errors.New("at least one connection is needed")
	case p.Duration <= 0 && p.Count <= 0:
		return errors.New("a duration or a count is needed")
	case p.Rate < 0 || math.IsNaN(p.Rate) || math.IsInf(p.Rate, 0):
		return fmt.Errorf("%v is not a rate", p.Rate)
	case strings.ContainsAny(p.Method+p.Host+p.Target+strings.Join(p.Fields, ""), "\r\n"):
		return errors.New("a line break in the request")
	}
	return nil
}

// request is the bytes of requests: before and after the number in the target.
type request struct {
	before, after []byte
	numbered      bool
	buf           []byte
}

func (p Plan) request() *request {
	before, after, numbered := strings.Cut(p.Target, "#")
	var r request
	r.before = fmt.Appendf(nil, "%s %s", cmp.Or(p.Method, "GET"), before)
	r.after = fmt.Appendf(nil, "%s HTTP/1.1\r\nHost: %s\r\n", after, p.Host)
	for _, f := range p.Fields {
		r.after = append(r.after, f+"\r\n"...)
	}
	r.after = append(r.after, "\r\n"...)
	r.numbered = numbered
	if !numbered {
		r.buf = slices.Concat(r.before, r.after)
	}
	return &r
}

// bytes is the request with number n. It is valid until the next call.
func (r *request) bytes(n int) []byte {
	if r.numbered {
		r.buf = append(fmt.Appendf(append(r.buf[:0], r.before...), "%d", n), r.after...)
	}
	return r.buf
}

// Run does what the plan says on the thread of the caller. An answer that is not as
// the plan says ends it with an error.
func Run(p Plan) (Result, error) {
	if err := p.validate(); err != nil {
		return Result{}, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l, err := dial(p)
	if err != nil {
		return Result{}, err
	}
	defer l.close()
	if err := l.ask(); err != nil {
		return Result{}, fmt.Errorf("after %d answers: %w", len(l.took), err)
	}
	return l.result(), nil
}

func (l *loop) result() Result {
	r := Result{Requests: len(l.took), Bytes: l.body, Seconds: l.now.Seconds()}
	if r.Requests == 0 {
		return r
	}
	slices.Sort(l.took)
	at := func(q float64) float64 {
		return float64(l.took[min(len(l.took)-1, int(q*float64(len(l.took))))]) / float64(time.Microsecond)
	}
	r.P50, r.P90, r.P99, r.P999, r.Max = at(0.5), at(0.9), at(0.99), at(0.999), at(1)
	return r
}

// String is one line for people.
func (r Result) String() string {
	return fmt.Sprintf("%d requests in %.2f s: %.0f a second, p50 %.0f µs, p99 %.0f µs, max %.0f µs", r.Requests, r.Seconds, r.PerSecond(), r.P50, r.P99, r.Max)
}

var errClosed = fmt.Errorf("the server closed the connection: %w", io.ErrUnexpectedEOF)
