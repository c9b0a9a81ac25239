// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// targetedField is the field that origins address to caches like this one (RFC 9213
// §3.1).
const targetedField = "CDN-Cache-Control"

// controlOf returns what an origin says to this cache, and whether it does so by a
// targeted field: then neither Cache-Control nor Expires has a say (RFC 9213 §2.2).
func controlOf(h header.Fields, p Policy) (c Control, targeted bool) {
	if p.Semantics == HTTP && p.Targeted {
		if line, ok := h.Joined(targetedField, ", "); ok {
			if c, ok := parseTargeted(line); ok {
				return c, true
			}
		}
	}
	return ParseControl(h.Values("Cache-Control")), false
}

// parseTargeted reads a targeted field. It is a Structured Field, so one that is malformed
// anywhere, or empty, counts as absent (RFC 9213 §2.1, §2.2). A directive whose
// value is of another type than it has to be is read in the way that caches less.
func parseTargeted(line string) (Control, bool) {
	members, ok := parseDictionary(line)
	if !ok || len(members) == 0 {
		return Control{}, false
	}
	var c Control
	for _, m := range members {
		if m.value.kind == sfBoolean && !m.value.truth {
			continue // said not to hold
		}
		c.applyTargeted(m)
	}
	return c, true
}

func (c *Control) applyTargeted(m sfMember) {
	d := directive{name: m.key}
	switch {
	case m.value.kind == sfInteger && m.key != "no-cache" && m.key != "private":
		c.applySeconds(m.key, time.Duration(min(m.value.number, int64(MaxLifetime/time.Second)))*time.Second, m.value.number >= 0)
		return
	case m.value.kind == sfString && (m.key == "no-cache" || m.key == "private"):
		d.arg, d.valid = m.value.text, true
	}
	c.apply(d)
}

// applySeconds notes a directive with a number. Those that take none hold all the same.
func (c *Control) applySeconds(name string, v time.Duration, ok bool) {
	if delta := c.delta(name); delta != nil {
		delta.add(v, ok)
		return
	}
	c.apply(directive{name: name})
}

// sfMember is a member of a dictionary.
type sfMember struct {
	key   string
	value sfValue
}

// sfKind is the type of a value, as far as a cache cares. The zero value is one that no
// directive has.
type sfKind uint8

const (
	_ sfKind = iota
	sfInteger
	sfString
	sfBoolean
)

// sfValue is a value of a Structured Field.
type sfValue struct {
	kind   sfKind
	number int64
	text   string
	truth  bool
}

// parseDictionary reads a Dictionary (RFC 9651 §4.2.2). Of a key that comes twice the last
// one counts. Parameters are checked and dropped.
func parseDictionary(s string) ([]sfMember, bool) {
	p := sfParser{rest: strings.Trim(s, " ")}
	var members []sfMember
	for p.rest != "" {
		key, ok := p.key()
		if !ok {
			return nil, false
		}
		value := sfValue{kind: sfBoolean, truth: true}
		if p.skip('=') {
			value, ok = p.memberValue()
		}
		if !ok || !p.parameters() {
			return nil, false
		}
		members = setMember(members, sfMember{key, value})
		if !p.next() {
			return nil, false
		}
	}
	return members, true
}

func setMember(members []sfMember, m sfMember) []sfMember {
	for i := range members {
		if members[i].key == m.key {
			members[i] = m
			return members
		}
	}
	return append(members, m)
}
