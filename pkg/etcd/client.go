// SPDX-License-Identifier: Apache-2.0

// Package etcd is how Seafront's services reach etcd: a client that does not wait
// for the server, transactions whose conditions have names, so that a refused write
// says what refused it, and the mapping of etcd's failures to errors for callers.
// It knows no key of the schema.
package etcd

import (
	"time"

	"go.uber.org/zap"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Intervals of the connection (C8.12).
const (
	keepaliveInterval = 30 * time.Second
	keepaliveTimeout  = 10 * time.Second
	dialTimeout       = 5 * time.Second
	longestBackoff    = 2 * time.Second
)

// Dial makes a client. It returns at once: the connection comes when etcd does.
func Dial(endpoints []string) (*clientv3.Client, error) {
	reconnect := backoff.DefaultConfig
	reconnect.MaxDelay = longestBackoff // an edge catches up soon after etcd is back
	return clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		DialKeepAliveTime:    keepaliveInterval,
		DialKeepAliveTimeout: keepaliveTimeout,
		DialTimeout:          dialTimeout,
		Logger:               zap.NewNop(), // failures come back as errors
		DialOptions: []grpc.DialOption{
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: dialTimeout}),
		},
	})
}
