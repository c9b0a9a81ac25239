// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/test/internal/program"
)

var vtcProblem = regexp.MustCompile(`(?m)^---- .*$`)

// varnishtest runs the scripts below vtc: each is a client and an origin, and an edge
// stands between them in the place of Varnish.
func varnishtest(t *testing.T, e *edge, r *results) {
	files, err := filepath.Glob("vtc/*.vtc")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		id := strings.TrimSuffix(filepath.Base(file), ".vtc")
		at := program.Address(t)
		_, port, err := net.SplitHostPort(at)
		if err != nil {
			t.Fatal(err)
		}
		host := e.site(t, "vtc-"+id, at)
		out, err := tool(t, "varnishtest", "-t", "20", "-D", "edge="+e.HTTP, "-D", "host="+host, "-D", "port="+port, file)
		if err != nil {
			err = fmt.Errorf("%w: %s", err, vtcProblem.FindString(out))
		}
		r.add(id, "", err)
	}
}
