// SPDX-License-Identifier: Apache-2.0

package allinone

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// addresses is where everything listens, in the form of the ready file.
type addresses struct {
	GRPC   string `json:"grpc"`
	HTTP   string `json:"http"`
	HTTPS  string `json:"https"`
	Admin  string `json:"admin"`
	Etcd   string `json:"etcd"`
	Sample string `json:"sample,omitempty"`
	// Distribution and Host are of the sample site.
	Distribution string `json:"distribution,omitempty"`
	Host         string `json:"host,omitempty"`
}

// greet tells a person what runs and what to try next.
func greet(out io.Writer, c Config, a addresses, d *configv1.Distribution, took time.Duration) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	p("")
	p("Seafront is up (%d ms). Data is in %s; Ctrl-C ends it.", took.Milliseconds(), c.Data)
	p("")
	if d != nil {
		p("  site      http://%s:%s/", d.GetDomainName(), port(a.HTTP))
		p("            https://%s:%s/ (self-signed certificate)", d.GetDomainName(), port(a.HTTPS))
	}
	p("  gRPC      %s", a.GRPC)
	p("  viewers   http://%s  https://%s", a.HTTP, a.HTTPS)
	p("  admin     http://%s/metrics  /readyz  /debug/config  /debug/pprof/", a.Admin)
	p("  etcd      %s", a.Etcd)
	if a.Sample != "" {
		p("  origin    http://%s (the sample site)", a.Sample)
	}
	if d == nil && a.Sample != "" {
		p("")
		p("The sample distribution has been deleted and is not made again; a new --data directory has one.")
	}
	if d == nil {
		p("")
		return
	}
	p("")
	p("Try, in another terminal:")
	p("")
	p("  # a miss, then a hit")
	p("  curl -sI http://%s:%s/tides.html | grep -i x-cache", d.GetDomainName(), port(a.HTTP))
	p("  # the distributions, and how far each has been deployed")
	p("  %s -plaintext %s seafront.config.v1.DistributionService/ListDistributions", grpcurl(), a.GRPC)
	p("  # every service and method")
	p("  %s -plaintext %s list", grpcurl(), a.GRPC)
	p("  # switch the site off; the next request gets a 403")
	p(`  %s -plaintext -d '{"distribution": {"name": "%s", "etag": "%s", "config": {"enabled": false}}, "update_mask": {"paths": ["config.enabled"]}}' \`, grpcurl(), d.GetName(), d.GetEtag())
	p("    %s seafront.config.v1.DistributionService/UpdateDistribution", a.GRPC)
	p("")
	p("docs/grpcurl.md goes through all of it.")
	p("")
}

// grpcurl is how to call the program that `make up` builds, from where we are.
func grpcurl() string {
	local := filepath.Join(".bin", "grpcurl")
	if _, err := os.Stat(local); err == nil {
		return local
	}
	return "grpcurl"
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// writeReady leaves the addresses for programs, whole or not at all.
func writeReady(name string, a addresses) error {
	if name == "" {
		return nil
	}
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".tmp", append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	return os.Rename(name+".tmp", name)
}
