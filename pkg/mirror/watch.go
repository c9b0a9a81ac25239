// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/connectivity"
)

// Why a watch ends. Those that wrap errPlanned are no loss: etcd answers, and a list
// is due.
var (
	errPlanned = errors.New("a list is due")
	errSilent  = fmt.Errorf("no word from the watch: %w", errPlanned)
	errBehind  = fmt.Errorf("more changed than may wait: %w", errPlanned)
	errEpoch   = fmt.Errorf("another data set: %w", errPlanned)

	errConnection = errors.New("connection to etcd lost")
	errNoWatch    = errors.New("watch: etcd does not answer")
	errClosed     = errors.New("watch: closed")
)

// watch hands over what changes from the last batch on, until the watch ends; it
// returns why.
func (c *copier) watch(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer func() { // also after a panic of apply
		cancel()
		_ = group.Wait()
	}()
	group.Go(func() error { return c.connection(ctx) })
	responses, err := c.open(ctx)
	if err != nil {
		cancel()
		if cause := group.Wait(); errors.Is(cause, errConnection) {
			return cause
		}
		return err
	}
	c.setConnected(true)
	in := newIntake(responses, c.limits)
	group.Go(func() error { return in.guard(ctx) })
	for {
		err := in.next(ctx)
		if ctx.Err() != nil {
			err = group.Wait() // the first to end knows why
		}
		if lost := c.advance(in); lost != nil {
			return lost
		}
		if err != nil {
			return err
		}
	}
}

// open begins the watch and returns when etcd has confirmed it. Without a leader
// etcd ends it (C9.48).
func (c *copier) open(ctx context.Context) (clientv3.WatchChan, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(c.limits.request, cancel)
	responses := c.client.Watch(clientv3.WithRequireLeader(ctx), c.config.From,
		clientv3.WithRange(c.config.To), clientv3.WithRev(c.at.Revision+1),
		clientv3.WithProgressNotify(), clientv3.WithFragment())
	if !late.Stop() || ctx.Err() != nil {
		cancel()
		return nil, errNoWatch
	}
	return responses, nil // the watch ends with the caller's context
}

// connection returns when the connection is lost. The client would take the watch up
// again by itself, in silence, and on whatever data set it finds then. A client with
// no network in between has no connection to lose.
func (c *copier) connection(ctx context.Context) error {
	conn := c.client.ActiveConnection()
	if conn == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	if conn.GetState() == connectivity.Ready && !conn.WaitForStateChange(ctx, connectivity.Ready) {
		return ctx.Err()
	}
	return errConnection
}

// advance hands over what waits, as one batch. What came from another data set is
// left to the list that follows.
func (c *copier) advance(in *intake) error {
	events, revision := in.queue.take()
	if len(events) == 0 && revision <= c.at.Revision {
		return nil
	}
	epoch := c.at.Epoch
	for _, e := range events {
		if e.Key == c.config.EpochKey {
			epoch = string(e.Value) // empty when deleted
		}
	}
	if another(c.at.Epoch, epoch) {
		return errEpoch
	}
	in.relieve()
	defer in.resume()
	c.step(Batch{Revision: revision, Events: events, Live: true, Epoch: epoch})
	return nil
}
