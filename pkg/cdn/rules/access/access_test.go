// SPDX-License-Identifier: Apache-2.0

package access

import (
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

func TestControl(t *testing.T) {
	control := func(change func(*originv1.OriginAccessControl)) *originv1.OriginAccessControl {
		c := &originv1.OriginAccessControl{
			DisplayName: "bucket", SigningProtocol: originv1.OriginAccessControl_SIGNING_PROTOCOL_SIGV4,
			SigningBehavior: originv1.OriginAccessControl_SIGNING_BEHAVIOR_ALWAYS, OriginType: originv1.OriginAccessControl_ORIGIN_TYPE_S3,
		}
		change(c)
		return c
	}
	for _, tt := range []struct {
		name   string
		change func(*originv1.OriginAccessControl)
		want   string
	}{
		{"C2.140: smallest", func(*originv1.OriginAccessControl) {}, ""},
		{"C2.140: 64 characters", func(c *originv1.OriginAccessControl) { c.DisplayName = strings.Repeat("x", 64) }, ""},
		{"C2.140: 65 characters", func(c *originv1.OriginAccessControl) { c.DisplayName = strings.Repeat("x", 65) }, "display_name"},
		{"C2.9: a blank", func(c *originv1.OriginAccessControl) { c.DisplayName = "a b" }, "display_name"},
		{"C2.7: 256 characters", func(c *originv1.OriginAccessControl) { c.Description = strings.Repeat("ä", 256) }, ""},
		{"C2.7: 257 characters", func(c *originv1.OriginAccessControl) { c.Description = strings.Repeat("x", 257) }, "description"},
		{"C2.141: no protocol", func(c *originv1.OriginAccessControl) { c.SigningProtocol = 0 }, "signing_protocol"},
		{"C2.142: no behavior", func(c *originv1.OriginAccessControl) { c.SigningBehavior = 0 }, "signing_behavior"},
		{"C2.142: an unknown one", func(c *originv1.OriginAccessControl) { c.SigningBehavior = 99 }, "signing_behavior"},
		{"C2.143: no type", func(c *originv1.OriginAccessControl) { c.OriginType = 0 }, "origin_type"},
	} {
		var got []string
		for _, v := range CheckControl(control(tt.change)) {
			got = append(got, v.Field)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: violations at %q, want %q", tt.name, got, tt.want)
		}
	}
	lambda := control(func(c *originv1.OriginAccessControl) { c.OriginType = originv1.OriginAccessControl_ORIGIN_TYPE_LAMBDA })
	if vs := rules.Unsupported(lambda); len(vs) != 1 || vs[0].Field != "origin_type" {
		t.Errorf("C2.143: a type that is not offered: %v", vs)
	}
}
