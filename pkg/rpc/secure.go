// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/seafront-cdn/seafront/pkg/auth"
	"github.com/seafront-cdn/seafront/pkg/reload"
)

// doors are a server's ways in: what comes over a network goes through TLS where that
// is set, what comes from this process is known as what it is.
type doors struct {
	credentials.TransportCredentials
}

func newDoors(c *tls.Config) credentials.TransportCredentials {
	if c == nil {
		return doors{insecure.NewCredentials()}
	}
	return doors{credentials.NewTLS(c)}
}

// ServerHandshake is part of credentials.TransportCredentials.
func (d doors) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if c, ok := c.(*inside); ok {
		return c, c.who, nil
	}
	return d.TransportCredentials.ServerHandshake(c)
}

// Clone is part of credentials.TransportCredentials.
func (d doors) Clone() credentials.TransportCredentials { return doors{d.TransportCredentials.Clone()} }

// ServerTLS is the TLS of a server whose certificate and key are files in PEM. They
// are followed: new connections get a new certificate. With clients, callers are
// asked for a certificate; what they send is judged call by call, so that they are
// told by a status what is wrong with it. With strict it is judged in the handshake
// as well, and who has none that is good gets no connection.
func ServerTLS(log *slog.Logger, cert, key string, clients *auth.Clients, strict bool) (*tls.Config, error) {
	pair, err := openPair(log, cert, key)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Get(), nil },
	}
	switch {
	case strict && clients == nil:
		return nil, errors.New("client certificates cannot be required without authorities for them")
	case strict:
		c.ClientAuth = tls.RequireAnyClientCert
		c.VerifyConnection = func(s tls.ConnectionState) error { return clients.Verify(s, time.Now()) }
	case clients != nil:
		c.ClientAuth = tls.RequestClientCert
	}
	return c, nil
}

// ClientFiles are the files of a client, in PEM. They are followed.
type ClientFiles struct {
	// Authorities sign servers; empty means those of the system.
	Authorities string
	// Cert and Key are the client's own; both or none.
	Cert, Key string
	// ServerName is the name in the server's certificate where it is not the target's.
	ServerName string
}

// ClientTLS is the TLS of connections.
func ClientTLS(log *slog.Logger, f ClientFiles) (credentials.TransportCredentials, error) {
	// Each connection begins with a configuration of its own: new authorities count
	// from the next one on.
	config := []func(*tls.Config){func(c *tls.Config) { c.ServerName = f.ServerName }}
	if f.Authorities != "" {
		pool, err := auth.OpenAuthorities(log, f.Authorities)
		if err != nil {
			return nil, err
		}
		config = append(config, func(c *tls.Config) { c.RootCAs = pool.Get() })
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("a client certificate and its key go together")
	}
	if f.Cert != "" {
		pair, err := openPair(log, f.Cert, f.Key)
		if err != nil {
			return nil, err
		}
		config = append(config, func(c *tls.Config) {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.Get(), nil }
		})
	}
	return newFollowed(config), nil
}

// PinnedTLS is the TLS of connections to a server that shows exactly the certificate in
// a file: for a process that asks itself. With a key the certificate is shown in turn.
func PinnedTLS(cert, key string) (credentials.TransportCredentials, error) {
	raw, err := os.ReadFile(cert)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate in PEM", cert)
	}
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // the certificate is compared below, which is stricter
		VerifyConnection: func(s tls.ConnectionState) error {
			if !bytes.Equal(s.PeerCertificates[0].Raw, block.Bytes) {
				return fmt.Errorf("the server shows another certificate than that of %s", cert)
			}
			return nil
		},
	}
	if key != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", cert, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(c), nil
}

func openPair(log *slog.Logger, cert, key string) (*reload.Value[*tls.Certificate], error) {
	return reload.Open(log, func(files [][]byte) (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(files[0], files[1])
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", cert, key, err)
		}
		return &pair, nil
	}, cert, key)
}

// followed makes its configuration anew for each handshake.
type followed struct {
	credentials.TransportCredentials // the one of the start, for what needs no files
	config                           []func(*tls.Config)
}

func newFollowed(config []func(*tls.Config)) followed {
	f := followed{config: config}
	f.TransportCredentials = f.now()
	return f
}

func (f followed) now() credentials.TransportCredentials {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	for _, set := range f.config {
		set(c)
	}
	return credentials.NewTLS(c)
}

// ClientHandshake is part of credentials.TransportCredentials.
func (f followed) ClientHandshake(ctx context.Context, authority string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return f.now().ClientHandshake(ctx, authority, c)
}

// Clone is part of credentials.TransportCredentials.
func (f followed) Clone() credentials.TransportCredentials { return newFollowed(f.config) }

// bearer sends a token with each call.
type bearer struct {
	token  func() string
	secure bool
}

// GetRequestMetadata is part of credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token()}, nil
}

// RequireTransportSecurity is part of credentials.PerRPCCredentials. Without TLS Dial
// has seen to it that the target is this machine.
func (b bearer) RequireTransportSecurity() bool { return b.secure }

// IsLoopback says whether an address, host:port or a target as gRPC understands it,
// is on this machine and reached by nobody else.
func IsLoopback(target string) bool {
	if u, err := url.Parse(target); err == nil && strings.Contains(target, ":/") {
		if u.Scheme == "unix" {
			return true
		}
		if u.Host != "" { // a DNS server that may say anything
			return false
		}
		target = strings.TrimPrefix(u.Path, "/")
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		host = target
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
