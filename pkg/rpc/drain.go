// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"errors"
	"sync"
)

// errStopping is the cause of contexts that end because the server does.
var errStopping = errors.New("the server is going down")

// drain tells running calls that the server is about to end: streams and waiting
// calls at once, other calls when they had their time.
type drain struct {
	streams, calls       context.Context // nobody's call: signals, ended in this order
	endStreams, endCalls context.CancelFunc
}

func newDrain() *drain {
	d := &drain{}
	d.streams, d.endStreams = context.WithCancel(context.Background())
	d.calls, d.endCalls = context.WithCancel(context.Background())
	return d
}

// under is ctx, ended with errStopping as its cause when end ends.
func under(ctx, end context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(end, func() { cancel(errStopping) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

type drainKey struct{}

// Stopping is closed when the server that handles the call of ctx begins to shut
// down. A unary handler that waits for something to happen watches it beside its
// context, since unary calls keep their context until they had time to finish. It is
// nil, which blocks for ever, for contexts of no call.
func Stopping(ctx context.Context) <-chan struct{} {
	if d, ok := ctx.Value(drainKey{}).(*drain); ok {
		return d.streams.Done()
	}
	return nil
}

// UntilStopping is ctx, ended with cause when the server that handles its call begins
// to shut down. release gives it up.
func UntilStopping(ctx context.Context, cause error) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-Stopping(ctx):
			cancel(cause)
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel(nil)
		watching.Wait()
	}
}
