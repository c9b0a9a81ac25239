// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/test/internal/program"
)

// load reads docker-compose.yml as Docker Compose v2 does.
func load(t *testing.T, env string, profiles ...string) *types.Project {
	t.Helper()
	root := program.Root()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root), cli.WithEnvFiles(filepath.Join(root, env)), cli.WithDotEnv, cli.WithDefaultProfiles(profiles...))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatalf("Compose v2 refuses docker-compose.yml: %v", err)
	}
	return p
}

func TestComposeV2TakesTheFile(t *testing.T) {
	p := load(t, ".env")
	if p.Name != "seafront" {
		t.Errorf("project %q", p.Name)
	}
	want := []string{
		"config-1", "config-2", "edge-1", "edge-2", "edge-3", "etcd-1", "etcd-2", "etcd-3",
		"etcd-users", "origin-registry-1", "origin-registry-2", "sample",
	}
	if diff := gocmp.Diff(want, slices.Sorted(slices.Values(p.ServiceNames()))); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	pops := map[string]bool{}
	for name, s := range p.Services {
		if s.Build == nil {
			t.Errorf("%s: its image would have to be pulled", name)
		}
		if s.HealthCheck == nil && name != "etcd-users" { // which ends
			t.Errorf("%s: no health check", name)
		}
		if len(s.DependsOn) != 0 {
			t.Errorf("%s waits for %v; every part starts by itself", name, s.GetDependencies())
		}
		if e := s.Environment["OTEL_EXPORTER_OTLP_ENDPOINT"]; e != nil && *e != "" {
			t.Errorf("%s sends traces to %s although nobody asked for it", name, *e)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes port %s on %q", name, port.Published, port.HostIP)
			}
			if slices.Contains([]string{"7400", "8080", "8443", "7480", "7420", "7421", "7490"}, port.Published) {
				t.Errorf("%s publishes port %s, which make up uses", name, port.Published)
			}
		}
		if pop := s.Environment["SEAFRONT_EDGE_POP"]; pop != nil {
			pops[*pop] = true
		}
	}
	if len(pops) != 2 {
		t.Errorf("POPs %v, want two", pops)
	}
}

func TestEtcdSettings(t *testing.T) {
	want := map[string]string{
		"ETCD_MAX_TXN_OPS": "1024", "ETCD_MAX_REQUEST_BYTES": "1572864", "ETCD_QUOTA_BACKEND_BYTES": "8589934592",
		"ETCD_AUTO_COMPACTION_MODE": "periodic", "ETCD_AUTO_COMPACTION_RETENTION": "15m",
	}
	for name, file := range map[string]string{
		"CERT_FILE": "cert.pem", "KEY_FILE": "key.pem", "TRUSTED_CA_FILE": "ca.pem",
		"PEER_CERT_FILE": "peer-cert.pem", "PEER_KEY_FILE": "peer-key.pem", "PEER_TRUSTED_CA_FILE": "peer-ca.pem",
	} {
		want["ETCD_"+name] = "/credentials/" + file
	}
	want["ETCD_CLIENT_CERT_AUTH"], want["ETCD_PEER_CLIENT_CERT_AUTH"] = "true", "true"
	members := 0
	for name, s := range load(t, ".env").Services {
		if s.Environment["ETCD_NAME"] == nil {
			continue
		}
		members++
		for k, v := range want {
			if got := s.Environment[k]; got == nil || *got != v {
				t.Errorf("C8.100: %s of %s is not %s", k, name, v)
			}
		}
	}
	if members != 3 {
		t.Errorf("C8.100: %d members", members)
	}
}

// TestNothingIsInsecure holds that each part sees its own credentials and no others.
func TestNothingIsInsecure(t *testing.T) {
	directories := map[string]string{"config-1": "config", "config-2": "config", "origin-registry-1": "origin-registry", "origin-registry-2": "origin-registry", "etcd-users": "root"}
	for name, s := range load(t, ".env").Services {
		if _, ok := s.Environment["SEAFRONT_INSECURE"]; ok {
			t.Errorf("%s: SEAFRONT_INSECURE", name)
		}
		for k, v := range s.Environment {
			if v != nil && strings.HasPrefix(*v, "http://") && strings.HasSuffix(k, "_URLS") && k != "ETCD_LISTEN_METRICS_URLS" {
				t.Errorf("%s: %s is %s", name, k, *v)
			}
		}
		want := cmp.Or(directories[name], name)
		for _, v := range s.Volumes {
			if v.Target == "/credentials" && (filepath.Base(v.Source) != want || !v.ReadOnly) {
				t.Errorf("%s mounts %s, read only: %v", name, v.Source, v.ReadOnly)
			}
		}
	}
}

func TestObservability(t *testing.T) {
	p := load(t, "deploy/observability.env")
	for _, name := range []string{"otel-collector", "jaeger"} {
		if _, ok := p.Services[name]; !ok {
			t.Errorf("deploy/observability.env does not start %s", name)
		}
	}
	for _, name := range []string{"config-1", "origin-registry-2", "edge-3"} {
		if e := p.Services[name].Environment["OTEL_EXPORTER_OTLP_ENDPOINT"]; e == nil || *e != "http://otel-collector:4317" {
			t.Errorf("%s sends no traces", name)
		}
	}
}
