// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
)

// TestDashboardKnowsItsMetrics holds the Grafana dashboard against the metrics of a
// running edge.
func TestDashboardKnowsItsMetrics(t *testing.T) {
	t.Parallel()
	dashboard, err := os.ReadFile(filepath.Join(program.Root(), "deploy", "grafana", "edges.json"))
	if err != nil {
		t.Fatal(err)
	}
	u := startUp(t, t.TempDir())
	for _, cache := range []string{"Miss", "Hit"} {
		viewer.Want(t, cache, viewer.Get(t, u.at["http"], u.at["host"], "/"), 200, cache)
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
			t.Errorf("the dashboard shows %s, which the edge does not have", name)
		}
	}
	if t.Failed() {
		t.Logf("%s", metrics)
	}
}
