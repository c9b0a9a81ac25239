// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/etcd/embedded"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
)

// say runs a command and returns what it prints.
func say(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, &out)
	}
	return out.String()
}

func TestBackupAndRestore(t *testing.T) {
	m, dir := etcdtest.Start(t), t.TempDir()
	c, file := m.Client(t), filepath.Join(dir, "backup")
	epoch, err := records.NewEpoch(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.Put(t.Context(), keys.Resource(keys.Origins, "o"), "x")
	if err != nil {
		t.Fatal(err)
	}
	say(t, "backup", file, "--etcd-endpoints", m.Endpoint())
	data := filepath.Join(dir, "data")
	told := say(t, "restore", file, "--data", data)
	if err := run(t.Context(), []string{"restore", file, "--data", data}, new(bytes.Buffer)); err == nil {
		t.Error("a restore over data that exists")
	}
	server, err := embedded.Start(t.Context(), embedded.Config{Dir: filepath.Join(data, "etcd"), ClientAddr: "127.0.0.1:0", PeerAddr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	restored := server.Client()
	defer restored.Close()
	now, err := restored.Get(t.Context(), keys.Epoch)
	if err != nil || len(now.Kvs) != 1 || string(now.Kvs[0].Value) == epoch || !strings.Contains(told, string(now.Kvs[0].Value)) {
		t.Errorf("C8.88: epoch %v, %v, was %s, told %s", now, err, epoch, told)
	}
	o, err := restored.Get(t.Context(), keys.Resource(keys.Origins, "o"))
	if err != nil || len(o.Kvs) != 1 || o.Header.Revision <= made.Header.Revision+1000 {
		t.Errorf("C8.88: restored %v, %v", o, err)
	}
	again := say(t, "new-epoch", "--etcd-endpoints", server.Endpoint())
	if now, err = restored.Get(t.Context(), keys.Epoch); err != nil || !strings.Contains(again, string(now.Kvs[0].Value)) {
		t.Errorf("epoch %v, %v, told %s", now, err, again)
	}
}

func TestEtcdRoles(t *testing.T) {
	m := etcdtest.Start(t)
	told := say(t, "etcd-roles", "--etcd-endpoints", m.Endpoint(), "--edge", "ams1 a", "--dry-run")
	if !strings.Contains(told, "role and user edge-ams1 a\n") || !strings.Contains(told, "  writes "+keys.EdgeStatus("ams1 a")+"\n") {
		t.Errorf("dry run:\n%s", told)
	}
	c := m.Client(t)
	if users, err := c.UserList(t.Context()); err != nil || len(users.Users) != 0 {
		t.Errorf("a dry run has made %v, %v", users, err)
	}
	say(t, "etcd-roles", "--etcd-endpoints", m.Endpoint(), "--edge", "ams1 a")
	if users, err := c.UserList(t.Context()); err != nil || len(users.Users) != 4 {
		t.Errorf("users %v, %v", users, err)
	}
}

// TestCredentialsOfEtcd switches users on as docker-compose.yml does, with the files of
// seafront credentials.
func TestCredentialsOfEtcd(t *testing.T) {
	dir := t.TempDir()
	say(t, "credentials", "--dir", dir)
	file := func(part, name string) string { return filepath.Join(dir, part, name) }
	m := etcdtest.Start(t, func(c *embedded.Config) {
		c.TLS = &embedded.TLS{Cert: file("etcd-1", "cert.pem"), Key: file("etcd-1", "key.pem"), ClientCA: file("etcd-1", "ca.pem")}
	})
	as := func(part, prefix string) []string {
		return []string{"--etcd-endpoints", m.Endpoint(), "--etcd-ca", file(part, "ca.pem"), "--etcd-cert", file(part, prefix+"cert.pem"), "--etcd-key", file(part, prefix+"key.pem")}
	}
	enable := []string{"etcd-roles", "--edge", "edge-1,edge-2,edge-3", "--enable"}
	for want, args := range map[string][]string{
		"needs --etcd-cert": {"--etcd-endpoints", m.Endpoint()}, `is "config"`: as("config", ""), "no such file": as("nobody", ""),
	} {
		if err := run(t.Context(), append(enable[:4:4], args...), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("enabled with %v: %v, want %s", args, err, want)
		}
	}
	for range 2 {
		say(t, append(enable[:4:4], as("root", "")...)...)
	}
	for _, tt := range []struct {
		part, prefix, key string
		may               bool
	}{
		{"etcd-1", "health-", "health", true},
		{"etcd-1", "health-", keys.Epoch, false},
		{"etcd-1", "", keys.Epoch, false},
		{"edge-1", "", keys.Epoch, true},
		{"edge-1", "", keys.EdgeStatus("edge-2"), false},
		{"operator", "", keys.Epoch, false},
	} {
		c, err := etcd.Credentials{EtcdCA: file(tt.part, "ca.pem"), EtcdCert: file(tt.part, tt.prefix+"cert.pem"), EtcdKey: file(tt.part, tt.prefix+"key.pem")}.Dial([]string{m.Endpoint()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Get(t.Context(), tt.key); (err == nil) != tt.may {
			t.Errorf("%s%s reads %s: %v", tt.prefix, tt.part, tt.key, err)
		}
		_ = c.Close()
	}
}
