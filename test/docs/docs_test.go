// SPDX-License-Identifier: Apache-2.0

// Package docs runs the command lines of README.md and docs/grpcurl.md as they
// stand there, against the real program.
package docs

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// block is one fenced piece of shell, and what it prints.
type block struct {
	line   int
	script string
	want   []string
}

func TestReadme(t *testing.T) { run(t, "README.md") }

func TestWalkThrough(t *testing.T) { run(t, "docs/grpcurl.md") }

func run(t *testing.T, file string) {
	text, err := os.ReadFile(filepath.Join("..", "..", file))
	if err != nil {
		t.Fatal(err)
	}
	blocks := blocksOf(string(text))
	if len(blocks) == 0 {
		t.Fatalf("%s has no block of shell", file)
	}
	at := start(t)
	out := shell(t, adapt(t, blocks, at), filepath.Dir(at["token"]))
	for i, b := range blocks {
		_, rest, _ := strings.Cut(out, mark(i))
		rest, _, _ = strings.Cut(rest, mark(i+1))
		t.Logf("%s:%d\n%s", file, b.line, rest)
		for _, want := range b.want {
			_, after, ok := strings.Cut(rest, want)
			if !ok {
				t.Errorf("%s:%d: the block does not print %q, or not in this order", file, b.line, want)
				continue
			}
			rest = after
		}
	}
	if !strings.Contains(out, mark(len(blocks))) {
		t.Errorf("%s: the session ended early", file)
	}
}

func mark(i int) string { return fmt.Sprintf("@@ block %d @@\n", i) }

func blocksOf(text string) []block {
	var out []block
	var open *block
	for i, line := range strings.Split(text, "\n") {
		switch {
		case open == nil && line == "```sh":
			open = &block{line: i + 1}
		case open == nil:
		case line == "```":
			out, open = append(out, *open), nil
		case strings.HasPrefix(line, "#=> "):
			open.want = append(open.want, strings.TrimPrefix(line, "#=> "))
		default:
			open.script += line + "\n"
		}
	}
	return out
}

// adapt makes one script of all blocks, with the addresses of this run.
func adapt(t *testing.T, blocks []block, at map[string]string) string {
	var script strings.Builder
	for i, b := range blocks {
		fmt.Fprintf(&script, "echo '%s'\n%s", strings.TrimSpace(mark(i)), b.script)
	}
	fmt.Fprintf(&script, "echo '%s'\n", strings.TrimSpace(mark(len(blocks))))
	port := func(name string) string {
		_, p, err := net.SplitHostPort(at[name])
		if err != nil {
			t.Fatalf("address of %s: %v", name, err)
		}
		return p
	}
	return strings.NewReplacer(
		":7400", ":"+port("grpc"), ":8080", ":"+port("http"), ":8443", ":"+port("https"),
		":7480", ":"+port("admin"), "7490", port("sample"),
	).Replace(script.String())
}

// shell runs a script in a directory of its own, where .bin is the repository's and
// .seafront is data.
func shell(t *testing.T, script, data string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(data, filepath.Join(dir, ".seafront")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(environment(t, "SEAFRONT_BIN"), filepath.Join(dir, ".bin")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-u", "-o", "pipefail", "-c", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("shell: %v", err)
	}
	return string(out)
}

// start runs `seafront up` on ports of the system's choice until the test ends.
func start(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready.json")
	const free = "127.0.0.1:0"
	cmd := exec.Command(filepath.Join(environment(t, "SEAFRONT_PROGRAMS"), "seafront"), "up",
		"--data", filepath.Join(dir, "data"), "--ready-file", ready,
		"--grpc-listen", free, "--http-listen", free, "--https-listen", free, "--admin-listen", free,
		"--etcd-client-listen", free, "--etcd-peer-listen", free, "--sample-listen", free)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		if err := <-ended; err != nil {
			t.Errorf("seafront up: %v\n%s", err, log.String())
		}
	})
	deadline := time.After(time.Minute)
	for {
		var at map[string]string
		if b, err := os.ReadFile(ready); err == nil && json.Unmarshal(b, &at) == nil {
			return at
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("seafront up ended before it was ready: %v\n%s", err, log.String())
		case <-deadline:
			t.Fatalf("seafront up is not ready after a minute\n%s", log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func environment(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set; run this through make test", name)
	}
	return v
}
