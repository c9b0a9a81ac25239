// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// responsePolicy is one row of the table. version counts the releases that changed it
// and makes its etag.
type responsePolicy struct {
	id, name          string
	version           int
	simple, preflight bool // of CORS
	security          bool
}

// responseTable is D27.c, by id.
func responseTable() []responsePolicy {
	return []responsePolicy{
		{"5cc3b908-e619-4b99-88e5-2cf7f45965bd", "CORS-With-Preflight", 1, true, true, false},
		{"60669652-455b-4ae9-85a4-c4c02393f86c", "SimpleCORS", 1, true, false, false},
		{"67f7725c-6f97-4210-82d7-5512b31e9d03", "SecurityHeadersPolicy", 1, false, false, true},
		{"e61eb60c-9c35-4d20-a928-2b84e02af89c", "CORS-and-SecurityHeadersPolicy", 1, true, false, true},
		{"eaab4381-ed33-4a86-88ca-d9558dc6cd63", "CORS-with-preflight-and-SecurityHeadersPolicy", 1, true, true, true},
	}
}

// ResponseHeadersPolicies returns new copies of all managed response headers policies,
// by id.
func ResponseHeadersPolicies() []*configv1.ResponseHeadersPolicy {
	var out []*configv1.ResponseHeadersPolicy
	for _, r := range responseTable() {
		out = append(out, r.message())
	}
	return out
}

func (p responsePolicy) message() *configv1.ResponseHeadersPolicy {
	out := &configv1.ResponseHeadersPolicy{
		Name:        "responseHeadersPolicies/" + p.id,
		Uid:         p.id,
		Etag:        etag(p.version),
		Type:        configv1.ResponseHeadersPolicy_TYPE_MANAGED,
		DisplayName: p.name,
	}
	if p.simple {
		out.Cors = &configv1.Cors{Origins: []string{"*"}}
	}
	if p.preflight {
		out.Cors.ExposeHeaders = []string{"*"}
		out.Cors.Methods = []configv1.Cors_Method{
			configv1.Cors_METHOD_DELETE, configv1.Cors_METHOD_GET, configv1.Cors_METHOD_HEAD, configv1.Cors_METHOD_OPTIONS,
			configv1.Cors_METHOD_PATCH, configv1.Cors_METHOD_POST, configv1.Cors_METHOD_PUT,
		}
	}
	if p.security {
		out.Security = &configv1.SecurityHeaders{
			ContentTypeOptions:      &configv1.ContentTypeOptions{Override: true},
			FrameOptions:            &configv1.FrameOptions{Value: configv1.FrameOptions_VALUE_SAMEORIGIN},
			ReferrerPolicy:          &configv1.ReferrerPolicy{Value: configv1.ReferrerPolicy_VALUE_STRICT_ORIGIN_WHEN_CROSS_ORIGIN},
			StrictTransportSecurity: &configv1.StrictTransportSecurity{MaxAge: durationpb.New(year)},
			XssProtection:           &configv1.XssProtection{Protection: true, ModeBlock: true},
		}
	}
	return out
}
