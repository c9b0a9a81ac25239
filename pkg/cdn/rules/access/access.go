// SPDX-License-Identifier: Apache-2.0

// Package access holds what origin access controls may be. It is pure; whether a name
// is taken is looked at in the transaction.
package access

import (
	"unicode/utf8"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// Limits of access controls, in characters (C2.7, C2.140).
const (
	maxName        = 64
	maxDescription = 256
)

// CheckControl returns all that is wrong with an access control by itself (C2.140 to
// C2.143). Kinds of origins that are not offered are refused before.
func CheckControl(c *originv1.OriginAccessControl) []rules.Violation {
	var f rules.Findings
	f.Join(rules.CheckLabels("labels", c.GetLabels()))
	f.Join(rules.CheckUniqueName("display_name", c.GetDisplayName()))
	if n := len(c.GetDisplayName()); n > maxName {
		f.Add("display_name", rules.ReasonInvalid, "is %d characters long; want at most %d", n, maxName)
	}
	if n := utf8.RuneCountInString(c.GetDescription()); n > maxDescription {
		f.Add("description", rules.ReasonInvalid, "is %d characters long; want at most %d", n, maxDescription)
	}
	f.Required("signing_protocol", c.GetSigningProtocol())
	f.Required("signing_behavior", c.GetSigningBehavior())
	f.Required("origin_type", c.GetOriginType())
	return f.Found()
}
