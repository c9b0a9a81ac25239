// SPDX-License-Identifier: Apache-2.0

package httpcache

import "time"

const (
	// keptStale is for how long after its lifetime an answer is kept under HTTP
	// semantics to be validated, or used when the origin is not there.
	keptStale = 30 * 24 * time.Hour
	// maxHeuristic bounds what Last-Modified gives (RFC 9111 §4.2.2): after a day the
	// origin is asked, however old a thing is.
	maxHeuristic = 24 * time.Hour
	// heuristicPart of the time since the last change is the heuristic lifetime.
	heuristicPart = 10
)

// assessHTTP judges by RFC 9111, for a shared cache.
func (s *subject) assessHTTP(req Request) Assessment {
	vary := VaryOf(s.Header).beyond(s.policy.Key)
	age, lifetime := correctedAge(s.Response), s.lifetimeHTTP()
	reason := s.reasonHTTP(req, vary)
	if reason == ReasonStored && age >= lifetime && !s.usefulStale() {
		reason = ReasonStale
	}
	if reason != ReasonStored {
		return Assessment{Reason: reason, Vary: vary}
	}
	w := s.windowsHTTP()
	return Assessment{
		Storable:   true,
		Reason:     ReasonStored,
		InitialAge: age,
		Lifetime:   lifetime,
		Retain:     bound(lifetime + max(keptStale, w.Refreshing, s.control.StaleIfError.Value)),
		Windows:    w,
		Vary:       vary,
		// A request that waited may have what could be reused for it (RFC 9111 §4).
		Shareable: age < lifetime,
	}
}

// reasonHTTP is RFC 9111 §3, with §3.5 and §4.1.
func (s *subject) reasonHTTP(req Request, vary Vary) Reason {
	c := &s.control
	switch {
	case s.Status < firstFinal:
		return ReasonStatus
	case s.Status == statusPartial:
		return ReasonPartial
	case s.Status == statusNotModified:
		return ReasonNotSelfContained
	case !keptByAnyone(s.Status), c.MustUnderstand && !understood(s.Status):
		return ReasonStatus
	case c.NoStore && !c.MustUnderstand: // RFC 9111 §5.2.2.3, §5.2.2.5
		return ReasonNoStore
	case req.NoStore:
		return ReasonRequestNoStore
	case c.Private:
		return ReasonPrivate
	case req.Authorized && !c.Public && !c.MustRevalidate && !c.SMaxAge.Present:
		return ReasonAuthorization // RFC 9111 §3.5
	case vary == VaryAny:
		return ReasonVary // it would match no request (RFC 9111 §4.1)
	case s.origin.Present, c.Public, heuristicallyCacheable(s.Status), s.errorLifetime() > 0:
		return ReasonStored
	default:
		return ReasonStatus
	}
}

// lifetimeHTTP is RFC 9111 §4.2.1 and §4.2.2. A cache may use an answer for less time
// than its origin says, never for more.
func (s *subject) lifetimeHTTP() time.Duration {
	most := bound(s.policy.Max)
	switch {
	case s.control.NoCache:
		return 0 // RFC 9111 §5.2.2.4: validated each time
	case s.origin.Present:
		return min(s.origin.Value, most)
	case s.errorLifetime() > 0:
		return min(s.errorLifetime(), most)
	case !s.control.Public && !heuristicallyCacheable(s.Status):
		return 0
	case s.policy.Default > 0 && s.Status < firstError:
		return min(s.policy.Default, most) // errors have errorLifetime
	case s.policy.Heuristic:
		return min(s.heuristic(), most)
	default:
		return 0
	}
}

// errorLifetime is what the distribution gives errors of this status.
func (s *subject) errorLifetime() time.Duration {
	if s.Status < firstError {
		return 0
	}
	return ErrorTTL(s.Status, s.policy)
}

// heuristic is the lifetime that Last-Modified suggests.
func (s *subject) heuristic() time.Duration {
	modified, ok := lastModified(s.Response)
	if !ok {
		return 0
	}
	return min(bound(dateOf(s.Response).Sub(modified))/heuristicPart, maxHeuristic)
}

// usefulStale says whether there is a use for an answer that is stale already: it can
// be validated, or the origin wants it used.
func (s *subject) usefulStale() bool {
	return s.Header.Get("ETag") != "" || s.Header.Get("Last-Modified") != "" ||
		s.control.StaleIfError.Value > 0 || s.control.StaleWhileRevalidate.Value > 0
}

// windowsHTTP is RFC 9111 §4.2.4 with RFC 5861. s-maxage forbids stale answers as
// proxy-revalidate does (RFC 9111 §5.2.2.10), but for those that the same origin allows
// in so many words.
func (s *subject) windowsHTTP() Windows {
	c := &s.control
	if c.NoCache || c.MustRevalidate || c.ProxyRevalidate || s.Status >= firstServerError {
		return Windows{}
	}
	w := Windows{
		Refreshing:  c.StaleWhileRevalidate.Value,
		Failing:     c.StaleIfError.Value,
		Unreachable: c.StaleIfError.Value,
	}
	if c.SMaxAge.Present {
		return w
	}
	w.Asked = MaxLifetime
	if !c.StaleIfError.Present {
		w.Unreachable = MaxLifetime
	}
	return w
}

// heuristicallyCacheable lists the statuses whose answers may be kept although they say
// nothing about it (RFC 9110 §15.1).
func heuristicallyCacheable(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	default:
		return false
	}
}

// keptByAnyone leaves out the statuses that are never kept: those that RFC 6585 and
// RFC 8470 §5.2 forbid, and those that answer what a request has beyond its key: its
// conditions, its range, its connection.
func keptByAnyone(status int) bool {
	switch status {
	case 407, 408, 412, 416, 417, 421, 425, 426, 428, 429, 431, 511:
		return false
	default:
		return true
	}
}

// understood says whether the cache knows what the status asks of caches (RFC 9111
// §5.2.2.3): those of RFC 9110 §15.
func understood(status int) bool {
	switch {
	case status >= 200 && status <= 205, status >= 300 && status <= 303, status == 307, status == 308:
		return true
	case status >= 400 && status <= 417, status == 421, status == 422, status == 426:
		return true
	default:
		return status >= 500 && status <= 505
	}
}
