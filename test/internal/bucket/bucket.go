// SPDX-License-Identifier: Apache-2.0

// Package bucket runs an S3-compatible object store for tests: versitygw over a
// directory. Its buckets are opened to the public by a signed request, as an owner
// would do it.
//
// It promises real S3 on the wire, in path style and in virtual-host style. A bucket
// may be a directory that already has files; nothing is written into that.
package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/seafront-cdn/seafront/test/internal/program"
)

// Region is the region of every store.
const Region = "us-east-1"

// The owner of every store. They protect nothing.
const (
	accessKey = "seafront-test"
	secretKey = "seafront-test-secret"
)

const startTimeout = 30 * time.Second

// Store is a running object store.
type Store struct {
	// Address is where it listens.
	Address  string
	dir, log string
}

// Start runs a store until the test ends. Virtual-host style is served for
// {bucket}.{domain}.
func Start(t testing.TB, domain string) *Store {
	t.Helper()
	s := &Store{Address: program.Address(t), dir: t.TempDir(), log: filepath.Join(t.TempDir(), "access.log")}
	notes := t.TempDir() // metadata lies beside the files, not in them
	p := program.Start(t, program.Spec{
		Name: "versitygw", Path: program.Tool(t, "versitygw"),
		Args: []string{
			"--port", s.Address, "--access", accessKey, "--secret", secretKey, "--region", Region,
			"--virtual-domain", domain, "--health", "/health", "--quiet", "--keep-alive", "--access-log", s.log,
			"posix", "--sidecar", notes, "--bucketlinks", s.dir,
		},
	})
	p.Ready(t, "http://"+s.Address+"/health", startTimeout)
	return s
}

// Link makes a bucket of a directory that exists. Its files are the objects.
func (s *Store) Link(t testing.TB, bucket, dir string) {
	t.Helper()
	if err := os.Symlink(dir, filepath.Join(s.dir, bucket)); err != nil {
		t.Fatal(err)
	}
}

// Create makes an empty bucket.
func (s *Store) Create(t testing.TB, bucket string) {
	t.Helper()
	s.put(t, "/"+bucket, "", nil)
}

// Publish lets everybody read the objects of a bucket.
func (s *Store) Publish(t testing.TB, bucket string) {
	t.Helper()
	s.put(t, "/"+bucket, "policy=", fmt.Appendf(nil, `{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::%s/*"}]}`, bucket))
}

// Put writes an object.
func (s *Store) Put(t testing.TB, bucket, key string, body []byte) {
	t.Helper()
	s.put(t, "/"+bucket+"/"+Escape(key), "", body)
}

// Served returns nil when the store has answered a GET of the raw target with 200,
// by its access log.
func (s *Store) Served(target string) error {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "s3_GetObject ") && strings.Contains(line, " "+target+" 200 ") {
			return nil
		}
	}
	return fmt.Errorf("no GET of %s in the log of the store:\n%s", target, b)
}

// put sends a signed PUT.
func (s *Store) put(t testing.TB, path, query string, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+s.Address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque, req.URL.RawQuery = "//"+s.Address+path, query // the path as it is
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	err = signer.SignHTTP(ctx, aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, req, hash, "s3", Region, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		text, _ := io.ReadAll(res.Body)
		t.Fatalf("PUT %s?%s: %s: %s", path, query, res.Status, text)
	}
}

// Escape is the form that an object key has in a URL, as S3's clients write it: all
// but letters, digits and -._~/ is escaped.
func Escape(key string) string {
	var b bytes.Buffer
	for i := range len(key) {
		c := key[i]
		if c == '/' {
			b.WriteByte(c)
			continue
		}
		if e := url.QueryEscape(string([]byte{c})); e == "+" {
			b.WriteString("%20")
		} else {
			b.WriteString(e)
		}
	}
	return b.String()
}
