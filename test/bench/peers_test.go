// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/internal/program"
)

// nginxConfig is nginx at its best here: one process for one processor, logs in
// memory, files of its cache on tmpfs and kept open, sendfile off for small bodies and
// on without tcp_nopush for large ones, connections that never end.
const nginxConfig = `
daemon off;
worker_processes 1;
worker_rlimit_nofile 250000;
user root;
pid DIR/nginx.pid;
error_log DIR/error.log error;
events { worker_connections 220000; }
http {
	tcp_nodelay on;
	tcp_nopush off;
	sendfile off;
	server_tokens off;
	keepalive_requests 1000000000;
	keepalive_timeout 600s;
	open_file_cache max=100000 inactive=600s;
	open_file_cache_valid 600s;
	default_type application/octet-stream;
	log_format short '$remote_addr [$time_iso8601] $request_method $host $request_uri $server_protocol $status $body_bytes_sent $request_time $upstream_cache_status';
	upstream origin { server ORIGIN; keepalive 256; keepalive_requests 1000000000; }
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	proxy_cache_path DIR/cache levels=1:2 keys_zone=c:256m max_size=8g inactive=1h use_temp_path=off;
	proxy_cache c;
	proxy_cache_key $uri;
	proxy_cache_lock on;
	proxy_buffers 16 32k;
	ssl_certificate DIR/cert.pem;
	ssl_certificate_key DIR/key.pem;
	ssl_protocols TLSv1.3;
	ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
	ssl_session_cache shared:s:4m;
	access_log DIR/access.log short buffer=64k flush=1s;
	server { listen LOGGED backlog=4096; location / { proxy_pass http://origin; } }
	server { listen SILENT backlog=4096; access_log off; location / { proxy_pass http://origin; } }
	server { listen FILES backlog=4096; sendfile on; location / { proxy_pass http://origin; } }
	server { listen SECURE ssl http2; location / { proxy_pass http://origin; } }
}
`

// varnishConfig is Varnish's VCL.
const varnishConfig = `
vcl 4.1;
backend origin { .host = "HOST"; .port = "PORT"; .max_connections = 200; }
`

// haproxyConfig is HAProxy with its cache.
const haproxyConfig = `
global
	nbthread 1
	maxconn 1000
defaults
	mode http
	timeout connect 5s
	timeout client 600s
	timeout server 30s
	timeout http-keep-alive 600s
cache c
	total-max-size 256
	max-object-size 100000
	max-age 3600
frontend f
	bind LISTEN
	http-request cache-use c
	default_backend b
backend b
	http-response cache-store c
	http-reuse always
	server o ORIGIN
`

// fill puts values in the place of words.
func fill(text string, words ...string) string { return strings.NewReplacer(words...).Replace(text) }

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// memoryDir is a directory on tmpfs that ends with the test.
func memoryDir(t testing.TB) string {
	t.Helper()
	const shm = "/dev/shm"
	dir, err := os.MkdirTemp(shm, "seafront-bench-")
	if err != nil {
		t.Fatalf("a directory in memory is needed: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// listening waits until a server takes connections.
func listening(t testing.TB, p *program.Process, addresses ...string) {
	t.Helper()
	for _, a := range addresses {
		program.Await(t, "a server at "+a, startTimeout, func(context.Context) error {
			select {
			case <-p.Ended():
				t.Fatalf("the server ended before it was ready:\n%s", p.Log())
			default:
			}
			c, err := net.DialTimeout("tcp", a, time.Second)
			if err == nil {
				_ = c.Close()
			}
			return err
		})
	}
}

func (b *bench) startNginx(t testing.TB) {
	dir := memoryDir(t)
	makeCertificate(t, dir)
	logged, silent, files, secure := program.Address(t), program.Address(t), program.Address(t), program.Address(t)
	config := filepath.Join(dir, "nginx.conf")
	write(t, config, fill(nginxConfig, "DIR", dir, "ORIGIN", b.origin, "LOGGED", logged, "SILENT", silent, "FILES", files, "SECURE", secure))
	p := program.Start(t, program.Spec{Name: "nginx", Path: "nginx", Core: serverCore, Args: []string{"-c", config, "-e", filepath.Join(dir, "error.log")}})
	listening(t, p, logged, silent, files, secure)
	for name, address := range map[string]string{nginxLogged: logged, nginxSilent: silent, nginxFiles: files} {
		b.subjects[name] = &subject{name: name, process: p, http: address}
	}
	b.subjects[nginxLogged].https = secure
}

func (b *bench) startVarnish(t testing.TB, storage string) *subject {
	dir, at := memoryDir(t), program.Address(t)
	host, port, err := net.SplitHostPort(b.origin)
	if err != nil {
		t.Fatal(err)
	}
	vcl := filepath.Join(dir, "default.vcl")
	write(t, vcl, fill(varnishConfig, "HOST", host, "PORT", port))
	p := program.Start(t, program.Spec{Name: "varnishd", Path: "varnishd", Core: serverCore, BySignal: true, Args: []string{
		"-F", "-j", "none", "-a", at, "-f", vcl, "-n", filepath.Join(dir, "work"), "-s", "malloc," + storage, "-t", "3600",
		"-p", "thread_pools=1", "-p", "thread_pool_min=300", "-p", "thread_pool_max=1000", "-p", "timeout_idle=600", "-p", "vsl_mask=-VCL_call,-VCL_return",
	}})
	listening(t, p, at)
	return &subject{name: varnish, process: p, http: at}
}

func (b *bench) startHAProxy(t testing.TB) {
	dir, at := memoryDir(t), program.Address(t)
	config := filepath.Join(dir, "haproxy.cfg")
	write(t, config, fill(haproxyConfig, "LISTEN", at, "ORIGIN", b.origin))
	p := program.Start(t, program.Spec{Name: "haproxy", Path: "haproxy", Core: serverCore, BySignal: true, Args: []string{"-db", "-f", config}})
	listening(t, p, at)
	b.subjects[haproxy] = &subject{name: haproxy, process: p, http: at}
}

// startFloor runs a server that has the edge's own answer to a target ready.
func (b *bench) startFloor(t testing.TB, target string) {
	file := filepath.Join(memoryDir(t), "answer")
	write(t, file, b.answer(t, target))
	p := program.Start(t, program.Spec{Name: floor, Path: program.Product(t, "load"), Core: b.core, Args: []string{"floor", "-answer", file}})
	b.subjects[floor] = &subject{name: floor, process: p, http: told(t, p)}
}

// answer is all that the edge sends for a target that it has.
func (b *bench) answer(t testing.TB, target string) string {
	c, err := net.Dial("tcp", b.subjects[seafront].http)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, b.host); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	res, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c, &all)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// makeCertificate writes cert.pem and key.pem of the kind that an edge makes itself.
func makeCertificate(t testing.TB, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: raw}} {
		write(t, filepath.Join(dir, file), string(pem.EncodeToMemory(block)))
	}
}

// version is what a program says about itself.
func version(name, output string) string {
	first, _, _ := strings.Cut(output, "\n")
	for _, f := range strings.FieldsFunc(first, func(r rune) bool { return strings.ContainsRune(" /()", r) }) {
		if f = strings.TrimPrefix(f, "varnish-"); f[0] >= '0' && f[0] <= '9' {
			f, _, _ = strings.Cut(f, "-")
			return fmt.Sprint(name, " ", f)
		}
	}
	return name
}
