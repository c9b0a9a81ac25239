// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/program"
)

// TestStreamAndDashboard holds an answer of the origin after its first byte: two
// viewers have that byte from one origin request before the second exists. Then it
// holds the Grafana dashboard against the metrics of the edge.
func TestStreamAndDashboard(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	asked := 0
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++ // once: a second, concurrent call would be the failure, and a race
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "1")
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, "2")
	}))
	t.Cleanup(origin.Close)
	u := startUp(t, t.TempDir(), "--no-sample")
	d := u.api.Create(t, "stream", control.Site(inline(server(t, origin.Listener.Addr().String()))))
	u.api.Watch(t, d.GetName(), deployTimeout)

	first, second := open(t, u, d.GetDomainName()), open(t, u, d.GetDomainName())
	close(release)
	for _, body := range []io.ReadCloser{first, second} {
		rest, err := io.ReadAll(body)
		if err != nil || string(rest) != "2" {
			t.Errorf("the rest of the answer is %q, %v", rest, err)
		}
		_ = body.Close()
	}
	if asked != 1 {
		t.Errorf("two viewers made %d origin requests", asked)
	}
	compareDashboard(t, u)
}

// open asks for a page and returns its body when the first byte is read.
func open(t *testing.T, u *up, host string) io.ReadCloser {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+u.at["http"]+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var first [1]byte
	if _, err := io.ReadFull(res.Body, first[:]); err != nil || string(first[:]) != "1" {
		t.Fatalf("first byte %q, %v", first, err)
	}
	return res.Body
}

// compareDashboard fails the test for each metric that the dashboard shows and the
// edge does not have.
func compareDashboard(t *testing.T, u *up) {
	t.Helper()
	dashboard, err := os.ReadFile(filepath.Join(program.Root(), "deploy", "grafana", "edges.json"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get("http://" + u.at["admin"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	metrics, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`seafront_[a-z_]+`).FindAllString(string(dashboard), -1)
	if len(names) == 0 {
		t.Fatal("the dashboard shows no metric")
	}
	for _, name := range names {
		if !strings.Contains("\n"+string(metrics), "\n"+name) {
			t.Errorf("the dashboard shows %s, which the edge does not have; it has\n%s", name, metrics)
		}
	}
}
