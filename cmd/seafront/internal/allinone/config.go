// SPDX-License-Identifier: Apache-2.0

package allinone

import (
	"fmt"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
	"github.com/seafront-cdn/seafront/pkg/program"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/services/config"
)

// Config is what `seafront up` can be told. Its tags are the flags.
type Config struct {
	Data     string `help:"Directory for everything that is kept: store, edge, sample site." default:".seafront" type:"path" env:"SEAFRONT_DATA"`
	LogLevel string `help:"Least severe log line to print: debug, info, warn or error. Viewer requests are info." default:"warn" enum:"debug,info,warn,error" env:"SEAFRONT_LOG_LEVEL"`

	GRPCListen       string `help:"Address of the gRPC API, all services." name:"grpc-listen" default:"127.0.0.1:7400" env:"SEAFRONT_GRPC_LISTEN"`
	HTTPListen       string `help:"Address for viewers by HTTP." name:"http-listen" default:"127.0.0.1:8080" env:"SEAFRONT_HTTP_LISTEN"`
	HTTPSListen      string `help:"Address for viewers by HTTPS, with a self-signed certificate that is made at the first start." name:"https-listen" default:"127.0.0.1:8443" env:"SEAFRONT_HTTPS_LISTEN"`
	PublicHTTPSPort  int    `help:"Port that redirects to HTTPS name. 0 is the port of --https-listen." name:"public-https-port" default:"0" env:"SEAFRONT_PUBLIC_HTTPS_PORT"`
	AdminListen      string `help:"Address of metrics, health and debug pages." name:"admin-listen" default:"127.0.0.1:7480" env:"SEAFRONT_ADMIN_LISTEN"`
	EtcdClientListen string `help:"Address of the embedded etcd for etcdctl." name:"etcd-client-listen" default:"127.0.0.1:7420" env:"SEAFRONT_ETCD_CLIENT_LISTEN"`
	EtcdPeerListen   string `help:"Address of the embedded etcd for peers, of which there are none." name:"etcd-peer-listen" default:"127.0.0.1:7421" env:"SEAFRONT_ETCD_PEER_LISTEN"`
	SampleListen     string `help:"Address of the sample origin." name:"sample-listen" default:"127.0.0.1:7490" env:"SEAFRONT_SAMPLE_LISTEN"`
	Sample           bool   `help:"Serve a sample site and make a distribution for it." default:"true" negatable:"" env:"SEAFRONT_SAMPLE"`

	program.ClusterKeys

	BaseDomain     string `help:"Domain of generated host names. Names below localhost reach this machine without DNS." name:"base-domain" default:"seafront.localhost" env:"SEAFRONT_BASE_DOMAIN"`
	Brand          string `help:"Words in header names and values: seafront or cloudfront." default:"seafront" enum:"seafront,cloudfront" env:"SEAFRONT_BRAND"`
	EdgeID         string `help:"Name of the edge." name:"edge-id" default:"edge-1" env:"SEAFRONT_EDGE_ID"`
	Pop            string `help:"Point of presence of the edge." default:"LOC1" env:"SEAFRONT_EDGE_POP"`
	CacheBytes     int64  `help:"Size of the cache in memory in bytes." name:"cache-bytes" default:"1073741824" env:"SEAFRONT_CACHE_BYTES"`
	DiskCacheBytes int64  `help:"Size of the cache on disk in bytes, below --data. One object may take an eighth of it. 0 is none." name:"disk-cache-bytes" default:"4294967296" env:"SEAFRONT_DISK_CACHE_BYTES"`
	AccessLog      string `help:"Where one line for each viewer request goes: stdout, off, or the path of a file." name:"access-log" default:"stdout" env:"SEAFRONT_ACCESS_LOG"`
	Resolver       string `help:"DNS server, host:port, that names of origins are asked of. Empty is the system's." env:"SEAFRONT_RESOLVER" placeholder:"ADDR"`
	ReadyFile      string `help:"File to write all addresses to, as JSON, once everything answers." name:"ready-file" type:"path" env:"SEAFRONT_READY_FILE" placeholder:"FILE"`

	Limits config.Limits `embed:"" prefix:"max-"`

	program.Access `embed:""`

	// Version is the release, for logs and status.
	Version string `kong:"-"`
}

// Validate says what is wrong with the flags. The parser calls it.
func (c Config) Validate() error {
	for _, a := range []struct{ flag, addr string }{
		{"grpc-listen", c.GRPCListen}, {"http-listen", c.HTTPListen}, {"https-listen", c.HTTPSListen},
		{"admin-listen", c.AdminListen}, {"etcd-client-listen", c.EtcdClientListen},
		{"etcd-peer-listen", c.EtcdPeerListen}, {"sample-listen", c.SampleListen},
	} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			return fmt.Errorf("--%s: %q is not host:port", a.flag, a.addr)
		}
	}
	// The embedded etcd asks nobody who they are: whoever reaches it needs no token.
	for _, a := range []struct{ flag, addr string }{
		{"etcd-client-listen", c.EtcdClientListen}, {"etcd-peer-listen", c.EtcdPeerListen},
	} {
		if !c.Insecure && !rpc.IsLoopback(a.addr) {
			return fmt.Errorf("--%s: etcd on %s can be reached by others, who may then change everything without a token: use an address of this machine alone, or --insecure", a.flag, a.addr)
		}
	}
	if err := hostname.CheckAlias("x."+c.BaseDomain, ""); err != nil {
		return fmt.Errorf("--base-domain: x.%s %w", c.BaseDomain, err)
	}
	if c.PublicHTTPSPort < 0 || c.PublicHTTPSPort > 65535 {
		return fmt.Errorf("--public-https-port: %d is not a port; want 1 to 65535, or 0", c.PublicHTTPSPort)
	}
	if c.CacheBytes < 1<<20 {
		return fmt.Errorf("--cache-bytes: %d is too small; want at least 1048576", c.CacheBytes)
	}
	if c.DiskCacheBytes != 0 && c.DiskCacheBytes < 32<<20 {
		return fmt.Errorf("--disk-cache-bytes: %d is too small; want at least %d, or 0 for none", c.DiskCacheBytes, 32<<20)
	}
	return c.Limits.Validate()
}

func (c Config) dir(part string) string { return filepath.Join(c.Data, part) }

func (c Config) level() slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(c.LogLevel)) != nil {
		return slog.LevelWarn
	}
	return l
}
