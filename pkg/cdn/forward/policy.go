// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"slices"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/computed"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Mode says how the names of headers in a Policy are meant (D11.22).
type Mode uint8

// The modes. The zero value is that of None.
const (
	None             Mode = iota // no header
	Listed                       // those that are named
	AllViewer                    // every one that the viewer sent
	AllViewerAndMore             // those, and the named ones that the edge computes
	AllExcept                    // every one that the viewer sent but those that are named
)

// Policy is an origin request policy in the form that edges serve from. It is immutable.
// The zero value, and nil, add nothing to the key.
type Policy struct {
	mode           Mode
	names          []string
	computed       []string // among names, where the mode sends them
	cookies, query cachekey.Selection
}

// NewPolicy prepares a policy and keeps none of the slices.
func NewPolicy(mode Mode, names []string, cookies, query cachekey.Selection) Policy {
	p := Policy{mode: mode, names: slices.Clone(names), cookies: cookies.Prepare(), query: query.Prepare()}
	if mode == Listed || mode == AllViewerAndMore {
		for _, name := range p.names {
			if computed.Is(name) {
				p.computed = append(p.computed, name)
			}
		}
	}
	return p
}

// Cookies says whether the policy sends any cookie (D14.4, D14.9, D17.6).
func (p *Policy) Cookies() bool { return p != nil && !p.cookies.Nothing() }

// Forwards says whether the policy sends a header of that name, the viewer's or one that
// the edge computes, so that answers may vary by it (D13.19).
func (p *Policy) Forwards(name string) bool {
	if p == nil {
		return false
	}
	if computed.Is(name) {
		return among(p.computed, name)
	}
	return kindOf(name) != hop && p.includes(name)
}

// includes says whether the policy sends a header of the viewer.
func (p *Policy) includes(name string) bool {
	switch p.mode {
	case Listed:
		return among(p.names, name)
	case AllViewer, AllViewerAndMore:
		return true
	case AllExcept:
		return !among(p.names, name)
	}
	return false
}

func among(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return header.Equal(n, name) })
}
