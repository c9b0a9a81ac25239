// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
)

// store is how a command reaches etcd.
type store struct {
	EtcdEndpoints []string `help:"Addresses of etcd, host:port or URL." default:"127.0.0.1:7420" env:"SEAFRONT_ETCD_ENDPOINTS"`
	etcd.Credentials
}

type rolesCommand struct {
	store
	Edges  []string `help:"Ids of edges that get users: their common names, or the names that they log in with, are edge- and the id." name:"edge" placeholder:"ID"`
	Enable bool     `help:"Then have etcd demand users of everybody. Needs --etcd-cert with the common name root, who may do everything from then on."`
	DryRun bool     `help:"Say what would be done and do nothing."`
}

// healthUser is who asks members for their health. The key that etcdctl reads for it,
// which nobody writes, has the same name.
const healthUser = "health"

// Run is called by the parser.
func (c *rolesCommand) Run(ctx context.Context, out io.Writer) error {
	if err := c.rootEnables(); err != nil {
		return err
	}
	client, err := c.Dial(c.EtcdEndpoints)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer client.Close()
	type role struct{ name, program, edge string }
	roles := []role{{keys.ConfigProgram, keys.ConfigProgram, ""}, {keys.RegistryProgram, keys.RegistryProgram, ""}}
	for _, id := range c.Edges {
		roles = append(roles, role{keys.EdgeProgram + "-" + id, keys.EdgeProgram, id})
	}
	for _, r := range roles {
		rights, err := keys.Rights(r.program, r.edge)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(out, "role and user %s\n", r.name)
		var grants []etcd.Grant
		for _, right := range rights {
			grants = append(grants, etcd.Grant(right))
			verb, to := "reads ", ""
			if right.Write {
				verb = "writes"
			}
			if right.To != "" {
				to = " to " + right.To
			}
			_, _ = fmt.Fprintf(out, "  %s %s%s\n", verb, right.From, to)
		}
		if c.DryRun {
			continue
		}
		if err := etcd.SetRole(ctx, client, r.name, grants); err != nil {
			return etcd.Explain(err)
		}
	}
	_, _ = fmt.Fprintf(out, "role and user %s, for etcdctl endpoint health\n  reads  %[1]s\n", healthUser)
	if !c.DryRun {
		if err := etcd.SetRole(ctx, client, healthUser, []etcd.Grant{{From: healthUser}}); err != nil {
			return etcd.Explain(err)
		}
	}
	if !c.Enable {
		return nil
	}
	_, _ = fmt.Fprintln(out, "etcd demands users")
	if c.DryRun {
		return nil
	}
	return etcd.Explain(etcd.DemandUsers(ctx, client))
}

// rootEnables keeps others from locking themselves out.
func (c *rolesCommand) rootEnables() error {
	if !c.Enable {
		return nil
	}
	if c.EtcdCert == "" {
		return errors.New("--enable needs --etcd-cert with the common name root")
	}
	pair, err := tls.LoadX509KeyPair(c.EtcdCert, c.EtcdKey)
	if err != nil {
		return fmt.Errorf("--etcd-cert, --etcd-key: %w", err)
	}
	if name := pair.Leaf.Subject.CommonName; name != "root" {
		return fmt.Errorf("--enable needs --etcd-cert with the common name root, that of %s is %q", c.EtcdCert, name)
	}
	return nil
}
