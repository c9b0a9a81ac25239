// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/load"
)

// junit is the report of h2spec.
type junit struct {
	Suites []struct {
		Package string `xml:"package,attr"`
		Cases   []struct {
			Name    string    `xml:"classname,attr"`
			Failure *[]string `xml:"failure"`
			Error   *[]string `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// runBound is for one run of a program of others.
const runBound = 3 * time.Minute

// tool runs a program and returns what it prints.
func tool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runBound)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// h2spec runs all of h2spec, the strict cases as well. What fails is run once more by
// itself: some cases wait for two seconds of a machine that may be busy.
func h2spec(t *testing.T, e *edge, r *results) {
	host, port, err := net.SplitHostPort(relayTLS(t, e.HTTPS, e.site(t, "h2spec", startOrigin(t))))
	if err != nil {
		t.Fatal(err)
	}
	found := runH2spec(t, host, port)
	const cases = 146
	if len(found) != cases {
		t.Errorf("h2spec has run %d cases of %d", len(found), cases)
	}
	for id, err := range found {
		if err != nil {
			if again, ok := runH2spec(t, host, port, id)[id]; ok {
				err = again
			}
		}
		r.add(id, "", err)
	}
}

// runH2spec runs some cases, or all, and returns their outcomes.
func runH2spec(t *testing.T, host, port string, only ...string) map[string]error {
	t.Helper()
	report := filepath.Join(t.TempDir(), "h2spec.xml")
	out, err := tool(t, program.Tool(t, "h2spec"), append([]string{"-S", "-h", host, "-p", port, "-o", "2", "-P", "/1000/h2spec", "-j", report}, only...)...)
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatalf("h2spec: %v", err)
	}
	raw, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("h2spec wrote no report: %v\n%s", err, out)
	}
	var all junit
	if err := xml.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	found := map[string]error{}
	for _, s := range all.Suites {
		for i, c := range s.Cases {
			id := s.Package + "/" + strconv.Itoa(i+1)
			if len(only) > 0 {
				id = only[0] // numbers are those of the run
			}
			found[id] = nil
			if c.Failure != nil || c.Error != nil {
				found[id] = errors.New(c.Name)
			}
		}
	}
	return found
}

// startOrigin runs the fast origin of package load.
func startOrigin(t *testing.T) string {
	t.Helper()
	o := program.Start(t, program.Spec{Name: "origin", Path: program.Product(t, "load"), Args: []string{"origin"}})
	address := ""
	program.Await(t, "the origin listens", time.Minute, func(context.Context) error {
		address = strings.TrimSpace(o.Log())
		_, _, err := net.SplitHostPort(address)
		return err
	})
	return address
}

// programs asks by curl and h2load.
func programs(t *testing.T, e *edge, r *results) {
	const size = 100_000
	host := e.site(t, "programs", startOrigin(t))
	_, clear, _ := net.SplitHostPort(e.HTTP)
	_, secure, _ := net.SplitHostPort(e.HTTPS)
	urls := map[string]string{"http": "http://" + host + ":" + clear, "https": "https://" + host + ":" + secure}
	for _, c := range curlCases() {
		for _, p := range c.protocols() {
			r.add("curl-"+c.id+"-"+p.id, "", c.run(t, p, urls[p.scheme], host, e))
		}
	}
	for _, c := range []struct {
		id   string
		args []string
	}{
		{"h1", []string{"--h1", "-n", "5000", "-c", "10", "-m", "1"}},
		{"h1-pipelined", []string{"--h1", "-n", "5000", "-c", "4", "-m", "8"}},
		{"h2", []string{"-n", "5000", "-c", "5", "-m", "10"}},
		{"h2-one-connection", []string{"-n", "5000", "-c", "1", "-m", "100"}},
		{"h2-many-connections", []string{"-n", "2000", "-c", "200", "-m", "2"}},
		{"h2-small-window", []string{"-n", "200", "-c", "2", "-m", "10", "-w", "14", "-W", "14"}},
		{"h2-large-window", []string{"-n", "500", "-c", "2", "-m", "10", "-w", "28", "-W", "28"}},
	} {
		out, err := tool(t, "h2load", append(c.args, "--connect-to="+e.HTTPS, "https://"+host+"/"+strconv.Itoa(size)+"/a")...)
		if err == nil {
			err = h2loadAnswers(out, c.args[indexOf(c.args, "-n")+1], size)
		}
		r.add("h2load-"+c.id, "", err)
	}
}

func indexOf(all []string, s string) int {
	for i, a := range all {
		if a == s {
			return i
		}
	}
	return -1
}

var h2loadLine = regexp.MustCompile(`(?m)^requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded`)
var h2loadData = regexp.MustCompile(`\((\d+)\) data`)

// h2loadAnswers says whether all requests were answered, each by size bytes.
func h2loadAnswers(out, n string, size int) error {
	m, data := h2loadLine.FindStringSubmatch(out), h2loadData.FindStringSubmatch(out)
	if m == nil || data == nil || m[1] != n || m[2] != n {
		return fmt.Errorf("not all requests succeeded: %s", out)
	}
	want, err := strconv.Atoi(n)
	if err != nil {
		return err
	}
	if got, err := strconv.Atoi(data[1]); err != nil || got != want*size {
		return fmt.Errorf("%s bytes of bodies, want %d", data[1], want*size)
	}
	return nil
}

// curlProtocol is a way of asking by curl.
type curlProtocol struct{ id, scheme, version string }

// curlCase is a call of curl. Its output is the status, the length and the version,
// then the body.
type curlCase struct {
	id     string
	target string
	args   []string
	status int
	body   []byte
	only   string // id of the one protocol that it is for
}

func (c curlCase) protocols() []curlProtocol {
	var out []curlProtocol
	for _, p := range []curlProtocol{{"http1", "http", "1.1"}, {"https1", "https", "1.1"}, {"http2", "https", "2"}, {"http10", "http", "1.0"}} {
		if c.only == p.id || c.only == "" && p.id != "http10" {
			out = append(out, p)
		}
	}
	return out
}

func curlCases() []curlCase {
	body := load.Body(100_000)
	const target = "/100000/curl"
	return []curlCase{
		{id: "get", target: target, status: 200, body: body},
		{id: "again", target: target, status: 200, body: body},
		{id: "large", target: "/3000000/curl", status: 200, body: load.Body(3_000_000)},
		{id: "empty", target: "/0/curl", status: 200},
		{id: "head", target: target, args: []string{"--head"}, status: 200},
		{id: "not-modified", target: target, args: []string{"--header", "If-None-Match: " + load.Tag()}, status: 304},
		{id: "not-modified-since", target: target, args: []string{"--time-cond", "Tue, 24 Nov 2026 00:00:00 GMT"}, status: 304},
		{id: "range", target: target, args: []string{"--range", "100-199"}, status: 206, body: body[100:200]},
		{id: "range-suffix", target: target, args: []string{"--range", "-50"}, status: 206, body: body[len(body)-50:]},
		{id: "range-rest", target: target, args: []string{"--range", "99990-"}, status: 206, body: body[99990:]},
		{id: "range-none", target: target, args: []string{"--range", "100000-"}, status: 416},
		{id: "resume", target: target, args: []string{"--continue-at", "5000"}, status: 206, body: body[5000:]},
		{id: "not-found", target: "/none", status: 404},
		{id: "http10", target: target, status: 200, body: body, only: "http10"},
	}
}

func (c curlCase) run(t *testing.T, p curlProtocol, base, host string, e *edge) error {
	file := filepath.Join(t.TempDir(), "body")
	args := []string{
		"--silent", "--show-error", "--insecure", "--max-time", "20", "--http" + p.version, "--output", file, "--write-out", "%{http_code} %{http_version}",
		"--connect-to", host + "::" + e.HTTP,
	}
	if p.scheme == "https" {
		args[len(args)-1] = host + "::" + e.HTTPS
	}
	out, err := tool(t, "curl", append(append(args, c.args...), base+c.target)...)
	if err != nil {
		return fmt.Errorf("curl: %w: %s", err, out)
	}
	want := fmt.Sprintf("%d %s", c.status, p.version)
	if p.id == "http10" { // a server may answer with its own version
		out, _, _ = strings.Cut(out, " ")
		want = strconv.Itoa(c.status)
	}
	if out != want {
		return fmt.Errorf("got %s, want %s", out, want)
	}
	if c.status >= 400 || indexOf(c.args, "--head") >= 0 {
		return nil
	}
	got, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) { // curl makes no file without a body
		return err
	}
	if !bytes.Equal(got, c.body) {
		return fmt.Errorf("%d bytes, or others than those of the origin; want %d", len(got), len(c.body))
	}
	return nil
}
