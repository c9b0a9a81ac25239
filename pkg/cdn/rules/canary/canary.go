// SPDX-License-Identifier: Apache-2.0

// Package canary holds what continuous deployment policies may be. It is pure; whether
// the staging distribution exists and is one is looked at where it is stored.
package canary

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// DefaultHeaderPrefix is what the headers of policies begin with unless the server is
// set otherwise (C2.159).
const DefaultHeaderPrefix = "aws-cf-cd-"

// Limits of policies (C4.38).
const (
	maxWeight      = "0.15"
	shortestSticky = 300 * time.Second
	longestSticky  = time.Hour
	maxHeaderName  = 256
	maxHeaderValue = 1783
)

// CheckPolicy returns all that is wrong with a policy by itself (C2.154 to C2.159).
// prefix is what the names of its headers have to begin with.
func CheckPolicy(p *configv1.ContinuousDeploymentPolicy, prefix string) []rules.Violation {
	var f rules.Findings
	f.Join(rules.CheckLabels("labels", p.GetLabels()))
	_, bad := rules.ParseName("staging_distribution", keys.Distributions, p.GetStagingDistribution())
	f.Join(bad)
	switch traffic := p.GetTraffic().(type) {
	case *configv1.ContinuousDeploymentPolicy_Weight_:
		checkWeight(&f, traffic.Weight)
	case *configv1.ContinuousDeploymentPolicy_Header_:
		checkHeader(&f, traffic.Header, prefix)
	}
	return f.Found()
}

// Warnings is advice about a valid policy.
func Warnings(p *configv1.ContinuousDeploymentPolicy) []string {
	switch {
	case p.GetEnabled() && p.GetTraffic() == nil:
		return []string{"traffic: is not set, so no request goes to the staging distribution"}
	case p.GetEnabled() && p.GetWeight() != nil && p.GetWeight().GetFraction() == 0:
		return []string{"weight.fraction: is 0, so no request goes to the staging distribution"}
	}
	return nil
}

func checkWeight(f *rules.Findings, w *configv1.ContinuousDeploymentPolicy_Weight) {
	if !withinWeight(w.GetFraction()) {
		f.Add("weight.fraction", rules.ReasonInvalid, "is %v; want a fraction of 0 to %s", w.GetFraction(), maxWeight)
	}
	s := w.GetStickiness()
	if s == nil {
		return
	}
	before := len(f.Found())
	for _, d := range []struct {
		field string
		value *durationpb.Duration
	}{{"idle_ttl", s.GetIdleTtl()}, {"maximum_ttl", s.GetMaximumTtl()}} {
		if d.value == nil {
			f.Add("weight.stickiness."+d.field, rules.ReasonInvalid, "is not set; want 300s to 3600s")
		}
		f.Seconds("weight.stickiness."+d.field, d.value, shortestSticky, longestSticky)
	}
	if len(f.Found()) == before && s.GetIdleTtl().AsDuration() > s.GetMaximumTtl().AsDuration() {
		f.Add("weight.stickiness.idle_ttl", rules.ReasonInvalid, "is longer than maximum_ttl")
	}
}

// withinWeight compares the fraction that the caller wrote, as a decimal: a number such
// as 0.15 has no exact form in binary (C9.14).
func withinWeight(fraction float64) bool {
	if math.IsNaN(fraction) || math.IsInf(fraction, 0) || fraction > 1 { // long before it has many digits
		return false
	}
	written, ok := new(big.Rat).SetString(strconv.FormatFloat(fraction, 'g', -1, 64))
	most, okMost := new(big.Rat).SetString(maxWeight)
	return ok && okMost && written.Sign() >= 0 && written.Cmp(most) <= 0
}

func checkHeader(f *rules.Findings, h *configv1.ContinuousDeploymentPolicy_Header, prefix string) {
	name := h.GetName()
	if err := rules.CheckToken(name, maxHeaderName); err != nil {
		f.Add("header.name", rules.ReasonInvalid, "%v", err)
	} else if len(name) <= len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
		f.Add("header.name", rules.ReasonInvalid, "is %.100q; want %s and something behind it", name, prefix)
	}
	if h.GetValue() == "" {
		f.Add("header.value", rules.ReasonInvalid, "is empty; want what the header has to be")
	}
	if err := rules.CheckFieldValue(h.GetValue(), maxHeaderValue); err != nil {
		f.Add("header.value", rules.ReasonInvalid, "%v", err)
	}
}

// CheckHeaderPrefix says whether a server can be set to this prefix.
func CheckHeaderPrefix(prefix string) error {
	if err := rules.CheckToken(prefix, maxHeaderName/2); err != nil {
		return fmt.Errorf("%q %w", prefix, err)
	}
	return nil
}
