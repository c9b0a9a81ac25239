// SPDX-License-Identifier: Apache-2.0

package etcdtest

import (
	"os"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seafront-cdn/seafront/pkg/etcd"
)

// right is a right in whatever package it is written down.
type right interface {
	~struct {
		From, To string
		Write    bool
	}
}

// Limited switches users on in a member and returns a client that has these rights and
// no more, beside one of root.
func Limited[R right](t testing.TB, m *Member, rights []R) (limited, root *clientv3.Client) {
	t.Helper()
	open := m.Client(t)
	var grants []etcd.Grant
	for _, r := range rights {
		grants = append(grants, etcd.Grant(r))
	}
	const program = "program"
	const password = "secret"
	ctx := t.Context()
	for _, user := range []string{program, "root"} {
		if _, err := open.UserAdd(ctx, user, password); err != nil {
			t.Fatal(err)
		}
	}
	if err := etcd.SetRole(ctx, open, program, grants); err != nil {
		t.Fatal(err)
	}
	if _, err := open.UserGrantRole(ctx, "root", "root"); err != nil {
		t.Fatal(err)
	}
	if _, err := open.AuthEnable(ctx); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	as := func(user string) *clientv3.Client {
		c, err := etcd.Credentials{EtcdUser: user, EtcdPasswordFile: file}.Dial([]string{m.Endpoint()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	return as(program), as("root")
}
