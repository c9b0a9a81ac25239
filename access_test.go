// SPDX-License-Identifier: Apache-2.0

package seafront_test

import (
	"path"
	"regexp"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/access"
)

// TestEveryMethodHasARule: who adds a method says who may call it. Otherwise nobody
// may, and the first to notice would be a user.
func TestEveryMethodHasARule(t *testing.T) {
	pkg := regexp.MustCompile(`(?m)^package ([a-z0-9.]+);`)
	service := regexp.MustCompile(`(?m)^service (\w+) \{`)
	method := regexp.MustCompile(`(?m)^  rpc (\w+)\(`)
	methods := 0
	for _, s := range repository(t) {
		if path.Ext(s.path) != ".proto" {
			continue
		}
		found := service.FindAllStringSubmatchIndex(s.text, -1)
		for i, at := range found {
			end := len(s.text)
			if i+1 < len(found) {
				end = found[i+1][0]
			}
			for _, m := range method.FindAllStringSubmatch(s.text[at[0]:end], -1) {
				methods++
				name := pkg.FindStringSubmatch(s.text)[1] + "." + s.text[at[2]:at[3]] + "/" + m[1]
				if _, ok := access.Rule("/" + name); !ok {
					t.Errorf("%s: nobody may call %s: give it a row in pkg/access/access.go", s.path, name)
				}
			}
		}
	}
	if methods == 0 {
		t.Error("no method found: what do the protos look like?")
	}
}
