// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"

	"github.com/seafront-cdn/seafront/cmd/seafront/internal/credentials"
)

type credentialsCommand struct {
	Dir     string        `help:"Directory, which gets one for each part. Only its owner gets in." default:".seafront/cluster" env:"SEAFRONT_CREDENTIALS" type:"path"`
	Edges   []string      `help:"Ids of edges." name:"edge" default:"edge-1,edge-2,edge-3" placeholder:"ID"`
	Members []string      `help:"Names of etcd's members in DNS." name:"etcd" default:"etcd-1,etcd-2,etcd-3" placeholder:"NAME"`
	Names   []string      `help:"Further names and addresses in the certificates of config and origin-registry." name:"name" placeholder:"HOST"`
	Valid   time.Duration `help:"How long certificates are good: an hour to a year." default:"720h"`
}

// Run is called by the parser.
func (c *credentialsCommand) Run(out io.Writer) error {
	err := credentials.Make(credentials.Config{Dir: c.Dir, Edges: c.Edges, Members: c.Members, Names: c.Names, Valid: c.Valid, Now: time.Now()})
	if err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	_, err = fmt.Fprintf(out, "certificates in %s are good until %s; run this again before that\n",
		c.Dir, time.Now().Add(c.Valid).UTC().Format(time.DateTime))
	return err
}
