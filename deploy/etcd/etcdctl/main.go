// SPDX-License-Identifier: Apache-2.0

// Command etcdctl is the etcd client of the command line, built from its Go module.
package main

import "go.etcd.io/etcd/etcdctl/v3/ctlv3"

func main() { ctlv3.MustStart() }
