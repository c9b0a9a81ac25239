// SPDX-License-Identifier: Apache-2.0

// Package script holds what functions may be, and the stores that they read. Code is
// parsed, never run. The package is pure and promises that every violation is found at
// once, that an error in code is told with its line and column, and that no code makes
// it panic, or take more time or stack than its size allows. It does not promise that
// code does what its author wants, nor that it ends.
package script

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"unicode/utf8"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Reasons of this package's violations.
const (
	ReasonTooLarge         = "ENTITY_SIZE_LIMIT_EXCEEDED"   // C2.296
	ReasonFunctionTooLarge = "FUNCTION_SIZE_LIMIT_EXCEEDED" // C2.297
)

// DefaultCodeBytes is how large code may be unless the server is set to another limit
// (C4.49); MostCodeBytes is how large a limit can be, which is CloudFront's own model's.
const (
	DefaultCodeBytes = 10 << 10
	MostCodeBytes    = 40 << 10
)

// storesPerFunction is how many stores a function may read (C4.53).
const storesPerFunction = 1

// CheckFunctionID checks the name that a client chooses for a function, at function_id
// (C2.148).
func CheckFunctionID(id string) []rules.Violation {
	_, vs := rules.ParseName("function_id", keys.Functions, keys.Functions.Name(id))
	return vs
}

// CheckFunction returns all that is wrong with a function by itself (C2.149, C2.150).
// most is how many bytes its code may have.
func CheckFunction(f *configv1.Function, most int) []rules.Violation {
	var out rules.Findings
	out.Join(rules.CheckLabels("labels", f.GetLabels()))
	out.Comment("comment", f.GetComment())
	out.Required("runtime", f.GetRuntime())
	switch code := f.GetCode(); {
	case len(code) == 0:
		out.Add("code", rules.ReasonInvalid, "is empty; want code with a function handler")
	case len(code) > most:
		out.Add("code", ReasonFunctionTooLarge, "has %d bytes; want at most %d", len(code), most)
	case !utf8.Valid(code):
		out.Add("code", rules.ReasonInvalid, "is not UTF-8")
	default:
		for _, err := range parse(code, f.GetRuntime()) {
			out.Add("code", rules.ReasonInvalid, "%v", err)
		}
	}
	stores := f.GetKeyValueStores()
	for i, name := range stores[:out.Count("key_value_stores", rules.ReasonInvalid, len(stores), storesPerFunction)] {
		_, bad := rules.ParseName(fmt.Sprintf("key_value_stores[%d]", i), keys.KeyValueStores, name)
		out.Join(bad)
	}
	if len(stores) > 0 && f.GetRuntime() == configv1.Function_RUNTIME_CLOUDFRONT_JS_1_0 {
		out.Add("key_value_stores", rules.ReasonInvalid, "is not empty; only code in cloudfront-js-2.0 can read stores")
	}
	return out.Found()
}

// FillFunction sets what follows from the code: its digest.
func FillFunction(f *configv1.Function) {
	sum := sha256.Sum256(f.GetCode())
	f.CodeSha256 = hex.EncodeToString(sum[:])
}
