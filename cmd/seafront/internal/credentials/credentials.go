// SPDX-License-Identifier: Apache-2.0

// Package credentials makes what the parts of a cluster know each other by:
// certificates of an authority of its own, tokens, and keys that sign tokens. It is
// for trials, and for those who have no authority yet.
//
// It promises that nothing that exists is lost: keys, tokens and authorities that are
// there stay, only certificates are issued anew. It hands nothing out and revokes
// nothing.
package credentials

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
)

// Config says for whom.
type Config struct {
	// Dir gets a directory for each part, with all that this part may see.
	Dir string
	// Edges are ids of edges, Members names of etcd's members in DNS.
	Edges, Members []string
	// Names are further names and addresses that config and origin-registry are called
	// by, beside their own, those with -1 to -9 behind them, and those of this machine.
	Names []string
	// Valid is how long certificates are good, from Now on. Authorities are for a year.
	Valid time.Duration
	Now   time.Time
}

// The directories beside those of edges and members.
const (
	authorityDir = "authority" // the keys that sign; nobody needs them but Make
	operatorDir  = "operator"  // of the person who calls
	rootDir      = "root"      // of etcd's administrator
)

// What JSON Web Tokens have to say, in the claims iss and aud. KeyID names their key.
const (
	Issuer   = "https://issuer.seafront.localhost"
	Audience = "seafront"
	KeyID    = "trial"
)

// label is a name in DNS that is also one of a directory.
var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// longestName is that of a name in DNS.
const longestName = 253

func (c Config) check() error {
	if c.Valid < time.Hour || c.Valid > authorityAge {
		return fmt.Errorf("certificates valid for %v: want an hour to %v", c.Valid, authorityAge)
	}
	taken := map[string]string{}
	for _, d := range []string{authorityDir, operatorDir, rootDir, keys.ConfigProgram, keys.RegistryProgram} {
		taken[d] = "a directory of Seafront's own"
	}
	var faults []error
	for _, group := range []struct {
		what  string
		names []string
	}{{"edge", c.Edges}, {"member of etcd", c.Members}} {
		for _, name := range group.names {
			if !label.MatchString(name) {
				faults = append(faults, fmt.Errorf("%s %q: want 1 to 63 of a-z, 0-9 and -, no - at its ends", group.what, name))
			}
			if other := taken[name]; other != "" {
				faults = append(faults, fmt.Errorf("%s %q: that is also %s", group.what, name, other))
			}
			taken[name] = "the name of another " + group.what
		}
	}
	for _, name := range c.Names {
		labels := strings.Split(name, ".")
		if net.ParseIP(name) == nil && (len(name) > longestName || slices.ContainsFunc(labels, func(l string) bool { return !label.MatchString(l) })) {
			faults = append(faults, fmt.Errorf("name %q: want a name in DNS, in lower case, or an address", name))
		}
	}
	return errors.Join(faults...)
}

// Make writes what is missing and issues all certificates anew. Keys of parts can be
// read by everybody who gets into Dir, which only its owner does, so that containers
// whose user is another see what is mounted for them; as root it gives them to that
// user instead.
func Make(c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, private); err != nil {
		return err
	}
	if err := os.Chmod(c.Dir, private); err != nil {
		return err
	}
	mine := folder{path: filepath.Join(c.Dir, authorityDir)}
	ca, err := mine.authority("ca", "Seafront trial", c.Now)
	if err != nil {
		return err
	}
	// Who has a certificate of a service is no member of etcd: those have an authority
	// of their own.
	peers, err := mine.authority("peers", "Seafront trial, etcd members", c.Now)
	if err != nil {
		return err
	}
	if err := c.members(ca, peers); err != nil {
		return err
	}
	// Root of etcd, and the person: "admin" is a name, not a role of etcd.
	if err := c.issue(c.part(rootDir), ca, "root", nil); err != nil {
		return err
	}
	if err := c.issue(c.person(), ca, adminName, nil); err != nil {
		return err
	}
	return c.servers(ca, mine)
}

// part is the directory of something that runs in a container.
func (c Config) part(name string) folder {
	return folder{path: filepath.Join(c.Dir, name), contained: true}
}

// person is the directory of whoever runs the cluster.
func (c Config) person() folder { return folder{path: filepath.Join(c.Dir, operatorDir)} }

// issue writes a certificate of the authority ca, which it writes beside it.
func (c Config) issue(f folder, ca *authority, name string, hosts []string) error {
	if err := f.write("ca.pem", ca.pem); err != nil {
		return err
	}
	return ca.issue(f, "cert.pem", "key.pem", name, hosts, c.Now, c.Valid)
}

func (c Config) members(ca, peers *authority) error {
	for _, name := range c.Members {
		f, hosts := c.part(name), []string{name, "localhost", "127.0.0.1", "::1"}
		if err := c.issue(f, ca, name, hosts); err != nil {
			return err
		}
		// Its health check asks it as a client that may nearly nothing.
		if err := ca.issue(f, "health-cert.pem", "health-key.pem", "health", nil, c.Now, c.Valid); err != nil {
			return err
		}
		if err := f.write("peer-ca.pem", peers.pem); err != nil {
			return err
		}
		if err := peers.issue(f, "peer-cert.pem", "peer-key.pem", name, hosts[:1], c.Now, c.Valid); err != nil {
			return err
		}
	}
	return nil
}

// servers are config, origin-registry and the edges. They trust the same callers.
func (c Config) servers(ca *authority, mine folder) error {
	tokens, err := c.tokens()
	if err != nil {
		return err
	}
	set, err := mine.signer("jwt.key")
	if err != nil {
		return err
	}
	serve := func(f folder, name string, hosts ...string) error {
		hosts = append(append(hosts, "localhost", "127.0.0.1", "::1"), c.Names...)
		if err := c.issue(f, ca, name, hosts); err != nil {
			return err
		}
		for name, text := range map[string][]byte{"tokens": tokens, "jwks.json": set, "roles": []byte(roles)} {
			if err := f.write(name, text); err != nil {
				return err
			}
		}
		return nil
	}
	const replicas = 9
	for _, program := range []string{keys.ConfigProgram, keys.RegistryProgram} {
		hosts := []string{program}
		for i := range replicas {
			hosts = append(hosts, fmt.Sprintf("%s-%d", program, i+1))
		}
		if err := serve(c.part(program), program, hosts...); err != nil {
			return err
		}
	}
	for _, id := range c.Edges {
		if err := serve(c.part(id), keys.EdgeProgram+"-"+id, id); err != nil {
			return err
		}
	}
	return nil
}

// split parts addresses from names.
func split(hosts []string) (names []string, addresses []net.IP) {
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			addresses = append(addresses, ip)
		} else {
			names = append(names, h)
		}
	}
	return names, addresses
}
