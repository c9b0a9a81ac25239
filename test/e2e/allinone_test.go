// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/test/internal/bucket"
	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/dns"
	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/internal/tree"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
)

// Bounds of waiting. They are long because machines may be busy; nothing waits for
// them when all is well.
const (
	startTimeout  = time.Minute
	deployTimeout = 30 * time.Second
)

// s3Domain is where virtual-host style finds buckets; the name server of the test
// knows it.
const s3Domain = "s3.test"

// up is a running `seafront up`.
type up struct {
	*program.Process
	at  map[string]string // addresses, as --ready-file gives them
	api *control.Client
}

// startUp runs the all-in-one process with its data in dir until the test ends.
func startUp(t *testing.T, dir string, args ...string) *up {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready.json")
	const free = "127.0.0.1:0"
	u := &up{Process: program.Start(t, program.Spec{
		Name: "seafront up", Path: program.Product(t, "seafront"),
		Args: append([]string{
			"up", "--data", dir, "--ready-file", ready, "--grpc-listen", free, "--http-listen", free, "--https-listen", free,
			"--admin-listen", free, "--etcd-client-listen", free, "--etcd-peer-listen", free, "--sample-listen", free,
		}, args...),
	})}
	program.Await(t, "seafront up is ready", startTimeout, func(context.Context) error {
		select {
		case <-u.Ended():
			t.Fatalf("seafront up ended before it was ready:\n%s", u.Log())
		default:
		}
		b, err := os.ReadFile(ready)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &u.at)
	})
	u.api = control.DialAs(t, u.at["grpc"], u.at["token"])
	return u
}

// server is an HTTP server at an address of this machine as an origin.
func server(t *testing.T, address string) *originv1.OriginEndpoint {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return control.Server("localhost", int32(n))
}

func s3(endpoint, name string, pathStyle bool) *originv1.OriginEndpoint {
	return &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_S3{S3: &originv1.S3Endpoint{
		EndpointUrl: endpoint, Bucket: name, Region: bucket.Region, PathStyle: pathStyle,
	}}}
}

func inline(e *originv1.OriginEndpoint) *configv1.Origin {
	return &configv1.Origin{Id: "site", Source: &configv1.Origin_Endpoint{Endpoint: e}}
}

// TestEveryByteOfATree serves the source tree of the Go distribution from an HTTP
// server and from an S3 store, and compares every answer with the file, once from
// the origin and once from the cache.
func TestEveryByteOfATree(t *testing.T) {
	t.Parallel()
	files := tree.Go(t)
	store := bucket.Start(t, s3Domain)
	store.Link(t, "gosrc", files.Dir)
	store.Publish(t, "gosrc")
	u := startUp(t, t.TempDir(), "--no-sample")
	for _, tt := range []struct {
		name   string
		origin *originv1.OriginEndpoint
	}{
		{"HTTP file server", server(t, files.Serve(t))},
		{"S3 store", s3("http://"+store.Address, "gosrc", true)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := u.api.Create(t, tt.name, control.Site(inline(tt.origin)))
			u.api.Watch(t, d.GetName(), deployTimeout)
			for _, want := range []string{"Miss", "Hit"} {
				compareAll(t, files, u.at["http"], d.GetDomainName(), want)
			}
		})
	}
}

// compareAll asks for every file; every answer is to come from where cache says.
func compareAll(t *testing.T, files *tree.Tree, address, host, cache string) {
	t.Helper()
	const viewers = 8
	began := time.Now()
	var next, total atomic.Int64
	g, ctx := errgroup.WithContext(t.Context())
	for range viewers {
		g.Go(func() error {
			v := viewer.New(address)
			defer v.Close()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files.Files) {
					return nil
				}
				n, err := compare(files, v, host, files.Files[i], cache)
				if err != nil {
					return err
				}
				total.Add(int64(n))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d files, %d bytes compared in %v", cache, len(files.Files), total.Load(), time.Since(began).Round(time.Millisecond))
}

func compare(files *tree.Tree, v *viewer.Viewer, host, name, cache string) (int, error) {
	want, err := files.Read(name)
	if err != nil {
		return 0, err
	}
	got, err := v.Get(host, tree.Target(name))
	if err != nil {
		return 0, err
	}
	if got.Status != 200 || got.Cache() != cache {
		return 0, fmt.Errorf("%s: got %d %q, want 200 %s: %.200s", name, got.Status, got.Header.Get("X-Cache"), cache, got.Body)
	}
	if !bytes.Equal(got.Body, want) {
		return 0, fmt.Errorf("%s: the answer (%d bytes) is not the file (%d bytes)", name, len(got.Body), len(want))
	}
	return len(want), nil
}

// oddKeys are object keys that are easily damaged on their way.
var oddKeys = []string{
	"plain.txt", "with space.txt", "a+b.txt", "100%.txt", "%41.txt", "per%2Fcent", "übermut/日本語.txt", "🌊",
	"a//b.txt", "/leading", "what?x=1", "hash#tag", "semi;colon", "tilde~", "star*'()!", "dots/../kept", "dot/./kept", "-", "a&b=c",
}

// TestKeysOfBuckets asks for objects with odd keys in both styles of address.
func TestKeysOfBuckets(t *testing.T) {
	t.Parallel()
	store := bucket.Start(t, s3Domain)
	store.Create(t, "odd")
	store.Publish(t, "odd")
	for _, key := range oddKeys {
		store.Put(t, "odd", key, []byte("content of "+key))
	}
	_, port, err := net.SplitHostPort(store.Address)
	if err != nil {
		t.Fatal(err)
	}
	u := startUp(t, t.TempDir(), "--no-sample", "--resolver", dns.Start(t, s3Domain))
	for _, tt := range []struct {
		name, prefix string // prefix of targets at the store
		origin       *originv1.OriginEndpoint
	}{
		{"path style", "/odd/", s3("http://"+store.Address, "odd", true)},
		{"virtual-host style", "/", s3("http://"+net.JoinHostPort(s3Domain, port), "odd", false)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := u.api.Create(t, tt.name, control.Site(inline(tt.origin)))
			u.api.Watch(t, d.GetName(), deployTimeout)
			for _, key := range oddKeys {
				for _, cache := range []string{"Miss", "Hit"} {
					a := viewer.Get(t, u.at["http"], d.GetDomainName(), "/"+bucket.Escape(key))
					viewer.Want(t, key, a, 200, cache)
					if got := string(a.Body); got != "content of "+key {
						t.Errorf("%s: the answer is %.200q", key, got)
					}
				}
				target := tt.prefix + bucket.Escape(key)
				program.Await(t, "the key reached the store as it is", startTimeout, func(context.Context) error {
					return store.Served(target)
				})
			}
			if a := viewer.Get(t, u.at["http"], d.GetDomainName(), "/no-such-key"); a.Status != 403 && a.Status != 404 {
				t.Errorf("a key that is not there: %d", a.Status)
			}
		})
	}
}

// TestSecondStartFindsItsData stops the process and starts it again.
func TestSecondStartFindsItsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	u := startUp(t, dir)
	host, first := u.at["host"], u.at["distribution"]
	a := viewer.Get(t, u.at["http"], host, "/")
	viewer.Want(t, "the sample site", a, 200, "Miss")
	if !strings.Contains(string(a.Body), "<title>") {
		t.Errorf("the sample site answers %.200q", a.Body)
	}
	u.Stop(t)
	again := startUp(t, dir)
	if again.at["distribution"] != first || again.at["host"] != host {
		t.Errorf("the second start made %s for %s; the first had %s for %s", again.at["distribution"], again.at["host"], first, host)
	}
	viewer.Want(t, "the sample site after a restart", viewer.Get(t, again.at["http"], host, "/"), 200, "Hit")
}

// TestHTTPS asks over TLS with the certificate that the edge makes for itself, by
// HTTP/1.1 and by HTTP/2.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	u := startUp(t, t.TempDir())
	want := viewer.Get(t, u.at["http"], u.at["host"], "/harbour.png")
	viewer.Want(t, "HTTP", want, 200, "Miss")
	for _, major := range []int{1, 2} {
		var protocols http.Protocols
		protocols.SetHTTP1(major == 1)
		protocols.SetHTTP2(major == 2)
		transport := &http.Transport{
			Protocols: &protocols, DisableCompression: true, // Accept-Encoding is in the key
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // made by the edge itself
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, u.at["https"])
			},
		}
		res, err := (&http.Client{Transport: transport}).Get("https://" + u.at["host"] + "/harbour.png")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		transport.CloseIdleConnections()
		if err != nil || res.ProtoMajor != major || !strings.HasPrefix(res.Header.Get("X-Cache"), "Hit") || !bytes.Equal(body, want.Body) {
			t.Errorf("HTTP/%d over TLS: %s %s %q, %d bytes of %d, %v", major, res.Proto, res.Status, res.Header.Get("X-Cache"), len(body), len(want.Body), err)
		}
	}
}
