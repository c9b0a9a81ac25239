// SPDX-License-Identifier: Apache-2.0

package httpcache

// errorRule says under which conditions an error is cached (D18.1–D18.6). The
// zero value is an error that never is.
type errorRule struct {
	// cached: at all.
	cached bool
	// needsMaxAge: only when the origin sends max-age or s-maxage (D18.2).
	needsMaxAge bool
	// heedsControl: not when the origin sends no-store, no-cache or private
	// (D18.4).
	heedsControl bool
}

// errorRuleOf is the table of D18.1–D18.6.
func errorRuleOf(status int) errorRule {
	switch status {
	case 500, 502, 503, 504:
		return errorRule{cached: true}
	case 404, 414, 501:
		return errorRule{cached: true, heedsControl: true}
	case 400, 403, 405, 412, 415:
		return errorRule{cached: true, needsMaxAge: true}
	default:
		// 416 whatever its minimum (D18.5), all others by D18.6; 410 stands in
		// D18.4's exception but in no list of cached errors.
		return errorRule{}
	}
}

func (s *subject) assessError() Assessment {
	rule := errorRuleOf(s.Status)
	switch {
	case !rule.cached:
		return Assessment{Reason: ReasonStatus}
	case rule.needsMaxAge && !s.control.MaxAge.Present && !s.control.SMaxAge.Present:
		return Assessment{Reason: ReasonErrorWithoutMaxAge}
	case rule.heedsControl && s.control.Forbids():
		return Assessment{Reason: ReasonErrorForbidden}
	}
	// MaxTTL caps only what the origin says (D18.1).
	lifetime := max(ErrorTTL(s.Status, s.policy), min(s.origin.Value, bound(s.policy.Max)))
	if lifetime == 0 {
		return Assessment{Reason: ReasonErrorTTLZero}
	}
	age := originAge(s.Response)
	return Assessment{
		Reason:     ReasonStored,
		InitialAge: age,
		Lifetime:   lifetime,
		Retain:     max(lifetime-age, 0), // D18.10: never stale, afterwards one new try
	}
}
