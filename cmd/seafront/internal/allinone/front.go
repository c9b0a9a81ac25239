// SPDX-License-Identifier: Apache-2.0

package allinone

import (
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/secret"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	"github.com/seafront-cdn/seafront/services/edge"
)

// newEdge makes the one edge.
func newEdge(c Config, t *telemetry.Telemetry, client *clientv3.Client, secrets *secret.Keyring) (*edge.Edge, error) {
	e, err := edge.New(edge.Config{
		ID: c.EdgeID, Pop: c.Pop, Version: c.Version,
		Etcd: client, DataDir: c.dir("edge"), Secrets: secrets, Telemetry: t,
		HTTPListen: c.HTTPListen, HTTPSListen: c.HTTPSListen, AdminListen: c.AdminListen,
		PublicHTTPSPort: c.PublicHTTPSPort, BaseDomain: c.BaseDomain, Brand: c.Brand,
		CacheBytes: c.CacheBytes, DiskCacheBytes: c.DiskCacheBytes, AccessLog: c.AccessLog, Resolver: c.Resolver,
	})
	if err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	return e, nil
}
