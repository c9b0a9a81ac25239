// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// checkOrigin returns the violations of a registered origin, in the way services do.
func checkOrigin(o *originv1.Origin) []string {
	DefaultOrigin(o)
	return found(CheckOrigin(o, Limits{}))
}

func checkEndpoint(e *originv1.OriginEndpoint) []string {
	return checkOrigin(&originv1.Origin{Endpoint: e})
}

func TestCheckOrigin(t *testing.T) {
	http := func(change func(h *originv1.HttpEndpoint)) *originv1.OriginEndpoint {
		e := server("origin.example.net")
		change(e.GetHttp())
		return e
	}
	for _, tt := range []struct {
		name string
		o    *originv1.Origin
		want []string
	}{
		{"C2.350: a server", &originv1.Origin{Endpoint: server("ORIGIN.example.net")}, nil},
		{"C2.46: a server with one label", &originv1.Origin{Endpoint: server("localhost")}, nil},
		{"C2.49: no endpoint", &originv1.Origin{}, []string{"endpoint INVALID_ARGUMENT"}},
		{"C2.49: no kind", &originv1.Origin{Endpoint: &originv1.OriginEndpoint{}}, []string{"endpoint INVALID_ARGUMENT"}},
		{"C2.1: in the order of the fields", &originv1.Origin{
			Labels: map[string]string{"aws:x": ""}, DisplayName: strings.Repeat("x", 129),
			Endpoint: http(func(h *originv1.HttpEndpoint) {
				h.Host, h.HttpPort, h.HttpsPort, h.ProtocolPolicy = "", proto.Int32(0), proto.Int32(65536), 0
				h.TlsVersions, h.IpFamily, h.CaBundlePem = []originv1.OriginTlsVersion{0, 9}, 9, "x"
			}),
			ConnectionAttempts: proto.Int32(4), ConnectTimeout: durationpb.New(0), ReadTimeout: durationpb.New(0),
			KeepaliveTimeout: durationpb.New(0), ResponseCompletionTimeout: &durationpb.Duration{Seconds: 86401},
		}, []string{
			`labels["aws:x"] INVALID_TAGGING`, "display_name INVALID_ARGUMENT", "endpoint.http.host INVALID_ARGUMENT",
			"endpoint.http.http_port INVALID_ARGUMENT", "endpoint.http.https_port INVALID_ARGUMENT",
			"endpoint.http.protocol_policy INVALID_ARGUMENT",
			"endpoint.http.tls_versions[0] INVALID_ARGUMENT", "endpoint.http.tls_versions[1] UNKNOWN_ENUM_VALUE",
			"endpoint.http.ip_family UNKNOWN_ENUM_VALUE", "endpoint.http.ca_bundle_pem INVALID_ARGUMENT",
			"connection_attempts INVALID_ARGUMENT", "connect_timeout INVALID_ARGUMENT",
			"read_timeout INVALID_ORIGIN_READ_TIMEOUT", "keepalive_timeout INVALID_ORIGIN_KEEPALIVE_TIMEOUT",
			"response_completion_timeout INVALID_ARGUMENT",
		}},
		{"C5.13: any port in the registry", &originv1.Origin{Endpoint: http(func(h *originv1.HttpEndpoint) {
			h.HttpPort, h.HttpsPort = proto.Int32(1), proto.Int32(1023)
		})}, nil},
		{"C2.59: unknown protocol policy", &originv1.Origin{Endpoint: http(func(h *originv1.HttpEndpoint) { h.ProtocolPolicy = 9 })}, []string{"endpoint.http.protocol_policy UNKNOWN_ENUM_VALUE"}},
		{"C5.15: a set with a gap and SSLv3", &originv1.Origin{Endpoint: http(func(h *originv1.HttpEndpoint) { h.TlsVersions = []originv1.OriginTlsVersion{1, 2, 4} })}, nil},
		{"C5.15: SSLv3 alone", &originv1.Origin{Endpoint: http(func(h *originv1.HttpEndpoint) { h.TlsVersions = []originv1.OriginTlsVersion{1} })}, []string{"endpoint.http.tls_versions INVALID_ARGUMENT"}},
		{"C2.60: a version twice", &originv1.Origin{Endpoint: http(func(h *originv1.HttpEndpoint) { h.TlsVersions = []originv1.OriginTlsVersion{4, 3, 4} })}, []string{"endpoint.http.tls_versions[2] INVALID_ARGUMENT"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, checkOrigin(tt.o)); diff != "" {
				t.Errorf("violations (-want +got)\n%s", diff)
			}
		})
	}
}

func TestOriginHosts(t *testing.T) {
	for _, host := range []string{"https://origin.example.net", "origin.example.net/x", "origin.example.net:8080", "192.0.2.1", ""} {
		want := []string{"config.origins[0].endpoint.http.host INVALID_ARGUMENT"}
		got := check(func(d *configv1.Distribution) { d.Config.Origins[0] = inline("web", host) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("C2.350: %q (-want +got)\n%s", host, diff)
		}
	}
}

func TestOriginNumbers(t *testing.T) {
	sec := func(n int64) *durationpb.Duration { return &durationpb.Duration{Seconds: n} }
	half := &durationpb.Duration{Seconds: 5, Nanos: 5e8}
	wrong := []*durationpb.Duration{sec(1 << 62), sec(-1 << 62), {Seconds: 1, Nanos: -1}, half, sec(0)}
	type origin = configv1.Origin
	for _, tt := range []struct {
		name, field, reason string
		set                 func(o *origin, i int)
		good, bad           int // values of set: the first good ones, then bad ones
	}{
		{"C2.351: HTTP ports", "endpoint.http.http_port", ReasonInvalid, func(o *origin, i int) {
			o.GetEndpoint().GetHttp().HttpPort = proto.Int32([]int32{80, 443, 1024, 65535, 0, 22, 1023, 65536, -1}[i])
		}, 4, 5},
		{"C2.351: HTTPS ports", "endpoint.http.https_port", ReasonInvalid, func(o *origin, i int) {
			o.GetEndpoint().GetHttp().HttpsPort = proto.Int32([]int32{80, 443, 1024, 65535, 0, 22, 1023, 65536}[i])
		}, 4, 4},
		{"C2.351: read timeout", "read_timeout", ReasonInvalidReadTimeout, func(o *origin, i int) {
			o.ReadTimeout = append([]*durationpb.Duration{sec(1), sec(120), sec(121)}, wrong...)[i]
		}, 2, 6},
		{"C2.351: keep-alive timeout", "keepalive_timeout", ReasonInvalidKeepalive, func(o *origin, i int) {
			o.KeepaliveTimeout = append([]*durationpb.Duration{sec(1), sec(120), sec(121)}, wrong...)[i]
		}, 2, 6},
		{"C2.351: connect timeout", "connect_timeout", ReasonInvalid, func(o *origin, i int) {
			o.ConnectTimeout = append([]*durationpb.Duration{sec(1), sec(10), sec(11)}, wrong...)[i]
		}, 2, 6},
		{"C2.351: attempts", "connection_attempts", ReasonInvalid, func(o *origin, i int) {
			o.ConnectionAttempts = proto.Int32([]int32{1, 3, 0, 4}[i])
		}, 2, 2},
		{"C2.52: not below the default read timeout", "response_completion_timeout", ReasonInvalid, func(o *origin, i int) {
			o.ResponseCompletionTimeout = []*durationpb.Duration{sec(30), sec(86400), sec(29), sec(86401), half}[i]
		}, 2, 2},
		{"C2.349: path", "origin_path", ReasonInvalidRelativePath, func(o *origin, i int) {
			long := strings.Repeat("a", 254)
			o.OriginPath = []string{
				"", "/production", "/a/b%20c", "/" + long, "/%7e;v=1,2:@!$&'()*+",
				"production", "/production/", "/", "/a b", "/" + long + "a", "/ä", "/a%2", "/a%zz", "/a?b", "/a#b", "/%",
			}[i]
		}, 5, 11},
	} {
		for i := range tt.good + tt.bad {
			var want []string
			if i >= tt.good {
				want = []string{"config.origins[0]." + tt.field + " " + tt.reason}
			}
			got := check(func(d *configv1.Distribution) { tt.set(d.Config.Origins[0], i) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: value %d (-want +got)\n%s", tt.name, i, diff)
			}
		}
	}
}

func TestOriginRef(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    *configv1.Origin
		want []string
	}{
		{"C6.40: a reference", referring("web", "origins/o-1"), nil},
		{"C6.40: not the name of an origin", referring("web", "origins/O"), []string{"config.origins[0].origin_ref INVALID_ARGUMENT"}},
		{"C6.40: neither", &configv1.Origin{Id: "web"}, []string{"config.origins[0] INVALID_ARGUMENT"}},
		{"C2.52: both timeouts beside a reference", &configv1.Origin{
			Id: "web", Source: &configv1.Origin_OriginRef{OriginRef: "origins/o"},
			ReadTimeout: &durationpb.Duration{Seconds: 60}, ResponseCompletionTimeout: &durationpb.Duration{Seconds: 59},
		}, []string{"config.origins[0].response_completion_timeout INVALID_ARGUMENT"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := check(func(d *configv1.Distribution) { d.Config.Origins[0] = tt.o })
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("violations (-want +got)\n%s", diff)
			}
		})
	}
}

func TestStores(t *testing.T) {
	type s3 = originv1.S3Endpoint
	for _, tt := range []struct {
		name string
		s    *s3
		want []string // "field REASON" below the endpoint
	}{
		{"C5.2: host of a bucket", &s3{Host: "assets.s3.eu-west-1.amazonaws.com"}, nil},
		{"C5.2: host, with what it says", &s3{Host: "Assets.s3.amazonaws.com", Bucket: "assets", Region: "us-east-1"}, nil},
		{"C5.2: host, with something else", &s3{Host: "assets.s3.eu-west-1.amazonaws.com", Bucket: "other", Region: "us-east-1"}, []string{"region INVALID_ARGUMENT", "bucket INVALID_ORIGIN"}},
		{"C2.242: another host", &s3{Host: "assets.example.com"}, []string{"host INVALID_ORIGIN"}},
		{"C2.361: host with a bad bucket", &s3{Host: "ab.s3.eu-west-1.amazonaws.com"}, []string{"host INVALID_ORIGIN"}},
		{"C5.3: path style host", &s3{Host: "s3.eu-west-1.amazonaws.com"}, []string{"host INVALID_ORIGIN"}},
		{"C5.4: website", &s3{Host: "assets.s3-website-eu-west-1.amazonaws.com"}, []string{"host INVALID_ORIGIN"}},
		{"C5.8: virtual host style", &s3{EndpointUrl: "https://minio.internal:9000", Bucket: "assets"}, nil},
		{"C5.8: path style on an address", &s3{EndpointUrl: "http://127.0.0.1:9000", Bucket: "assets", PathStyle: true}, nil},
		{"C5.8: path style on an IPv6 address", &s3{EndpointUrl: "http://[::1]:9000", Bucket: "assets", PathStyle: true}, nil},
		{"C5.8: virtual host style on an address", &s3{EndpointUrl: "http://127.0.0.1:9000", Bucket: "assets"}, []string{"path_style INVALID_ORIGIN"}},
		{"C5.8: nothing", &s3{}, []string{" INVALID_ORIGIN"}},
		{"C5.8: no bucket", &s3{EndpointUrl: "http://localhost"}, []string{"bucket INVALID_ORIGIN"}},
		{"C5.8: both", &s3{Host: "assets.s3.amazonaws.com", EndpointUrl: "http://localhost", Bucket: "assets"}, []string{"endpoint_url INVALID_ORIGIN"}},
		{"C5.8: path style without endpoint_url", &s3{Host: "assets.s3.amazonaws.com", PathStyle: true}, []string{"path_style INVALID_ARGUMENT"}},
		{"C5.8: no URL", &s3{EndpointUrl: "minio.internal", Bucket: "assets"}, []string{"endpoint_url INVALID_ORIGIN"}},
		{"C5.8: too long with its bucket", &s3{EndpointUrl: "http://" + strings.Repeat("a.", 124) + "ab", Bucket: "assets"}, []string{"endpoint_url INVALID_ORIGIN"}},
		{"C5.8: region", &s3{EndpointUrl: "http://localhost", Bucket: "assets", Region: "EU"}, []string{"region INVALID_ARGUMENT"}},
		{"C5.16: authorities", &s3{EndpointUrl: "https://localhost", Bucket: "assets", CaBundlePem: "x"}, []string{"ca_bundle_pem INVALID_ARGUMENT"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			for _, w := range tt.want {
				want = append(want, strings.Replace("endpoint.s3."+w, ". ", " ", 1))
			}
			if diff := cmp.Diff(want, checkEndpoint(store(tt.s))); diff != "" {
				t.Errorf("violations (-want +got)\n%s", diff)
			}
		})
	}
}

func TestDefaultsOfStores(t *testing.T) {
	for _, tt := range []struct{ host, url, bucket, region string }{
		{"a.b.s3.eu-west-1.amazonaws.com", "", "a.b", "eu-west-1"},
		{"no host of AWS", "", "", ""},
		{"", "http://localhost", "", "us-east-1"},
	} {
		s := &originv1.S3Endpoint{Host: tt.host, EndpointUrl: tt.url}
		DefaultOrigin(&originv1.Origin{Endpoint: store(s)})
		if s.Bucket != tt.bucket || s.Region != tt.region {
			t.Errorf("C5.2: %+v became bucket %q, region %q", tt, s.Bucket, s.Region)
		}
	}
}

func TestCheckBundle(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	good := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	for _, tt := range []struct {
		name, bundle string
		want         string // part of the error, empty for a good bundle
	}{
		{"C5.16: none", "", ""},
		{"C5.16: one", good, ""},
		{"C5.16: two and a comment", "# ours\n" + good + "\n" + good, ""},
		{"C5.16: text", "hello", "0 PEM blocks"},
		{"C5.16: a private key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")})), "no plain certificate"},
		{"C5.16: no certificate within", good + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), "number 2 that cannot be parsed"},
		{"C5.16: cut short", good + good[:len(good)/2], "2 PEM blocks, of which 1"},
		{"C5.16: a bad block before a good one", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n" + good, "2 PEM blocks, of which 1"},
		{"C5.16: too long", strings.Repeat(" ", 64<<10) + good, "at most 65536"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := fmt.Sprint(checkBundle(tt.bundle))
			if tt.want == "" && got != "<nil>" || !strings.Contains(got, tt.want) {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}
