// SPDX-License-Identifier: Apache-2.0

//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/internal/program"
)

// commandTimeout bounds one command of the engine.
const commandTimeout = 3 * time.Minute

// compose runs docker-compose on a project of this checkout's own, with ports that
// the engine chooses.
type compose struct {
	project string
	command []string
	env     []string
	// credentials is the directory of what seafront credentials has made; foreign that
	// of another cluster.
	credentials, foreign string
}

// open prepares the project and removes what an earlier run has left. It fails the
// test when the engine does not answer.
func open(t *testing.T) *compose {
	t.Helper()
	if out, err := exec.Command("docker", "version", "--format", "{{.Server.Version}}").CombinedOutput(); err != nil {
		t.Fatalf("no Docker engine answers: %v\n%s", err, out)
	}
	c := &compose{project: fmt.Sprintf("seafront-test-%08x", crc32.ChecksumIEEE([]byte(program.Root())))}
	c.command = []string{"docker", "compose"}
	if path, err := exec.LookPath("docker-compose"); err == nil {
		c.command = []string{path}
	}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SEAFRONT_") && !strings.HasPrefix(e, "COMPOSE_") {
			c.env = append(c.env, e)
		}
	}
	// The engine mounts them: the checkout is one that it sees.
	made := filepath.Join(program.Root(), ".build", "test-cluster")
	c.credentials, c.foreign = filepath.Join(made, "own"), filepath.Join(made, "foreign")
	c.env = append(c.env, "COMPOSE_PROJECT_NAME="+c.project, "SEAFRONT_SAMPLE_PORT=0", "SEAFRONT_CREDENTIALS="+c.credentials)
	for _, name := range []string{"CONFIG_1", "CONFIG_2", "REGISTRY_1", "REGISTRY_2"} {
		c.env = append(c.env, "SEAFRONT_"+name+"_PORT=0")
	}
	for _, edge := range []string{"1", "2", "3"} {
		for _, name := range []string{"HTTP", "HTTPS", "ADMIN"} {
			c.env = append(c.env, "SEAFRONT_EDGE_"+edge+"_"+name+"_PORT=0")
		}
	}
	c.down(t)
	c.makeCredentials(t, made)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("containers:\n%s", c.output("ps"))
			t.Logf("logs:\n%s", c.output("logs", "--no-color", "--tail", "60"))
		}
		c.down(t)
		c.verifyGone(t)
	})
	return c
}

// makeCredentials makes new ones, good for as long as a test can take.
func (c *compose) makeCredentials(t *testing.T, made string) {
	t.Helper()
	if err := os.RemoveAll(made); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(made); err != nil {
			t.Error(err)
		}
	})
	for _, dir := range []string{c.credentials, c.foreign} {
		cmd := exec.Command(program.Product(t, "seafront"), "credentials", "--dir", dir, "--valid", "1h")
		cmd.Env = []string{}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("seafront credentials: %v\n%s", err, out)
		}
	}
}

// run runs a command of docker-compose.
func (c *compose) run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := c.exec(args...); err != nil {
		t.Fatalf("docker-compose %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (c *compose) output(args ...string) string {
	out, err := c.exec(args...)
	if err != nil {
		out += err.Error()
	}
	return out
}

func (c *compose) exec(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout) // also after the test has ended
	defer cancel()
	cmd := exec.CommandContext(ctx, c.command[0], append(c.command[1:len(c.command):len(c.command)], args...)...)
	cmd.Dir, cmd.Env = program.Root(), c.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// down removes containers, networks and volumes of this project, and no others.
func (c *compose) down(t *testing.T) {
	t.Helper()
	c.run(t, "down", "--volumes", "--remove-orphans", "--timeout", "15")
}

func (c *compose) verifyGone(t *testing.T) {
	t.Helper()
	label := "label=com.docker.compose.project=" + c.project
	for _, list := range [][]string{{"ps", "--all"}, {"network", "ls"}, {"volume", "ls"}} {
		out, err := exec.Command("docker", append(list, "--quiet", "--filter", label)...).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "" {
			t.Errorf("docker %s after down: %v %s", strings.Join(list, " "), err, out)
		}
	}
}

// address asks where a port of a service is published. The answer holds until the
// service is started again.
func (c *compose) address(t *testing.T, service, port string) string {
	t.Helper()
	out, err := c.exec("port", service, port)
	if err != nil {
		t.Fatalf("docker-compose port %s %s: %v\n%s", service, port, err, out)
	}
	return strings.TrimSpace(out)
}
