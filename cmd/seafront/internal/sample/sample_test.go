// SPDX-License-Identifier: Apache-2.0

package sample

import (
	"bytes"
	"context"
	"image/png"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSite(t *testing.T) {
	dir := t.TempDir()
	site, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- site.Serve(ctx, l) }()
	base := "http://" + l.Addr().String()
	for _, tt := range []struct {
		path, kind, has string
		status          int
	}{
		{"/", "text/html", "Harbour", 200},
		{"/index.html", "text/html", "X-Cache", 200},
		{"/news/", "text/html", "calm weather", 200},
		{"/style.css", "text/css", "--sea", 200},
		{"/nothing", "text/plain", "no such page", 404},
		{"/../sample.go", "text/plain", "no such page", 404},
	} {
		res, err := http.Get(base + tt.path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != tt.status || !strings.HasPrefix(res.Header.Get("Content-Type"), tt.kind) || !strings.Contains(string(body), tt.has) {
			t.Errorf("GET %s: %d %s %.80q", tt.path, res.StatusCode, res.Header.Get("Content-Type"), body)
		}
		if tt.status == 200 && (res.Header.Get("ETag") == "" || res.Header.Get("Cache-Control") == "") {
			t.Errorf("GET %s: no validator or lifetime in %v", tt.path, res.Header)
		}
	}
	res, err := http.Head(base + "/large.bin")
	if err != nil || res.ContentLength != LargeSize {
		t.Errorf("HEAD /large.bin: %v, %v", res, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestLargeFileIsMadeOnceAndMended(t *testing.T) {
	name := filepath.Join(t.TempDir(), "sub", "large.bin")
	for _, before := range []string{"absent", "whole", "torn"} {
		if before == "torn" {
			if err := os.Truncate(name, 10); err != nil {
				t.Fatal(err)
			}
		}
		if err := makeLarge(name); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(name); err != nil || info.Size() != LargeSize {
			t.Errorf("%s: %v, %v", before, info, err)
		}
	}
}

func TestPicture(t *testing.T) {
	b, err := harbour()
	if err != nil {
		t.Fatal(err)
	}
	if img, err := png.Decode(bytes.NewReader(b)); err != nil || img.Bounds().Dx() != width {
		t.Errorf("picture: %v", err)
	}
}
