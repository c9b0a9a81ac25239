// SPDX-License-Identifier: Apache-2.0

// Package etcd is how Seafront's services reach etcd: a client that does not wait
// for the server, transactions whose conditions have names, so that a refused write
// says what refused it, and the mapping of etcd's failures to errors for callers.
//
// It promises that a transaction which is refused names every condition that failed,
// as of the moment of the refusal. It does not retry a write whose fate is unknown,
// and it knows no key of the schema.
package etcd

import (
	"context"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Intervals of the connection (C8.12).
const (
	keepaliveInterval = 30 * time.Second
	keepaliveTimeout  = 10 * time.Second
	dialTimeout       = 5 * time.Second
	firstBackoff      = 100 * time.Millisecond
	longestBackoff    = 2 * time.Second
)

// attempts is how often a read is tried when etcd answers that it is unavailable.
// Without a quorum each takes some 7 s; writes are never repeated (C8.21).
const attempts = 3

// Dial is Credentials.Dial without any.
func Dial(endpoints []string) (*clientv3.Client, error) { return Credentials{}.Dial(endpoints) }

// Dial makes a client of the members at endpoints, host:port or URL. It returns at once:
// the connection comes when etcd does. Until then, and whenever no member can be
// reached, requests fail at once and Unavailable says so; watches and the renewal of
// leases wait. The error is about the form of the endpoints and the files of the
// credentials. What etcd thinks of these, Greet tells.
func (c Credentials) Dial(endpoints []string) (*clientv3.Client, error) {
	secure, err := c.tls(endpoints)
	if err != nil {
		return nil, err
	}
	l, err := c.login()
	if err != nil {
		return nil, err
	}
	reconnect := backoff.DefaultConfig
	// An edge catches up soon after etcd is back.
	reconnect.BaseDelay, reconnect.MaxDelay = firstBackoff, longestBackoff
	options := []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: dialTimeout}),
		grpc.WithChainUnaryInterceptor(failFast),
	}
	if l != nil {
		options = append(options, grpc.WithChainUnaryInterceptor(l.unary), grpc.WithChainStreamInterceptor(l.stream))
	}
	return clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		DialKeepAliveTime:    keepaliveInterval,
		DialKeepAliveTimeout: keepaliveTimeout,
		DialTimeout:          dialTimeout,
		MaxUnaryRetries:      attempts,
		TLS:                  secure,
		Logger:               zap.NewNop(), // failures come back as errors
		DialOptions:          options,
	})
}

// failFast undoes what the client asks of gRPC: to hold requests back until there is
// a connection, be it for ever.
func failFast(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(ctx, method, req, reply, cc, append(slices.Clip(opts), grpc.WaitForReady(false))...)
}
