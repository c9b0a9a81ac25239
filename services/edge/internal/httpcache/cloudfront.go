// SPDX-License-Identifier: Apache-2.0

package httpcache

import "time"

// assessCloudFront judges by D13, D14 and D18.
func (s *subject) assessCloudFront() Assessment {
	var a Assessment
	if s.Status >= firstError {
		a = s.assessError()
	} else {
		a = s.assessSuccess()
	}
	a.Storable = a.Reason == ReasonStored
	a.Shareable = s.shareable(a)
	return a
}

func (s *subject) assessSuccess() Assessment {
	if reason := s.successReason(); reason != ReasonStored {
		return Assessment{Reason: reason}
	}
	return Assessment{
		Reason:      ReasonStored,
		InitialAge:  originAge(s.Response),
		Lifetime:    s.successLifetime(),
		Retain:      bound(s.policy.Max), // D13.26
		Windows:     s.windows(),
		NoCondition: s.alwaysRefetched() || s.policy.CookiesForwarded, // D13.18, D14.4
	}
}

func (s *subject) successReason() Reason {
	switch {
	case s.Status == statusPartial:
		return ReasonPartial
	case s.Status == statusNotModified:
		return ReasonNotSelfContained
	case !successCached(s.Status):
		return ReasonStatus
	case (s.Status == 307 || s.Status == 308) && !s.Header.Has("Cache-Control"):
		return ReasonRedirectWithoutControl // D13.12
	case s.policy.Min > 0:
		return ReasonStored // D13.1, D13.2: MinTTL beats no-store and private
	case s.control.NoStore:
		return ReasonNoStore
	case s.control.Private:
		return ReasonPrivate
	default:
		// no-cache too: it may be kept as long as the origin is asked each time
		// (RFC 9111 §5.2.2.4).
		return ReasonStored
	}
}

// successCached lists the statuses below 400 that follow the table of D13.1
// (D13.12).
func successCached(status int) bool {
	switch status {
	case 301, 302, 303, 307, 308:
		return true
	default:
		return status >= 200 && status < 300 && status != statusPartial
	}
}

// successLifetime is the table of D13.1.
func (s *subject) successLifetime() time.Duration {
	least, most := bound(s.policy.Min), bound(s.policy.Max)
	switch {
	case s.alwaysRefetched():
		return 0
	case s.control.Forbids():
		return least
	case s.origin.Present:
		return max(min(s.origin.Value, most), least)
	default:
		// MaxTTL does not apply to DefaultTTL, and Last-Modified gives no
		// lifetime (D13.4).
		return max(bound(s.policy.Default), least)
	}
}

// windows are D13.21 to D13.27: what the directives say is bounded by MaxTTL, and
// without stale-if-error an answer may be used stale as long as it is there.
func (s *subject) windows() Windows {
	if s.control.MustRevalidate || s.control.ProxyRevalidate {
		return Windows{}
	}
	failing := time.Duration(MaxLifetime)
	if d := s.control.StaleIfError; d.Present {
		failing = min(d.Value, bound(s.policy.Max))
	}
	return Windows{Refreshing: s.refreshing(), Unreachable: failing, Failing: failing}
}

// refreshing is the window of D13.24.
func (s *subject) refreshing() time.Duration {
	if s.alwaysRefetched() {
		return 0 // D13.18
	}
	return min(s.control.StaleWhileRevalidate.Value, bound(s.policy.Max))
}

// alwaysRefetched: with "Vary: *" every request goes to the origin, unless MinTTL
// overrides it (D13.18).
func (s *subject) alwaysRefetched() bool {
	return s.varyAny && s.policy.Min == 0
}

// shareable applies D14.8–D14.11 to requests that waited for this answer.
func (s *subject) shareable(a Assessment) bool {
	switch {
	case s.policy.CookiesForwarded:
		return false // D14.9
	case s.Status < 200 || s.Status == statusPartial || s.Status == statusNotModified:
		return false // answers this request only
	case a.Lifetime > 0:
		return true // the store would give it to them anyway; errors too (D14.12, D18.4)
	case s.policy.Min > 0:
		return true // D14.11
	case s.control.Forbids():
		return false // D14.10
	case s.origin.Present && s.origin.Value == 0:
		return false // D14.10; a past Expires is the same as max-age=0 (D13.6)
	default:
		return !s.varyAny // D13.18
	}
}
