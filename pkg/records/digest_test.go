// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"encoding/hex"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func TestDigest(t *testing.T) {
	policy := func(change func(*configv1.CachePolicy)) proto.Message {
		p := &configv1.CachePolicy{
			DisplayName: "a", Comment: "b", Labels: map[string]string{"k": "v", "l": "w", "m": "x"},
			MinTtl: &durationpb.Duration{Seconds: 1}, AcceptEncodingGzip: true,
		}
		change(p)
		return p
	}
	base := records.Digest(policy(func(*configv1.CachePolicy) {}))
	// What a claim that is kept for ever was made with has to be found by later releases.
	if got, want := hex.EncodeToString(base[:8]), "2c25983ee85c9e15"; got != want {
		t.Errorf("C9.41: digest %s, want %s", got, want)
	}
	seen := map[string]string{string(base): "nothing"}
	for name, change := range map[string]func(*configv1.CachePolicy){
		"text":                      func(p *configv1.CachePolicy) { p.Comment = "c" },
		"text that moved":           func(p *configv1.CachePolicy) { p.DisplayName, p.Comment = "ab", "" },
		"no text":                   func(p *configv1.CachePolicy) { p.Comment = "" },
		"map value":                 func(p *configv1.CachePolicy) { p.Labels["k"] = "w" },
		"map entry":                 func(p *configv1.CachePolicy) { delete(p.Labels, "k") },
		"map that moved":            func(p *configv1.CachePolicy) { p.Labels = map[string]string{"k": "vl", "w": "m", "x": ""} },
		"message":                   func(p *configv1.CachePolicy) { p.MinTtl.Seconds = 2 },
		"field of it":               func(p *configv1.CachePolicy) { p.MinTtl = &durationpb.Duration{Nanos: 1} },
		"empty message":             func(p *configv1.CachePolicy) { p.MinTtl = &durationpb.Duration{} },
		"no message":                func(p *configv1.CachePolicy) { p.MinTtl = nil },
		"message that is elsewhere": func(p *configv1.CachePolicy) { p.MaxTtl, p.MinTtl = p.MinTtl, nil },
		"boolean":                   func(p *configv1.CachePolicy) { p.AcceptEncodingGzip = false },
		"enum":                      func(p *configv1.CachePolicy) { p.Semantics = configv1.CacheSemantics_CACHE_SEMANTICS_CLOUDFRONT },
		"unknown field": func(p *configv1.CachePolicy) {
			p.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 5000, protowire.VarintType), 1))
		},
	} {
		p := policy(change)
		sum := string(records.Digest(p))
		if other, ok := seen[sum]; ok {
			t.Errorf("C9.41: %s: the digest of %s", name, other)
		}
		seen[sum] = name
		if string(records.Digest(proto.Clone(p))) != sum {
			t.Errorf("C9.41: %s: a copy has another digest", name)
		}
	}
	list := func(keys ...string) string { return string(records.Digest(&configv1.KeyGroup{PublicKeys: keys})) }
	if list("a", "b") == list("b", "a") || list("a", "b") == list("ab") {
		t.Error("C9.41: lists")
	}
}
