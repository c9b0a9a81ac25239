// SPDX-License-Identifier: Apache-2.0

package program

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tick is the unit of processor time in /proc/PID/stat.
const tick = 10 * time.Millisecond

// PID is the process id of the program.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Memory is how many bytes of the program are resident, and how many of these are not
// of files.
func (p *Process) Memory(t testing.TB) (resident, anonymous float64) {
	t.Helper()
	m := memoryOf(t, p.PID())
	return m["VmRSS"], m["RssAnon"]
}

// Held is how many resident bytes the program and its children hold that are not of
// files: anonymous ones, and those that they share (of tmpfs, too).
func (p *Process) Held(t testing.TB) (anonymous, shared float64) {
	t.Helper()
	for _, pid := range tree(p.PID()) {
		m := memoryOf(t, pid)
		anonymous += m["RssAnon"]
		shared += m["RssShmem"]
	}
	return anonymous, shared
}

// memoryOf is what /proc/PID/status says in kB, in bytes.
func memoryOf(t testing.TB, pid int) map[string]float64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for line := range strings.Lines(string(raw)) {
		name, rest, _ := strings.Cut(line, ":")
		number, isSize := strings.CutSuffix(strings.TrimSpace(rest), " kB")
		if n, err := strconv.ParseFloat(strings.TrimSpace(number), 64); isSize && err == nil {
			out[name] = n * 1024
		}
	}
	return out
}

// CPU is the processor time that the program and its children have used.
func (p *Process) CPU(t testing.TB) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, pid := range tree(p.PID()) {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(raw), ") ") // the name of the program may have spaces
		fields := strings.Fields(rest)
		if len(fields) < 13 {
			t.Fatalf("/proc/%d/stat: %s", pid, raw)
		}
		for _, f := range fields[11:13] { // utime and stime
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				t.Fatalf("/proc/%d/stat: %v", pid, err)
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// tree is a process and all below it.
func tree(pid int) []int {
	out := []int{pid}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return out
	}
	for _, list := range lists {
		raw, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for f := range strings.FieldsSeq(string(raw)) {
			if child, err := strconv.Atoi(f); err == nil {
				out = append(out, tree(child)...)
			}
		}
	}
	return out
}
