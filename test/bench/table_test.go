// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/internal/program"
)

// line is one line of the table. A ratio above 1 is always in favour of the edge.
type line struct {
	id, what, peer, edge, theirs string
	ratio, bar, goal             float64 // 0: none
	note                         string
}

func (b *bench) add(t testing.TB, l line) {
	b.lines = append(b.lines, l)
	t.Log(l)
}

// failed notes a row that could not be measured.
func (b *bench) failed(w workload, err error) {
	b.lines = append(b.lines, line{id: w.id, what: w.what, edge: "-", theirs: "-", note: "not measured: " + strings.ReplaceAll(err.Error(), "\n", " ")})
}

// verdict says whether the bar is reached.
func (l line) verdict() string {
	switch {
	case l.bar == 0 || l.ratio == 0:
		return ""
	case l.ratio < l.bar:
		return "short of the bar"
	case l.ratio < l.goal:
		return "bar"
	}
	return "goal"
}

// String is a row of the table.
func (l line) String() string {
	bars := optional(l.bar)
	if l.goal != l.bar {
		bars += ", " + optional(l.goal)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |", l.what, l.edge, strings.TrimSpace(l.peer+" "+l.theirs), optional(l.ratio), bars, l.verdict(), l.note)
}

func optional(v float64) string {
	if v == 0 || math.IsNaN(v) {
		return "-"
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// micros is a number with two or three digits that count.
func micros(v float64) string {
	if v < 100 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return count(v)
}

// count is a number with commas.
func count(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Marks around the table in docs/performance.md.
const (
	begin = "<!-- begin: make bench-edge -->"
	end   = "<!-- end: make bench-edge -->"
)

// report prints the table, and writes it where WRITE=1 asks for it.
func (b *bench) report(t testing.TB) {
	text := b.table(t)
	fmt.Println(text)
	if os.Getenv("WRITE") != "1" {
		return
	}
	file := filepath.Join(program.Root(), "docs", "performance.md")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out, err := between(string(raw), text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
}

// between puts text between the marks of a page.
func between(page, text string) (string, error) {
	before, rest, found := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("the marks %q and %q are not there", begin, end)
	}
	return before + begin + "\n" + strings.TrimSpace(text) + "\n" + end + after, nil
}

func (b *bench) table(t testing.TB) string {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s, %s, %s; %d rounds of %v, in turn. %s.\n\n", time.Now().UTC().Format("2 January 2006"), machine(), runtime.Version(), b.rounds, b.round, versions(t))
	out.WriteString("| what | Seafront | beside | ratio | bar, goal | reached | remarks |\n|---|---|---|---|---|---|---|\n")
	for _, l := range b.lines {
		fmt.Fprintln(&out, l)
	}
	return out.String()
}

// machine names the processor and the kernel.
func machine() string {
	kernel := runtime.GOOS
	model, cores := processors()
	if raw, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = "Linux " + strings.TrimSpace(string(raw))
	}
	return fmt.Sprintf("%s with %d cores, %s", model, cores, kernel)
}

// processors are the machine's, not those that this process may use.
func processors() (model string, n int) {
	model = runtime.GOARCH
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return model, runtime.NumCPU()
	}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "processor":
			n++
		case "model name":
			model = strings.TrimSpace(value)
		}
	}
	return model, n
}

func versions(t testing.TB) string {
	var all []string
	for _, p := range [][]string{{"nginx", "-v"}, {"varnishd", "-V"}, {"haproxy", "-v"}, {"wrk", "-v"}, {"h2load", "--version"}} {
		out, err := exec.Command(p[0], p[1:]...).CombinedOutput()
		if err != nil && p[0] != "wrk" { // which has no other way to say it
			t.Errorf("%s: %v", p[0], err)
		}
		all = append(all, version(p[0], string(out)))
	}
	return strings.Join(all, ", ")
}

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		line line
		want string
	}{
		{line{what: "hits", edge: "90,000", peer: "nginx", theirs: "50,000", ratio: 1.8, bar: 1.5, goal: 2}, "| hits | 90,000 | nginx 50,000 | 1.80 | 1.50, 2.00 | bar |  |"},
		{line{what: "hits", edge: "1", peer: "nginx", theirs: "2", ratio: 0.5, bar: 1, goal: 1}, "| hits | 1 | nginx 2 | 0.50 | 1.00 | short of the bar |  |"},
		{line{what: "hits", edge: "-", theirs: "-", note: "why"}, "| hits | - | - | - | - |  | why |"},
	} {
		if got := tt.line.String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestBetween(t *testing.T) {
	got, err := between("a\n"+begin+"\nold\n"+end+"\nb\n", "\nnew\n")
	if want := "a\n" + begin + "\nnew\n" + end + "\nb\n"; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if _, err := between("a\n"+begin, "new"); err == nil {
		t.Error("a page without the second mark was taken")
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.6: "1,234,568"} {
		if got := count(v); got != want {
			t.Errorf("count(%v) = %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{0.04: "0.0", 9.87: "9.9", 99.5: "99.5", 1234.5: "1,234"} {
		if got := micros(v); got != want {
			t.Errorf("micros(%v) = %s, want %s", v, got, want)
		}
	}
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Errorf("median of three: %v", got)
	}
	if got := median([]float64{4, 1, 2, 3}); got != 2.5 {
		t.Errorf("median of four: %v", got)
	}
	for out, want := range map[string]string{
		"nginx version: nginx/1.22.1": "n 1.22.1", "varnishd (varnish-7.1.1 revision 7ce)": "n 7.1.1", "HAProxy version 2.6.12-1+deb12u4 2026/10/17": "n 2.6.12",
		"wrk debian/4.1.0-3+b2 [epoll]": "n 4.1.0", "h2load nghttp2/1.52.0": "n 1.52.0", "": "n",
	} {
		if got := version("n", out); got != want {
			t.Errorf("version(%q) = %s, want %s", out, got, want)
		}
	}
}
