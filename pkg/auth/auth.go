// SPDX-License-Identifier: Apache-2.0

// Package auth says who calls a gRPC server and whether they may: by a client
// certificate, by a token from a file, or by a JWT that a key of a JWKS file signed.
//
// It promises: what is not named is denied; credentials that are wrong are refused
// even where none would be needed less; files are read again when they change; a
// secret is kept as its hash only and appears in no error, log line or metric. It
// knows no method of its own: the rules are given to it.
package auth

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Role is what a caller may do. Of the last three each may do what the one before it
// may. An Edge may only do what a Rule says about edges. The zero Role may nothing.
type Role uint8

// The roles, by rising power.
const (
	_        Role = iota
	Edge          // what concerns one edge, its own
	Reader        // read everything that is no secret
	Operator      // change what is served
	Admin         // everything, secrets and the fleet included
)

// String is the role as files, tokens and logs name it.
func (r Role) String() string {
	switch r {
	case Edge:
		return "edge"
	case Reader:
		return "reader"
	case Operator:
		return "operator"
	case Admin:
		return "admin"
	default:
		return "none"
	}
}

// ParseRole is the role of that name.
func ParseRole(name string) (Role, error) {
	for r := Edge; r <= Admin; r++ {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("%.40q is no role; there are reader, operator, admin and edge", name)
}

// Kind is how a caller was authenticated.
type Kind uint8

// The kinds.
const (
	Nobody      Kind = iota // no credentials
	Certificate             // a client certificate
	Token                   // a token from the token file
	JWT                     // a JSON Web Token
	InProcess               // a listener in memory: another part of this process
)

// String is the kind as the audit log names it.
func (k Kind) String() string {
	switch k {
	case Certificate:
		return "certificate"
	case Token:
		return "token"
	case JWT:
		return "jwt"
	case InProcess:
		return "in_process"
	default:
		return "none"
	}
}

// Identity is an authenticated caller.
type Identity struct {
	Name string
	Role Role
	Kind Kind
}

// mostName bounds the name of a caller, in bytes: it stands in records and logs.
const mostName = 256

// checkName says what is wrong with the name of a caller.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the caller has no name")
	case len(name) > mostName:
		return fmt.Errorf("the name of the caller is longer than %d bytes", mostName)
	case !utf8.ValidString(name):
		return fmt.Errorf("the name of the caller is not UTF-8")
	}
	for _, r := range name {
		if !unicode.IsGraphic(r) {
			return fmt.Errorf("the name of the caller has a character that cannot be printed")
		}
	}
	return nil
}
