// SPDX-License-Identifier: Apache-2.0

package httpcache

import "time"

// Delta is the argument of a directive that takes seconds (RFC 9111 §1.2.2), or
// the lifetime that an Expires header amounts to.
type Delta struct {
	// Value lies between 0 and MaxLifetime. An argument that is not a number of
	// seconds, or two that differ, count as 0: the answer is stale (D13.7).
	Value time.Duration
	// Present says that the directive or header occurs at all.
	Present bool
}

// add notes one more occurrence; ok is false when v could not be read.
func (d *Delta) add(v time.Duration, ok bool) {
	if !ok || (d.Present && d.Value != v) {
		v = 0
	}
	d.Value, d.Present = v, true
}

// Control is what a response's Cache-Control says, as far as the edge acts on it.
// The zero value says nothing.
type Control struct {
	NoStore bool
	// NoCache and Private are the directives without a field list. A list that
	// is empty or has something else than field names counts as no list.
	NoCache, Private bool
	// NoCacheFields and PrivateFields are the fields named by no-cache="…" and
	// private="…", as they were spelled: these stay out of the stored copy and
	// restrict nothing else (D13.8, D17.7).
	NoCacheFields, PrivateFields []string
	// MustRevalidate and ProxyRevalidate forbid stale answers (D13.8, RFC 9111
	// §5.2.2.2, §5.2.2.8).
	MustRevalidate, ProxyRevalidate bool
	// MustUnderstand takes the place of NoStore for a cache that knows what the status
	// asks of it (RFC 9111 §5.2.2.3).
	MustUnderstand bool
	// Public allows an answer to be kept that would not be otherwise (RFC 9111 §5.2.2.9).
	// To CloudFront semantics it means nothing (D13.8).
	Public bool
	// MaxAge and SMaxAge are the origin's lifetimes (D13.1).
	MaxAge, SMaxAge Delta
	// StaleIfError is for how long after its lifetime an answer may be used when the
	// origin fails; 0 forbids it (D13.23, D13.25).
	StaleIfError Delta
	// StaleWhileRevalidate is for how long after its lifetime an answer may be used
	// while it is refreshed (D13.24).
	StaleWhileRevalidate Delta
}

// Forbids says whether the answer is one that must not be reused without the
// origin: no-store, no-cache or private (D13.1, last row).
func (c Control) Forbids() bool {
	return c.NoStore || c.NoCache || c.Private
}

// ParseControl reads the lines of Cache-Control. It cannot fail: unknown
// directives are skipped, and what is malformed is read in the way that caches
// less. A quoted string does not reach over the end of its line.
func ParseControl(lines []string) Control {
	var c Control
	for _, line := range lines {
		for line != "" {
			var d directive
			d, line = nextDirective(line)
			c.apply(d)
		}
	}
	return c
}

func (c *Control) apply(d directive) {
	switch d.name {
	case "no-store":
		c.NoStore = true
	case "no-cache":
		restrict(d, &c.NoCache, &c.NoCacheFields)
	case "private":
		restrict(d, &c.Private, &c.PrivateFields)
	case "must-revalidate":
		c.MustRevalidate = true
	case "proxy-revalidate":
		c.ProxyRevalidate = true
	case "must-understand":
		c.MustUnderstand = true
	case "public":
		c.Public = true
	default:
		if delta := c.delta(d.name); delta != nil {
			delta.add(d.seconds())
		}
	}
}

// delta is where the seconds of the named directive belong, or nil.
func (c *Control) delta(name string) *Delta {
	switch name {
	case "max-age":
		return &c.MaxAge
	case "s-maxage":
		return &c.SMaxAge
	case "stale-if-error":
		return &c.StaleIfError
	case "stale-while-revalidate":
		return &c.StaleWhileRevalidate
	default:
		return nil
	}
}

// restrict notes a directive that holds either for the whole answer or for the
// fields that it names (D13.8).
func restrict(d directive, whole *bool, fields *[]string) {
	names := d.fieldNames()
	if len(names) == 0 {
		*whole = true
		return
	}
	*fields = append(*fields, names...)
}
