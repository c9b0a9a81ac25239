// SPDX-License-Identifier: Apache-2.0

// Package allinone runs a whole CDN in one process: embedded etcd, config,
// origin-registry, one edge and a sample site. It wires the same packages that the
// programs of a cluster are made of; config asks origin-registry over gRPC here
// too, through a listener in memory.
package allinone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/seafront-cdn/seafront/cmd/seafront/internal/sample"
	"github.com/seafront-cdn/seafront/pkg/auth"
	"github.com/seafront-cdn/seafront/pkg/etcd/embedded"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/services/config"
	"github.com/seafront-cdn/seafront/services/edge"
	originregistry "github.com/seafront-cdn/seafront/services/origin-registry"
)

const (
	telemetryGrace = 5 * time.Second
	readyTimeout   = 30 * time.Second
)

// Run brings everything up, greets on out, and serves until ctx ends or a part
// fails. Then viewers and callers are finished first and the store is closed last.
func Run(ctx context.Context, c Config, out io.Writer) (err error) {
	began := time.Now()
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	t, err := telemetry.Start(ctx, telemetry.Config{
		Service: "seafront", Version: c.Version, Instance: c.EdgeID, LogLevel: c.level(), LogTo: os.Stderr,
	})
	if err != nil {
		return err
	}
	defer func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), telemetryGrace)
		defer cancel()
		err = errors.Join(err, t.Shutdown(bound))
	}()
	store, err := embedded.Start(ctx, embedded.Config{
		Dir: c.dir("etcd"), ClientAddr: c.EtcdClientListen, PeerAddr: c.EtcdPeerListen, Log: t.Log,
	})
	if err != nil {
		return err
	}
	storeCtx, stopStore := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStore()
	running, storeCtx := errgroup.WithContext(storeCtx)
	running.Go(func() error { return store.Run(storeCtx) })
	running.Go(func() error {
		defer stopStore()
		serveCtx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(storeCtx, cancel)() // nothing works without the store
		client := store.Client()
		defer client.Close()
		return serve(serveCtx, c, t, client, store.Endpoint(), began, out)
	})
	return running.Wait()
}

// serve wires the services around a store and runs them.
func serve(ctx context.Context, c Config, t *telemetry.Telemetry, client *clientv3.Client, etcdAddr string, began time.Time, out io.Writer) error {
	api, err := net.Listen("tcp", c.GRPCListen)
	if err != nil {
		return fmt.Errorf("gRPC: %w", err)
	}
	defer api.Close()
	secure, err := c.secure(t)
	if err != nil {
		return err
	}
	// Parts of this process are known as what they are, with no more than they need.
	asConfig := rpc.NewMemoryAs(auth.Identity{Name: "config", Role: auth.Reader})
	asSetup := rpc.NewMemoryAs(auth.Identity{Name: "setup", Role: auth.Operator})
	toRegistry, err := dial(t, asConfig)
	if err != nil {
		return err
	}
	defer toRegistry.Close()
	secrets, err := c.KeyringOrCreate(ctx, t.Log, c.dir("cluster.key"))
	if err != nil {
		return err
	}
	registry := originregistry.New(originregistry.Config{
		Etcd: client, Secrets: secrets, MaxCustomHeaders: c.Limits.OriginCustomHeaders, Log: t.Log,
	})
	control := config.New(config.Config{
		Etcd: client, Origins: originv1.NewOriginServiceClient(toRegistry),
		BaseDomain: c.BaseDomain, Limits: c.Limits, Secrets: secrets, Log: t.Log, Meter: t.Meter,
	})
	// The sample listens before the edge does: an edge that starts again serves at once
	// what it served last, and would keep the error of an origin that is not there yet.
	site, err := openSample(c)
	if err != nil {
		return err
	}
	defer site.close()
	front, err := newEdge(c, t, client, secrets)
	if err != nil {
		return err
	}
	running, ctx := errgroup.WithContext(ctx)
	if site != nil {
		running.Go(func() error { return site.Serve(ctx, site.listener) })
	}
	running.Go(func() error {
		return secure.Serve(ctx, t, []net.Listener{api, asConfig, asSetup}, registry, control, front.Part())
	})
	running.Go(func() error { return front.Run(ctx) })
	running.Go(func() error {
		return welcome(ctx, c, t, asSetup, addressesOf(c, api, front, etcdAddr, site), began, out)
	})
	return running.Wait()
}

func dial(t *telemetry.Telemetry, memory *rpc.Memory) (*grpc.ClientConn, error) {
	return rpc.Dial("passthrough:///memory", rpc.ClientConfig{Tracer: t.Tracer, Meter: t.Meter, Dialer: memory.Dial})
}

// place is the sample site with the address that it has.
type place struct {
	*sample.Site
	listener net.Listener
}

func openSample(c Config) (*place, error) {
	if !c.Sample {
		return nil, nil
	}
	site, err := sample.New(c.dir("sample"))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", c.SampleListen)
	if err != nil {
		return nil, fmt.Errorf("sample origin: %w", err)
	}
	return &place{site, l}, nil
}

// close gives the address up when nobody came to serve it.
func (p *place) close() {
	if p != nil {
		_ = p.listener.Close()
	}
}

func addressesOf(c Config, api net.Listener, front *edge.Edge, etcdAddr string, site *place) addresses {
	at := front.Addresses()
	a := addresses{GRPC: api.Addr().String(), HTTP: at.HTTP, HTTPS: at.HTTPS, Admin: at.Admin, Etcd: etcdAddr, Token: c.dir(tokenFile)}
	if site != nil {
		a.Sample = site.listener.Addr().String()
	}
	return a
}

// welcome waits until everything answers, sets the sample up and greets.
func welcome(ctx context.Context, c Config, t *telemetry.Telemetry, api *rpc.Memory, a addresses, began time.Time, out io.Writer) error {
	conn, err := dial(t, api)
	if err != nil {
		return err
	}
	defer conn.Close()
	bound, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := awaitReady(bound, conn, a.Admin); err != nil {
		return ignoreEnd(ctx, err)
	}
	if a.Sample == "" {
		greet(out, c, a, nil, time.Since(began))
		return writeReady(c.ReadyFile, a)
	}
	d, err := firstSteps(bound, conn, a.Sample)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	a.Distribution, a.Host = d.GetName(), d.GetDomainName() // empty when somebody deleted it
	greet(out, c, a, d, time.Since(began))
	return writeReady(c.ReadyFile, a)
}

// ignoreEnd makes nothing of an error that came because the process is to end.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
