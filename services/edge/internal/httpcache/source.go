// SPDX-License-Identifier: Apache-2.0

package httpcache

import "time"

// Source says what gave a stored answer its lifetime. The zero value is unknown.
type Source uint8

// The sources.
const (
	_ Source = iota
	// SourceSMaxAge and SourceMaxAge are directives of Cache-Control.
	SourceSMaxAge
	SourceMaxAge
	// SourceTargeted is a directive of CDN-Cache-Control (RFC 9213).
	SourceTargeted
	// SourceExpires is Expires less Date.
	SourceExpires
	// SourceDefault, SourceMin and SourceMax are the TTLs of the cache policy: for want of
	// anything from the origin, and where what the origin says is below or above.
	SourceDefault
	SourceMin
	SourceMax
	// SourceError is the error caching minimum of the distribution (D18.1).
	SourceError
	// SourceHeuristic is a tenth of the time since Last-Modified (RFC 9111 §4.2.2).
	SourceHeuristic
	// SourceNoCache is no-cache: validated each time.
	SourceNoCache
	// SourceVaryAny is "Vary: *": fetched each time (D13.18).
	SourceVaryAny
	// SourceNothing: nothing gives it a lifetime.
	SourceNothing
)

// String returns words for people.
func (s Source) String() string {
	switch s {
	case SourceSMaxAge:
		return "s-maxage"
	case SourceMaxAge:
		return "max-age"
	case SourceTargeted:
		return targetedField
	case SourceExpires:
		return "Expires"
	case SourceDefault:
		return "DefaultTTL"
	case SourceMin:
		return "MinTTL"
	case SourceMax:
		return "MaxTTL"
	case SourceError:
		return "error caching minimum"
	case SourceHeuristic:
		return "Last-Modified"
	case SourceNoCache:
		return "no-cache"
	case SourceVaryAny:
		return "Vary: *"
	case SourceNothing:
		return "nothing"
	default:
		return "unknown"
	}
}

// LifetimeSource says what gives the answer r its lifetime by p, and that lifetime, for an
// answer that Assess finds storable. Where two say the same the origin is named, not the
// policy. Of an answer that was stored under another policy it says what would hold now.
func LifetimeSource(r Response, p Policy) (Source, time.Duration) {
	s := newSubject(r, p)
	switch {
	case p.Semantics == HTTP:
		return s.sourceHTTP(), s.lifetimeHTTP()
	case s.Status < firstError:
		return s.sourceSuccess(), s.successLifetime()
	}
	least, said := ErrorTTL(s.Status, p), min(s.origin.Value, bound(p.Max))
	switch {
	case least > said:
		return SourceError, least
	case said < s.origin.Value:
		return SourceMax, said
	case !s.origin.Present:
		return SourceError, least
	default:
		return s.sourceOrigin(), said
	}
}

// sourceSuccess goes along successLifetime.
func (s *subject) sourceSuccess() Source {
	least, most := bound(s.policy.Min), bound(s.policy.Max)
	switch {
	case s.alwaysRefetched():
		return SourceVaryAny
	case s.control.Forbids() && least == 0:
		return SourceNoCache
	case s.control.Forbids():
		return SourceMin
	case s.origin.Present && s.origin.Value < least:
		return SourceMin
	case s.origin.Present && s.origin.Value > most:
		return SourceMax
	case s.origin.Present:
		return s.sourceOrigin()
	case bound(s.policy.Default) < least:
		return SourceMin
	default:
		return SourceDefault
	}
}

// sourceHTTP goes along lifetimeHTTP.
func (s *subject) sourceHTTP() Source {
	most := bound(s.policy.Max)
	under := func(source Source, d time.Duration) Source {
		if d > most {
			return SourceMax
		}
		return source
	}
	switch {
	case s.control.NoCache:
		return SourceNoCache
	case s.origin.Present:
		return under(s.sourceOrigin(), s.origin.Value)
	case s.errorLifetime() > 0:
		return under(SourceError, s.errorLifetime())
	case !s.control.Public && !heuristicallyCacheable(s.Status):
		return SourceNothing
	case s.policy.Default > 0 && s.Status < firstError:
		return under(SourceDefault, s.policy.Default)
	case s.policy.Heuristic && s.heuristic() > 0:
		return under(SourceHeuristic, s.heuristic())
	default:
		return SourceNothing
	}
}

// sourceOrigin goes along originLifetime, of an answer that has a lifetime by it.
func (s *subject) sourceOrigin() Source {
	_, targeted := controlOf(s.Header, s.policy)
	switch {
	case targeted:
		return SourceTargeted
	case s.control.SMaxAge.Present:
		return SourceSMaxAge
	case s.control.MaxAge.Present:
		return SourceMaxAge
	default:
		return SourceExpires
	}
}
