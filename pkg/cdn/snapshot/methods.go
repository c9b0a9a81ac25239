// SPDX-License-Identifier: Apache-2.0

package snapshot

import configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"

// MethodSet is what a behavior says of request methods. The zero value allows none.
type MethodSet struct{ allowed, cached reach }

// Allows says whether viewers may use a method (D4.1, D4.2). Methods are told apart by
// case (RFC 9110 §9.1).
func (m MethodSet) Allows(method string) bool { return reachOf(method) <= m.allowed }

// Caches says whether answers to a method may be stored (D4.3).
func (m MethodSet) Caches(method string) bool { return reachOf(method) <= m.cached }

// reach is how far a set of methods reaches: each holds those before it.
type reach uint8

const (
	_ reach = iota
	reachGetHead
	reachOptions
	reachKnown // the seven of D4.1
	reachAny
	reachNever // in no set
)

// reachOf returns the first set that a method is in. CONNECT asks for a tunnel to
// somewhere else, and the answer to TRACE would show the viewer what the edge adds for
// the origin (RFC 9110 §9.3.6, §9.3.8).
func reachOf(method string) reach {
	switch method {
	case "GET", "HEAD":
		return reachGetHead
	case "OPTIONS":
		return reachOptions
	case "PUT", "POST", "PATCH", "DELETE":
		return reachKnown
	case "CONNECT", "TRACE", "":
		return reachNever
	}
	return reachAny
}

// reaches compiles a set; one without a number of its own is that of GET and HEAD.
func reaches(s configv1.MethodSet) reach {
	switch s {
	case configv1.MethodSet_METHOD_SET_GET_HEAD_OPTIONS:
		return reachOptions
	case configv1.MethodSet_METHOD_SET_ALL:
		return reachKnown
	case configv1.MethodSet_METHOD_SET_ANY:
		return reachAny
	}
	return reachGetHead
}
