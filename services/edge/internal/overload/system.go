// SPDX-License-Identifier: Apache-2.0

package overload

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// resident is the memory that the process has, in bytes, by /proc of Linux.
func resident(system fs.FS) (int64, error) {
	b, err := fs.ReadFile(system, "proc/self/statm")
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0, fmt.Errorf("/proc/self/statm: %q", b)
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil || pages < 0 || pages > math.MaxInt64/int64(os.Getpagesize()) {
		return 0, fmt.Errorf("/proc/self/statm: %q", b)
	}
	return pages * int64(os.Getpagesize()), nil
}

// available is how much memory the process may have in bytes: that of the machine, or
// less where a control group says so.
func available(system fs.FS) (int64, error) {
	least, err := machine(system)
	if err != nil {
		least = math.MaxInt64
	}
	for _, name := range groupLimits(system) {
		if n, ok := limit(system, name); ok {
			least = min(least, n)
		}
	}
	if least == math.MaxInt64 {
		return 0, err
	}
	return least, nil
}

var errMemTotal = errors.New("/proc/meminfo: no MemTotal in kB")

func machine(system fs.FS) (int64, error) {
	b, err := fs.ReadFile(system, "proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			kilobytes, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil || kilobytes <= 0 || kilobytes > math.MaxInt64>>10 {
				return 0, errMemTotal
			}
			return kilobytes << 10, nil
		}
	}
	return 0, errMemTotal
}

// groupLimits names the files that may bound this process: of its control group and of
// each above it, in version 2, and in version 1 where that controls memory.
func groupLimits(system fs.FS) (names []string) {
	b, err := fs.ReadFile(system, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		root, file := "", ""
		switch {
		case f[0] == "0" && f[1] == "":
			root, file = "sys/fs/cgroup", "memory.max"
		case strings.Contains(","+f[1]+",", ",memory,"):
			root, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for at := path.Clean("/" + f[2]); ; at = path.Dir(at) {
			names = append(names, path.Join(root, at, file))
			if at == "/" {
				break
			}
		}
	}
	return names
}

// limit reads one of those files; "max", or none, is no limit.
func limit(system fs.FS, name string) (int64, bool) {
	b, err := fs.ReadFile(system, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil && n > 0
}
