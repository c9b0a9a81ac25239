// SPDX-License-Identifier: Apache-2.0

package allinone

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

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
	// Token is the file with the token of the API's admin.
	Token string `json:"token"`
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
	p("  gRPC      %s (with the token in %s)", a.GRPC, here(a.Token))
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
	p("  %s %s seafront.config.v1.DistributionService/ListDistributions", grpcurl(c, a), a.GRPC)
	p("  # every service and method")
	p("  %s %s list", grpcurl(c, a), a.GRPC)
	p("  # switch the site off; the next request gets a 403")
	p(`  %s -d '{"distribution": {"name": "%s", "etag": "%s", "config": {"enabled": false}}, "update_mask": {"paths": ["config.enabled"]}}' \`, grpcurl(c, a), d.GetName(), d.GetEtag())
	p("    %s seafront.config.v1.DistributionService/UpdateDistribution", a.GRPC)
	p("")
	p("docs/grpcurl.md goes through all of it.")
	p("")
}

// grpcurl is how to call the program that `make up` builds, from where we are, as the
// admin.
func grpcurl(c Config, a addresses) string {
	call := filepath.Join(".bin", "grpcurl")
	if _, err := os.Stat(call); err != nil {
		call = "grpcurl"
	}
	if c.TLSCert == "" {
		call += " -plaintext"
	}
	return call + fmt.Sprintf(` -H "authorization: Bearer $(cat %s)"`, here(a.Token))
}

// here is a path as one writes it in a shell in this directory.
func here(path string) string {
	if dir, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(short) {
			path = short
		}
	}
	if strings.ContainsFunc(path, func(r rune) bool {
		return r != '/' && r != '.' && r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
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
