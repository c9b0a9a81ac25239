// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
)

// A program that asks for much over one connection by TLS, uploads, takes requests back
// and has a hundred under way is never cut.
func TestHeavyClientIsServed(t *testing.T) {
	reader := metric.NewManualReader()
	s := newServer(t, handler(upload), func(c *Config) { c.Meter = metric.NewMeterProvider(metric.WithReader(reader)) })
	addr := listen(t, s, selfSigned(t))
	tr := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a test with itself
		ForceAttemptHTTP2: true,
		HTTP2:             &http.HTTP2Config{StrictMaxConcurrentRequests: true}, // one connection
	}
	defer tr.CloseIdleConnections()
	var askers sync.WaitGroup
	for range 100 {
		askers.Go(func() {
			for i := range 40 {
				method, body := http.MethodGet, io.Reader(http.NoBody)
				if i%10 == 0 {
					method, body = http.MethodPost, &slowly{left: 50}
				}
				req, err := http.NewRequestWithContext(t.Context(), method, "https://"+addr+"/", body)
				if err != nil {
					t.Error(err)
					return
				}
				res, err := tr.RoundTrip(req)
				if err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
				if i%3 > 0 { // else it is taken back
					_, err = io.Copy(io.Discard, res.Body)
				}
				if err := errors.Join(err, res.Body.Close()); err != nil {
					t.Errorf("request %d: %v", i, err)
				}
			}
		})
	}
	askers.Wait()
	if got := reasons(t, reader); len(got) > 0 {
		t.Errorf("connections were ended: %v", got)
	}
}

// Uploads that are answered before they are there end in the middle, which is no fault
// of the viewer's.
func TestUploadsAnsweredEarlyAreNoFault(t *testing.T) {
	reader := metric.NewManualReader()
	s := newServer(t, hello, func(c *Config) {
		c.Meter = metric.NewMeterProvider(metric.WithReader(reader))
		c.Limits.Faults, c.Limits.Resets = Budget{Burst: 5, PerSecond: 1}, Budget{Burst: 5, PerSecond: 1}
	})
	addr := listen(t, s, selfSigned(t))
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true} //nolint:gosec // a test with itself
	defer tr.CloseIdleConnections()
	for range 200 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://"+addr+"/", bytes.NewReader(make([]byte, 1<<20)))
		if err != nil {
			t.Fatal(err)
		}
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if got := reasons(t, reader); len(got) > 0 {
		t.Errorf("connections were ended: %v", got)
	}
}

// slowly is a body that comes byte by byte.
type slowly struct{ left int }

func (s *slowly) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	s.left--
	p[0] = 'x'
	return 1, nil
}
