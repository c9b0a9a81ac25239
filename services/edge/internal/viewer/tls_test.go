// SPDX-License-Identifier: Apache-2.0

package viewer

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// versions is a configuration with one distribution for each HTTP version.
func versions(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	var changes []snapshot.Change
	for id, version := range map[string]configv1.HttpVersion{
		"one": configv1.HttpVersion_HTTP_VERSION_HTTP1_1, "two": configv1.HttpVersion_HTTP_VERSION_HTTP2,
	} {
		d := &configv1.Distribution{DomainName: id + ".cdn.test", Config: &configv1.DistributionConfig{
			Enabled: true, HttpVersion: version,
			Origins: []*configv1.Origin{{Id: "o", Source: &configv1.Origin_Endpoint{Endpoint: &originv1.OriginEndpoint{
				Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{Host: "o.test", ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY}},
			}}}},
			DefaultCacheBehavior: &configv1.CacheBehavior{
				TargetOriginId: "o", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
				Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: "cachePolicies/x"},
			},
		}}
		resource, err := proto.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		value, err := keys.Encode(&storev1.Record{Resource: resource})
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, snapshot.Change{Key: keys.Resource(keys.Distributions, id), Value: value, ModRevision: 1})
	}
	s, _ := snapshot.Empty().Apply(1, changes)
	if n := len(s.Rejections()); n > 0 {
		t.Fatal(s.Rejections())
	}
	return s
}

func TestHandshake(t *testing.T) {
	s := serve(t, answer(exchange.Answer{Status: 204}), func(c *Config) { c.Snapshots = config{versions(t)} })
	for _, tt := range []struct {
		name  string
		offer *tls.Config
		want  string // the protocol, or "" for a failed handshake
	}{
		{"D1.1: HTTP/2 by default", &tls.Config{ServerName: "two.cdn.test"}, "h2"},
		{"D1.1: HTTP/1.1 only", &tls.Config{ServerName: "one.cdn.test"}, "http/1.1"},
		{"names in any case", &tls.Config{ServerName: "ONE.cdn.test"}, "http/1.1"},
		{"a name of no distribution", &tls.Config{ServerName: "other.cdn.test"}, "h2"},
		{"D1.2, D1.6: no name", &tls.Config{ServerName: "127.0.0.1"}, "http/1.1"},
		{"D1.2: TLS 1.2", &tls.Config{ServerName: "two.cdn.test", MaxVersion: tls.VersionTLS12}, "h2"},
		{"D1.11: TLS 1.1", &tls.Config{ServerName: "two.cdn.test", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.offer.RootCAs, tt.offer.NextProtos = s.roots, []string{"h2", "http/1.1"}
			c, err := tls.Dial("tcp", s.https, tt.offer)
			if err != nil {
				if tt.want != "" {
					t.Error(err)
				}
				return
			}
			defer c.Close()
			if got := c.ConnectionState().NegotiatedProtocol; got != tt.want {
				t.Errorf("protocol %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCertificateIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	open := func(domain string) *Certificate {
		t.Helper()
		c, err := OpenCertificate(dir, domain, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	serial := func(c *Certificate) string { return c.current.Load().Leaf.SerialNumber.String() }
	c := open("cdn.test")
	first := serial(c)
	if serial(open("cdn.test")) != first {
		t.Error("the certificate is made anew at each start")
	}
	for _, name := range []string{"default.crt", "default.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want only the owner to read it", name, info.Mode(), err)
		}
	}
	for _, name := range []string{"cdn.test", "d1.cdn.test", "localhost", "127.0.0.1"} {
		if err := c.current.Load().Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if err := c.refresh(time.Now().Add(300 * 24 * time.Hour)); err != nil || serial(c) != first {
		t.Errorf("renewed long before its end, %v", err)
	}
	if err := c.refresh(time.Now().Add(340 * 24 * time.Hour)); err != nil || serial(c) == first {
		t.Errorf("not renewed before its end, %v", err)
	}
	second := serial(open("other.test"))
	if second == first || open("other.test").current.Load().Leaf.VerifyHostname("a.other.test") != nil {
		t.Error("the certificate does not follow the base domain")
	}
	if err := os.WriteFile(filepath.Join(dir, "default.key"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if serial(open("other.test")) == second {
		t.Error("a torn key is used")
	}
}

func TestCertificateOfADiskThatCannotBeWritten(t *testing.T) {
	// A file where the directory should be stands for every reason: root may write
	// anywhere else.
	dir := filepath.Join(t.TempDir(), "tls")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c, err := OpenCertificate(dir, "cdn.test", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatalf("no viewer is served by HTTPS for want of a file: %v", err)
	}
	if c.current.Load().Leaf.VerifyHostname("d1.cdn.test") != nil {
		t.Error("the certificate is not good for the base domain")
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), dir) {
		t.Errorf("log %q does not say that %s cannot be written", log.String(), dir)
	}
	first := c.current.Load()
	if err := c.refresh(time.Now().Add(time.Hour)); err != nil || c.current.Load() != first {
		t.Errorf("the certificate in use is replaced without need, or its loss is told again: %v", err)
	}
	if err := c.refresh(time.Now().Add(340 * 24 * time.Hour)); err == nil || c.current.Load() == first {
		t.Errorf("not renewed in memory, or the error is lost: %v", err)
	}
}

// TestFronted: requests on either protocol say whether the certificate is for their host.
func TestFronted(t *testing.T) {
	s := serve(t, func(ctx context.Context, r *exchange.Request, to exchange.Sender) {
		status := 204
		if r.Fronted {
			status = 421
		}
		_, _ = to.Send(ctx, &exchange.Answer{Status: status})
	}, func(c *Config) { c.Snapshots = config{versions(t)} })
	for _, tt := range []struct {
		name, server, host string
		http2              bool
		want               int
	}{
		{"D2.7: the same, by HTTP/1.1", "one.cdn.test", "one.cdn.test", false, 204},
		{"D2.7: covered, by HTTP/2", "two.cdn.test", "one.cdn.test", true, 204},
		{"D2.7: another, by HTTP/1.1", "one.cdn.test", "www.other.test", false, 421},
		{"D2.7: another, by HTTP/2", "two.cdn.test", "www.other.test", true, 421},
	} {
		t.Run(tt.name, func(t *testing.T) {
			transport := &http.Transport{TLSClientConfig: &tls.Config{ServerName: tt.server, RootCAs: s.roots}, ForceAttemptHTTP2: tt.http2}
			defer transport.CloseIdleConnections()
			r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+s.https+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = tt.host
			res, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != tt.want || (res.ProtoMajor == 2) != tt.http2 {
				t.Errorf("%s %d, want %d", res.Proto, res.StatusCode, tt.want)
			}
		})
	}
}
