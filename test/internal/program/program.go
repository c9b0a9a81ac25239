// SPDX-License-Identifier: Apache-2.0

// Package program runs the real programs for tests: Seafront's own and the servers
// that they are tested against.
//
// It promises that no process outlives its test, that a program which ends early
// fails the test with its log, and that programs see no OTEL_ or SEAFRONT_ variable
// of the caller. It builds nothing: the Makefile does, once.
package program

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopTimeout is how long a program may take to end by itself.
const stopTimeout = 30 * time.Second

// Spec says what to run.
type Spec struct {
	// Name stands in messages of the test.
	Name string
	// Path is the program; see Product and Tool.
	Path string
	Args []string
	// Env is added to the caller's environment.
	Env []string
	// Dir is the working directory. Default: that of the test.
	Dir string
	// Output is a file for what the program prints, for programs that print much and
	// are measured. Default: it is kept, see Log.
	Output string
	// Core is the only processor that the program may use, counted from 1. Default: all.
	Core int
	// BySignal says that SIGTERM ends the program without status 0.
	BySignal bool
}

// Process is a running program.
type Process struct {
	name  string
	cmd   *exec.Cmd
	log   *buffer
	ended chan struct{} // closed after err is set
	err   error
	fine  bool // the end was asked for

	bySignal, terminated bool
}

// Start runs a program until the test ends, then stops it by SIGTERM and reports a
// failure or a log of its death.
func Start(t testing.TB, s Spec) *Process {
	t.Helper()
	if s.Core > 0 { // taskset becomes the program, with its process id
		s.Args = append([]string{"--cpu-list", strconv.Itoa(s.Core - 1), s.Path}, s.Args...)
		s.Path = "taskset"
	}
	p := &Process{name: s.Name, cmd: exec.Command(s.Path, s.Args...), log: &buffer{}, ended: make(chan struct{}), bySignal: s.BySignal}
	p.cmd.Env, p.cmd.Dir = append(environment(), s.Env...), s.Dir
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if s.Output != "" {
		file, err := os.Create(s.Output)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close() // the program has its own
		p.cmd.Stdout, p.cmd.Stderr = file, file
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", s.Name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Resume(t)
		p.Stop(t)
		if t.Failed() {
			t.Logf("log of %s:\n%s", p.name, p.Log())
		}
	})
	return p
}

// Log is what the program has printed, at most the last mebibyte.
func (p *Process) Log() string { return p.log.String() }

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Stop ends the program by SIGTERM and waits. It fails the test when the program
// does not end with status 0.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	if p.fine {
		return
	}
	p.fine = true
	if !p.terminated {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended: then Wait tells how
	}
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // prints its goroutines
		<-p.ended
		t.Errorf("%s did not end within %v of SIGTERM:\n%s", p.name, stopTimeout, p.Log())
		return
	}
	if p.err != nil && !p.bySignal {
		t.Errorf("%s: %v:\n%s", p.name, p.err, p.Log())
	}
}

// Terminate sends SIGTERM and does not wait; Stop does that later, without another one.
func (p *Process) Terminate(t testing.TB) {
	t.Helper()
	p.terminated = true
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("end %s: %v", p.name, err)
	}
}

// Kill ends the program by SIGKILL, as a crash would, and waits.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.fine = true
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill %s: %v", p.name, err)
	}
	<-p.ended
}

// Pause freezes the program (SIGSTOP); Resume lets it go on.
func (p *Process) Pause(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatalf("pause %s: %v", p.name, err)
	}
}

// Resume lets a paused program go on, and does nothing to others.
func (p *Process) Resume(t testing.TB) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may have ended
}

// Product returns the path of one of Seafront's programs, from SEAFRONT_PROGRAMS or
// the repository's .build/bin.
func Product(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("SEAFRONT_PROGRAMS")
	if dir == "" {
		dir = filepath.Join(Root(), ".build", "bin")
	}
	return existing(t, filepath.Join(dir, name), "make programs")
}

// Tool returns the path of a program that the Makefile builds once, from
// SEAFRONT_BIN or the repository's .bin.
func Tool(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("SEAFRONT_BIN")
	if dir == "" {
		dir = filepath.Join(Root(), ".bin")
	}
	return existing(t, filepath.Join(dir, name), "make .bin/"+name)
}

func existing(t testing.TB, path, how string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; %s makes it", err, how)
	}
	return path
}

// Root is the top of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// environment is the caller's without what configures programs.
func environment() []string {
	var out []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "OTEL_") && !strings.HasPrefix(e, "SEAFRONT_") {
			out = append(out, e)
		}
	}
	return out
}

// buffer keeps the last part of what is written.
type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

const maxLog = 1 << 20

// Write is part of io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.b.Len() > maxLog {
		b.b.Next(b.b.Len() / 2)
	}
	return b.b.Write(p)
}

// String is what is kept.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
