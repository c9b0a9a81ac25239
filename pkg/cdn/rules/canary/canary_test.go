// SPDX-License-Identifier: Apache-2.0

package canary

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

type policy = configv1.ContinuousDeploymentPolicy

func weight(fraction float64, sticky ...time.Duration) *policy {
	w := &configv1.ContinuousDeploymentPolicy_Weight{Fraction: fraction}
	if len(sticky) == 2 {
		w.Stickiness = &configv1.ContinuousDeploymentPolicy_Stickiness{IdleTtl: durationpb.New(sticky[0]), MaximumTtl: durationpb.New(sticky[1])}
	}
	return &policy{StagingDistribution: "distributions/E1", Traffic: &configv1.ContinuousDeploymentPolicy_Weight_{Weight: w}}
}

func header(name, value string) *policy {
	h := &configv1.ContinuousDeploymentPolicy_Header{Name: name, Value: value}
	return &policy{StagingDistribution: "distributions/E1", Traffic: &configv1.ContinuousDeploymentPolicy_Header_{Header: h}}
}

func TestPolicy(t *testing.T) {
	noTTL := weight(0)
	noTTL.GetWeight().Stickiness = &configv1.ContinuousDeploymentPolicy_Stickiness{}
	for _, tt := range []struct {
		name string
		p    *policy
		want string // the fields of violations
	}{
		{"C2.156: no traffic", &policy{StagingDistribution: "distributions/E1"}, ""},
		{"C2.154: no staging distribution", &policy{}, "staging_distribution"},
		{"C2.154: a host name", &policy{StagingDistribution: "d1.example.net"}, "staging_distribution"},
		{"C2.367: weight 0", weight(0), ""},
		{"C2.367: weight 0.15", weight(0.15), ""},
		{"C2.157: weight 0.1", weight(0.1), ""},
		{"C9.14: a hair less", weight(math.Nextafter(0.15, 0)), ""},
		{"C9.14: a hair more", weight(math.Nextafter(0.15, 1)), "weight.fraction"},
		{"C2.367: weight 0.16", weight(0.16), "weight.fraction"},
		{"C2.367: weight -0.1", weight(-0.1), "weight.fraction"},
		{"C9.14: no number", weight(math.NaN()), "weight.fraction"},
		{"C9.14: infinite", weight(math.Inf(-1)), "weight.fraction"},
		{"C9.14: smallest", weight(math.SmallestNonzeroFloat64), ""},
		{"C9.14: a percentage", weight(5), "weight.fraction"},
		{"C2.158: 300 s and 3600 s", weight(0.1, 300*time.Second, time.Hour), ""},
		{"C2.367: idle 299 s", weight(0.1, 299*time.Second, time.Hour), "weight.stickiness.idle_ttl"},
		{"C2.367: maximum 3601 s", weight(0.1, 300*time.Second, 3601*time.Second), "weight.stickiness.maximum_ttl"},
		{"C2.367: idle above maximum", weight(0.1, 600*time.Second, 300*time.Second), "weight.stickiness.idle_ttl"},
		{"C6.13: half a second", weight(0.1, 300500*time.Millisecond, time.Hour), "weight.stickiness.idle_ttl"},
		{"C2.158: none set", noTTL, "weight.stickiness.idle_ttl weight.stickiness.maximum_ttl"},
		{"C2.367: aws-cf-cd-test", header("aws-cf-cd-test", "v"), ""},
		{"C2.159: in any case", header("AWS-CF-CD-Test", "v"), ""},
		{"C2.367: x-test", header("x-test", "v"), "header.name"},
		{"C2.159: the prefix alone", header("aws-cf-cd-", "v"), "header.name"},
		{"C2.159: no token", header("aws-cf-cd-a b", "v"), "header.name"},
		{"C2.159: no value", header("aws-cf-cd-a", ""), "header.value"},
		{"C2.159: a line break", header("aws-cf-cd-a", "a\nb"), "header.value"},
		{"C2.159: nothing", header("", ""), "header.name header.value"},
	} {
		var got []string
		for _, v := range CheckPolicy(tt.p, DefaultHeaderPrefix) {
			got = append(got, v.Field)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: violations at %q, want %q", tt.name, got, tt.want)
		}
	}
	if vs := CheckPolicy(header("x-canary-a", "v"), "x-canary-"); len(vs) > 0 {
		t.Errorf("C2.159: another prefix: %v", vs)
	}
	if CheckHeaderPrefix("a b") == nil || CheckHeaderPrefix("") == nil || CheckHeaderPrefix("x-canary-") != nil {
		t.Error("C2.159: prefixes")
	}
	on := weight(0)
	on.Enabled = true
	if len(Warnings(on)) != 1 || len(Warnings(&policy{Enabled: true})) != 1 || len(Warnings(weight(0))) != 0 {
		t.Error("C3.58: advice about what sends nothing to the staging distribution")
	}
}
