// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/load"
)

// sample is one measurement of one subject.
type sample struct {
	perSecond float64       // answers in a second of the clock
	busy      float64       // share of its processor that the subject used
	requests  float64       // answers in all
	cpu       time.Duration // of the subject
}

// perCore is answers in a second of the subject's processor.
func (s sample) perCore() float64 { return s.requests / s.cpu.Seconds() }

// client runs a program beside the servers and returns what it prints.
func client(name string, args ...string) (string, error) {
	var out, bad bytes.Buffer
	cmd := exec.Command("taskset", append([]string{"--cpu-list", strconv.Itoa(clientCore - 1), name}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &bad
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bad.String()+out.String())
	}
	return out.String(), nil
}

// observed runs a client against a subject and says what it cost the subject.
func observed(t testing.TB, s *subject, ask func() (requests, perSecond float64, err error)) (sample, error) {
	t.Helper()
	cpu, began := s.process.CPU(t), time.Now()
	requests, perSecond, err := ask()
	if err != nil {
		return sample{}, err
	}
	took := time.Since(began)
	cpu = s.process.CPU(t) - cpu
	return sample{perSecond, cpu.Seconds() / took.Seconds(), requests, cpu}, nil
}

// connections is how many a throughput client has.
const connections = 32

// wrk asks for one target over HTTP/1.1.
func wrk(host, url string, d time.Duration, fields ...string) (requests, perSecond float64, err error) {
	args := []string{"-t1", "-c" + strconv.Itoa(connections), "-d" + strconv.Itoa(int(max(1, d/time.Second))) + "s", "-H", "Host: " + host}
	for _, f := range fields {
		args = append(args, "-H", f)
	}
	out, err := client("wrk", append(args, url)...)
	if err != nil {
		return 0, 0, err
	}
	return parseWrk(out)
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	wrkRate     = regexp.MustCompile(`(?m)^Requests/sec:\s*([\d.]+)`)
	wrkFailed   = regexp.MustCompile(`(?m)^\s*(Socket errors:.*|Non-2xx.*)$`)
	h2Requests  = regexp.MustCompile(`(?m)^requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
	h2Rate      = regexp.MustCompile(`(?m)^finished in .*?, ([\d.]+) req/s`)
	h2Status    = regexp.MustCompile(`(?m)^status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx`)
)

func parseWrk(out string) (requests, perSecond float64, err error) {
	if bad := wrkFailed.FindString(out); bad != "" {
		return 0, 0, fmt.Errorf("wrk: %s", strings.TrimSpace(bad))
	}
	return numbers("wrk", out, wrkRequests, wrkRate)
}

func parseH2load(out string) (requests, perSecond float64, err error) {
	m := h2Requests.FindStringSubmatch(out)
	if m == nil || h2Status.FindString(out) == "" || m[4] != "0" || m[5] != "0" || m[6] != "0" {
		return 0, 0, fmt.Errorf("h2load: not all answers are 2xx:\n%s", out)
	}
	return numbers("h2load", out, regexp.MustCompile(`(?m)^requests: .* (\d+) succeeded`), h2Rate)
}

func numbers(name, out string, count, rate *regexp.Regexp) (requests, perSecond float64, err error) {
	c, r := count.FindStringSubmatch(out), rate.FindStringSubmatch(out)
	if c == nil || r == nil {
		return 0, 0, fmt.Errorf("%s printed what is not understood:\n%s", name, out)
	}
	if requests, err = strconv.ParseFloat(c[1], 64); err != nil {
		return 0, 0, err
	}
	if perSecond, err = strconv.ParseFloat(r[1], 64); err != nil {
		return 0, 0, err
	}
	if requests == 0 {
		return 0, 0, fmt.Errorf("%s: no answer", name)
	}
	return requests, perSecond, nil
}

// h2load asks for one target over HTTP/2, 10 streams at once on each connection.
func h2load(address, host, target string, d time.Duration) (requests, perSecond float64, err error) {
	out, err := client("h2load", "-t1", "-c8", "-m10", "-D"+strconv.Itoa(int(max(1, d/time.Second))),
		"--connect-to="+address, "--header=accept-encoding: identity", "https://"+host+target)
	if err != nil {
		return 0, 0, err
	}
	return parseH2load(out)
}

// ask runs package load in a process of its own.
func ask(t testing.TB, p load.Plan) (load.Result, error) {
	t.Helper()
	args := []string{
		"ask", "-address", p.Address, "-host", p.Host, "-target", p.Target, "-connections", strconv.Itoa(p.Connections), "-rate", fmt.Sprint(p.Rate),
		"-duration", p.Duration.String(), "-count", strconv.Itoa(p.Count), "-first", strconv.Itoa(p.First), "-status", strconv.Itoa(p.Status), "-length", strconv.FormatInt(p.Length, 10),
	}
	if p.Method != "" {
		args = append(args, "-method", p.Method)
	}
	for _, f := range p.Fields {
		args = append(args, "-field", f)
	}
	out, err := client(program.Product(t, "load"), args...)
	if err != nil {
		return load.Result{}, err
	}
	var r load.Result
	return r, json.Unmarshal([]byte(out), &r)
}

func TestParseWrk(t *testing.T) {
	const good = "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 32 connections\n  Thread Stats   Avg\n  86174 requests in 1.10s, 118.09MB read\nRequests/sec:  78303.52\nTransfer/sec:    107.30MB\n"
	requests, rate, err := parseWrk(good)
	if err != nil || requests != 86174 || rate != 78303.52 {
		t.Errorf("%v, %v, %v", requests, rate, err)
	}
	for _, bad := range []string{"", good + "  Non-2xx or 3xx responses: 3\n", good + "  Socket errors: connect 0, read 1, write 0, timeout 0\n", strings.Replace(good, "86174", "0", 1)} {
		if _, _, err := parseWrk(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestParseH2load(t *testing.T) {
	const good = "finished in 1.00s, 62123.00 req/s, 65.30MB/s\nrequests: 62123 total, 62203 started, 62123 done, 62123 succeeded, 0 failed, 0 errored, 0 timeout\nstatus codes: 62123 2xx, 0 3xx, 0 4xx, 0 5xx\n"
	requests, rate, err := parseH2load(good)
	if err != nil || requests != 62123 || rate != 62123 {
		t.Errorf("%v, %v, %v", requests, rate, err)
	}
	for _, bad := range []string{"", strings.Replace(good, "0 failed", "1 failed", 1), strings.Replace(good, "0 4xx", "9 4xx", 1)} {
		if _, _, err := parseH2load(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}
