// SPDX-License-Identifier: Apache-2.0

package allinone

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/rpc"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// local is a configuration on ports of the system's choice.
func local(t *testing.T) Config {
	const free = "127.0.0.1:0"
	return Config{
		Data: t.TempDir(), LogLevel: "error", GRPCListen: free, HTTPListen: free, HTTPSListen: free, AdminListen: free,
		EtcdClientListen: free, EtcdPeerListen: free, SampleListen: free, Sample: true,
		BaseDomain: "seafront.localhost", Brand: "seafront", EdgeID: "edge-1", Pop: "LOC1", CacheBytes: 1 << 24,
	}
}

// running is one start.
type running struct {
	addresses
	out  *bytes.Buffer // to be read after stop
	stop func()
}

// up starts c and returns when everything answers. meanwhile, if any, runs until then.
func up(t *testing.T, c Config, meanwhile func(ctx context.Context)) running {
	t.Helper()
	c.ReadyFile = filepath.Join(t.TempDir(), "ready")
	ctx, cancel := context.WithCancel(t.Context())
	r := running{out: &bytes.Buffer{}}
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, c, r.out) }()
	r.stop = func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	}
	ready := func() error {
		select {
		case err := <-ended: // for stop as well
			ended <- err
			return nil
		default:
		}
		b, err := os.ReadFile(c.ReadyFile)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &r.addresses)
	}
	if meanwhile != nil {
		during, done := context.WithCancel(ctx)
		quiet := make(chan struct{})
		go func() {
			defer close(quiet)
			meanwhile(during)
		}()
		defer func() { done(); <-quiet }()
	}
	if err := retry(ctx, ready); err != nil || r.GRPC == "" {
		r.stop()
		t.Fatalf("it did not get ready: %v", err)
	}
	return r
}

func distributions(t *testing.T, r running) configv1.DistributionServiceClient {
	t.Helper()
	token, err := os.ReadFile(r.Token)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpc.Dial(r.GRPC, rpc.ClientConfig{Token: func() string { return strings.TrimSpace(string(token)) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return configv1.NewDistributionServiceClient(conn)
}

func TestDeletedSampleStaysDeleted(t *testing.T) {
	c := local(t)
	first := up(t, c, nil)
	api := distributions(t, first)
	got, err := api.GetDistribution(t.Context(), &configv1.GetDistributionRequest{Name: first.Distribution})
	if err != nil {
		t.Fatal(err)
	}
	d := got.GetDistribution()
	d.Config = nil // enabled becomes false
	if _, err = api.UpdateDistribution(t.Context(), &configv1.UpdateDistributionRequest{
		Distribution: d, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"config.enabled"}},
	}); err != nil {
		t.Fatal(err)
	}
	disabled, err := api.WaitDistribution(t.Context(), &configv1.WaitDistributionRequest{Name: d.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.DeleteDistribution(t.Context(), &configv1.DeleteDistributionRequest{
		Name: d.GetName(), Etag: disabled.GetDistribution().GetEtag(),
	}); err != nil {
		t.Fatal(err)
	}
	first.stop()

	second := up(t, c, nil)
	second.stop()
	if second.Distribution != "" || !strings.Contains(second.out.String(), "has been deleted") {
		t.Errorf("distribution %q; it said:\n%s", second.Distribution, second.out)
	}
}

// TestSecondStartServesTheFirstViewer: an edge that starts again serves before
// anything else is up, and keeps an error for ten seconds.
func TestSecondStartServesTheFirstViewer(t *testing.T) {
	c := local(t)
	first := up(t, c, nil)
	first.stop()
	c.HTTPListen, c.SampleListen = first.HTTP, first.Sample // free again
	status := 0
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	second := up(t, c, func(ctx context.Context) {
		for status == 0 && ctx.Err() == nil {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+first.HTTP+"/tides.html", nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Host = first.Host
			if res, err := client.Do(req); err == nil {
				_ = res.Body.Close()
				status = res.StatusCode
			}
		}
	})
	second.stop()
	if status != 0 && status != http.StatusOK { // 0: everything was up before the first connection
		t.Errorf("the first viewer got %d", status)
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		change func(*Config)
		want   string // in the error; empty for none
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.BaseDomain = "cdn.example.com" }, ""},
		{func(c *Config) { c.BaseDomain = "localhost" }, ""},
		{func(c *Config) { c.BaseDomain = "Bad_Domain.." }, "--base-domain"},
		{func(c *Config) { c.BaseDomain = "" }, "--base-domain"},
		{func(c *Config) { c.GRPCListen = "7400" }, "--grpc-listen"},
		{func(c *Config) { c.PublicHTTPSPort = 65536 }, "--public-https-port"},
		{func(c *Config) { c.CacheBytes = 1 }, "--cache-bytes"},
		{func(c *Config) { c.DiskCacheBytes = 1 }, "--disk-cache-bytes"},
		{func(c *Config) { c.EtcdClientListen = "0.0.0.0:7420" }, "--etcd-client-listen"},
		{func(c *Config) { c.EtcdClientListen = ":7420" }, "--insecure"},
		{func(c *Config) { c.EtcdPeerListen = "[::]:7421" }, "--etcd-peer-listen"},
		{func(c *Config) { c.EtcdClientListen, c.Insecure = "192.0.2.1:7420", true }, ""},
	} {
		c := local(t)
		tt.change(&c)
		err := c.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Validate = %v; want %q", err, tt.want)
		}
	}
}
