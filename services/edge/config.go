// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/cdn/brand"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/secret"
	"github.com/seafront-cdn/seafront/pkg/telemetry"
	"github.com/seafront-cdn/seafront/services/edge/internal/viewer"
)

// Config is what differs between edges. Its tags are the flags of the program; the
// zero value of each field that has a default means that default.
type Config struct {
	ID        string            `help:"Name of this edge; the same one after a restart. Empty is the host name." name:"id" env:"SEAFRONT_EDGE_ID" placeholder:"NAME"`
	Pop       string            `help:"Point of presence that the edge stands in." default:"LOC1" env:"SEAFRONT_EDGE_POP"`
	Labels    map[string]string `help:"Labels of this edge, shown by EdgeService: KEY=VALUE, at most 50." name:"label" env:"SEAFRONT_EDGE_LABELS" placeholder:"KEY=VALUE"`
	Advertise []string          `help:"Addresses, host:port, under which viewers reach this edge. Empty: those that it listens on." env:"SEAFRONT_EDGE_ADVERTISE" placeholder:"ADDR"`

	EtcdEndpoints []string `help:"Addresses of etcd. The edge starts and serves without it." name:"etcd-endpoints" default:"127.0.0.1:7420" env:"SEAFRONT_ETCD_ENDPOINTS"`
	etcd.Credentials
	DataDir string `help:"Directory for the last good configuration and the default certificate." name:"data" default:".seafront/edge" type:"path" env:"SEAFRONT_DATA"`

	HTTPListen      string `help:"Address for viewers by HTTP." name:"http-listen" default:"127.0.0.1:8080" env:"SEAFRONT_HTTP_LISTEN"`
	HTTPSListen     string `help:"Address for viewers by HTTPS." name:"https-listen" default:"127.0.0.1:8443" env:"SEAFRONT_HTTPS_LISTEN"`
	PublicHTTPSPort int    `help:"Port that redirects to HTTPS name. 0 is the port of --https-listen." name:"public-https-port" default:"0" env:"SEAFRONT_PUBLIC_HTTPS_PORT"`
	AdminListen     string `help:"Address of metrics, health and debug pages. Not for strangers." name:"admin-listen" default:"127.0.0.1:7480" env:"SEAFRONT_ADMIN_LISTEN"`
	BaseDomain      string `help:"Domain of generated host names, for the default certificate." name:"base-domain" default:"seafront.localhost" env:"SEAFRONT_BASE_DOMAIN"`
	Brand           string `help:"Words in header names and values: seafront or cloudfront." default:"seafront" enum:"seafront,cloudfront" env:"SEAFRONT_BRAND"`

	CacheBytes     int64  `help:"Size of the cache in memory in bytes." name:"cache-bytes" default:"1073741824" env:"SEAFRONT_CACHE_BYTES"`
	DiskCacheBytes int64  `help:"Size of the cache on disk in bytes, in the directory cache below --data. One object may take an eighth of it. 0 is none, and then objects live in memory alone." name:"disk-cache-bytes" default:"10737418240" env:"SEAFRONT_DISK_CACHE_BYTES"`
	AccessLog      string `help:"Where one line for each request goes: stdout, off, or the path of a file, which is opened anew at SIGHUP." name:"access-log" default:"stdout" env:"SEAFRONT_ACCESS_LOG"`

	MaxFillBytes int64 `help:"Bytes that all origin responses under way may hold in memory." name:"max-fill-bytes" default:"268435456" env:"SEAFRONT_MAX_FILL_BYTES"`

	MaxConnections        int            `help:"Viewer connections in all; one more is closed at once." name:"max-connections" default:"100000" env:"SEAFRONT_MAX_CONNECTIONS"`
	MaxPerAddress         int            `help:"Viewer connections from one IPv4 address or IPv6 /64." name:"max-connections-per-address" default:"10000" env:"SEAFRONT_MAX_CONNECTIONS_PER_ADDRESS"`
	MemoryWatermarkBytes  int64          `help:"Memory of the process in bytes above which new connections are closed and new HTTP/2 requests get 503. 0 is nine tenths of what the machine or the control group has." name:"memory-watermark-bytes" default:"0" env:"SEAFRONT_MEMORY_WATERMARK_BYTES"`
	ProxyProtocolNetworks []netip.Prefix `help:"Networks, as prefixes, of balancers whose connections all begin with a PROXY header, version 1 or 2; it names the viewer." name:"proxy-protocol-networks" env:"SEAFRONT_PROXY_PROTOCOL_NETWORKS" placeholder:"PREFIX"`
	MaxHeaderBytes        int            `help:"Length of request line and header in bytes, up to 61440; longer ones get 494." name:"max-header-bytes" default:"32768" env:"SEAFRONT_MAX_HEADER_BYTES"`
	MaxURLBytes           int            `help:"Length of a URL in bytes; longer ones get 414." name:"max-url-bytes" default:"8192" env:"SEAFRONT_MAX_URL_BYTES"`
	MaxFields             int            `help:"Header fields of a request; more get 494." name:"max-header-fields" default:"256" env:"SEAFRONT_MAX_HEADER_FIELDS"`
	MaxBodyBytes          int64          `help:"Length of a request body in bytes; longer ones get 413." name:"max-body-bytes" default:"68719476736" env:"SEAFRONT_MAX_BODY_BYTES"`
	MaxRequests           int            `help:"Requests on one HTTP/1 connection, which then ends. 0 is no bound." name:"max-requests-per-connection" default:"0" env:"SEAFRONT_MAX_REQUESTS_PER_CONNECTION"`
	HeaderTimeout         time.Duration  `help:"Time for a TLS handshake and for the head of a request." name:"header-timeout" default:"10s" env:"SEAFRONT_HEADER_TIMEOUT"`
	BodyTimeout           time.Duration  `help:"Time that a viewer may keep the edge waiting for its request body, at once and in all, beside what --min-body-rate earns." name:"body-timeout" default:"20s" env:"SEAFRONT_BODY_TIMEOUT"`
	MinBodyRate           int            `help:"Bytes of a request body that earn a viewer one more second." name:"min-body-rate" default:"1000" env:"SEAFRONT_MIN_BODY_RATE"`
	IdleTimeout           time.Duration  `help:"Time that an idle viewer connection is kept." name:"idle-timeout" default:"30s" env:"SEAFRONT_IDLE_TIMEOUT"`
	StallTimeout          time.Duration  `help:"Time after which a viewer that takes nothing of its answer is cut." name:"stall-timeout" default:"60s" env:"SEAFRONT_STALL_TIMEOUT"`
	TunnelTimeout         time.Duration  `help:"Time without a byte from the origin after which a connection that has switched protocols ends." name:"tunnel-timeout" default:"10m" env:"SEAFRONT_TUNNEL_TIMEOUT"`
	LeaveGrace            time.Duration  `help:"Time that a viewer which has ended its sending half is still taken to wait for an answer that has not begun." name:"leave-grace" default:"2s" env:"SEAFRONT_LEAVE_GRACE"`
	DrainDelay            time.Duration  `help:"Time that a stopped edge goes on taking connections while /readyz already says no, so that balancers notice: more than they take for that." name:"drain-delay" default:"0s" env:"SEAFRONT_DRAIN_DELAY"`
	DrainGrace            time.Duration  `help:"Time for answers under way when the edge is stopped." name:"drain-grace" default:"10s" env:"SEAFRONT_DRAIN_GRACE"`

	OriginConcurrency  int           `help:"Requests to one origin at a time; more wait." name:"origin-concurrency" default:"100" env:"SEAFRONT_ORIGIN_CONCURRENCY"`
	OriginPerViewer    int           `help:"Requests to one origin at a time for one viewer, an IPv4 address or an IPv6 /64; more wait. 0 is half of --origin-concurrency." name:"origin-concurrency-per-viewer" default:"0" env:"SEAFRONT_ORIGIN_CONCURRENCY_PER_VIEWER"`
	OriginTunnels      int           `help:"Connections to one origin that have switched protocols, such as WebSockets; half of them for one viewer." name:"origin-tunnels" default:"10000" env:"SEAFRONT_ORIGIN_TUNNELS"`
	OriginQueue        int           `help:"Requests that may wait for one origin; one more gets 503." name:"origin-queue" default:"1000" env:"SEAFRONT_ORIGIN_QUEUE"`
	OriginQueueTimeout time.Duration `help:"Time that a request may wait for its origin." name:"origin-queue-timeout" default:"10s" env:"SEAFRONT_ORIGIN_QUEUE_TIMEOUT"`

	Resolver string `help:"DNS server, host:port, that names of origins are asked of. Empty is the system's." env:"SEAFRONT_RESOLVER" placeholder:"ADDR"`

	TrustedTraceNetworks []netip.Prefix `help:"Networks, as prefixes, whose own trace context is continued. For all other viewers it is a link." name:"trusted-trace-networks" env:"SEAFRONT_TRUSTED_TRACE_NETWORKS" placeholder:"PREFIX"`

	// Secrets are the cluster keys. Nil: records with secrets are rejected.
	Secrets *secret.Keyring `kong:"-"`
	// Version is the release, for the status.
	Version string `kong:"-"`
	// Etcd is used in place of EtcdEndpoints when it is set. The edge does not close it.
	Etcd *clientv3.Client `kong:"-"`
	// Telemetry is required.
	Telemetry *telemetry.Telemetry `kong:"-"`
	// BeforeSwap, when set, is called with each revision that is about to come into
	// service, and holds it up. It is there for tests.
	BeforeSwap func(revision int64) `kong:"-"`
}

// Limits of Config.
const (
	leastCacheBytes     = 1 << 20
	leastDiskCacheBytes = 32 << 20
	// mostHeaderBytes bounds what one viewer can make the edge hold before there is a request.
	mostHeaderBytes = 60 << 10
)

// Validate says what is wrong. Zero values are good: they stand for defaults.
func (c Config) Validate() error {
	for _, a := range []struct{ flag, addr string }{
		{"http-listen", c.HTTPListen}, {"https-listen", c.HTTPSListen}, {"admin-listen", c.AdminListen},
	} {
		if _, _, err := net.SplitHostPort(a.addr); a.addr != "" && err != nil {
			return fmt.Errorf("--%s: %q is not host:port", a.flag, a.addr)
		}
	}
	if c.PublicHTTPSPort < 0 || c.PublicHTTPSPort > 65535 {
		return fmt.Errorf("--public-https-port: %d is not a port; want 1 to 65535, or 0", c.PublicHTTPSPort)
	}
	if c.CacheBytes != 0 && c.CacheBytes < leastCacheBytes {
		return fmt.Errorf("--cache-bytes: %d is too small; want at least %d", c.CacheBytes, leastCacheBytes)
	}
	if c.DiskCacheBytes != 0 && c.DiskCacheBytes < leastDiskCacheBytes {
		return fmt.Errorf("--disk-cache-bytes: %d is too small; want at least %d, or 0 for none", c.DiskCacheBytes, leastDiskCacheBytes)
	}
	if c.MaxHeaderBytes > mostHeaderBytes || c.MaxURLBytes > mostHeaderBytes {
		return fmt.Errorf("--max-header-bytes, --max-url-bytes: %d and %d; want at most %d", c.MaxHeaderBytes, c.MaxURLBytes, mostHeaderBytes)
	}
	if c.ID != "" && !rules.IsEdgeID(c.ID) {
		return fmt.Errorf("--id: %q; want at most 128 bytes of UTF-8 without slashes and control characters", c.ID)
	}
	if vs := rules.CheckLabels("--label", c.Labels); len(vs) > 0 {
		return fmt.Errorf("%s: %s", vs[0].Field, vs[0].Description)
	}
	if !printable(c.Pop) { // it stands in a header of every answer
		return fmt.Errorf("--pop: %q; want UTF-8 without control characters", c.Pop)
	}
	for _, x := range []struct {
		flag  string
		value int64
	}{
		{"max-fill-bytes", c.MaxFillBytes}, {"max-connections", int64(c.MaxConnections)}, {"max-connections-per-address", int64(c.MaxPerAddress)},
		{"max-header-bytes", int64(c.MaxHeaderBytes)}, {"max-url-bytes", int64(c.MaxURLBytes)}, {"header-timeout", int64(c.HeaderTimeout)},
		{"memory-watermark-bytes", c.MemoryWatermarkBytes}, {"max-header-fields", int64(c.MaxFields)}, {"max-body-bytes", c.MaxBodyBytes}, {"max-requests-per-connection", int64(c.MaxRequests)},
		{"body-timeout", int64(c.BodyTimeout)}, {"min-body-rate", int64(c.MinBodyRate)}, {"tunnel-timeout", int64(c.TunnelTimeout)},
		{"leave-grace", int64(c.LeaveGrace)}, {"idle-timeout", int64(c.IdleTimeout)}, {"stall-timeout", int64(c.StallTimeout)}, {"drain-grace", int64(c.DrainGrace)}, {"drain-delay", int64(c.DrainDelay)},
		{"origin-concurrency", int64(c.OriginConcurrency)}, {"origin-queue", int64(c.OriginQueue)}, {"origin-queue-timeout", int64(c.OriginQueueTimeout)},
		{"origin-concurrency-per-viewer", int64(c.OriginPerViewer)}, {"origin-tunnels", int64(c.OriginTunnels)},
	} {
		if x.value < 0 {
			return fmt.Errorf("--%s: must not be negative", x.flag)
		}
	}
	if c.Brand == "" {
		return nil
	}
	_, err := brand.Parse(c.Brand)
	return err
}

// viewerLimits are those of connections of viewers.
func (c Config) viewerLimits() viewer.Limits {
	return viewer.Limits{
		HeaderTimeout: c.HeaderTimeout, IdleTimeout: c.IdleTimeout, BodyTimeout: c.BodyTimeout, StallTimeout: c.StallTimeout,
		TunnelTimeout: c.TunnelTimeout, LeaveGrace: c.LeaveGrace, MinBodyRate: c.MinBodyRate,
		MaxHeaderBytes: c.MaxHeaderBytes, MaxURLBytes: c.MaxURLBytes, MaxFields: c.MaxFields, MaxRequests: c.MaxRequests,
		MaxBodyBytes: c.MaxBodyBytes,
	}
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// complete checks the Config and fills in the defaults that the parts do not know.
func (c Config) complete() (Config, error) {
	if err := c.Validate(); err != nil {
		return c, err
	}
	if c.Telemetry == nil {
		return c, errors.New("telemetry is required")
	}
	if c.ID == "" {
		var err error
		if c.ID, err = os.Hostname(); err != nil {
			return c, fmt.Errorf("name of this edge: %w", err)
		}
	}
	c.Pop = cmp.Or(c.Pop, "LOC1")
	c.DataDir = cmp.Or(c.DataDir, ".seafront/edge")
	c.HTTPListen = cmp.Or(c.HTTPListen, "127.0.0.1:8080")
	c.HTTPSListen = cmp.Or(c.HTTPSListen, "127.0.0.1:8443")
	c.AdminListen = cmp.Or(c.AdminListen, "127.0.0.1:7480")
	c.BaseDomain = cmp.Or(c.BaseDomain, brand.BaseDomain)
	c.Brand = cmp.Or(c.Brand, "seafront")
	c.CacheBytes = cmp.Or(c.CacheBytes, 1<<30)
	if len(c.EtcdEndpoints) == 0 {
		c.EtcdEndpoints = []string{"127.0.0.1:7420"}
	}
	return c, nil
}

// trusts says whether an address is in one of the trusted networks.
func (c Config) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(c.TrustedTraceNetworks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// build names the release and, when the program knows it, the commit.
func (c Config) build() string {
	out := cmp.Or(c.Version, "dev")
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return out
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			out += " " + s.Value
		}
	}
	return out
}
