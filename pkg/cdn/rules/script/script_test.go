// SPDX-License-Identifier: Apache-2.0

package script

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

const (
	v1 = configv1.Function_RUNTIME_CLOUDFRONT_JS_1_0
	v2 = configv1.Function_RUNTIME_CLOUDFRONT_JS_2_0
)

func told(vs []rules.Violation) string {
	var out []string
	for _, v := range vs {
		out = append(out, v.Field+" "+v.Reason+" "+v.Description)
	}
	return strings.Join(out, "; ")
}

func TestCode(t *testing.T) {
	for _, tt := range []struct {
		name    string
		runtime configv1.Function_Runtime
		code    string
		want    string // part of what is told; empty: nothing is
	}{
		{"D9.29: a function", v1, "function handler(event) { return event.request; }", ""},
		{"D9.29: a variable", v1, "var handler = function (event) { return event.request; };", ""},
		{"D9.29: ES 5.1 and more", v1, "var f = x => `a${x ** 2}`; function handler(event, ...rest) { return /(?<y>a)/.test(f(1)) ? event : null; }", ""},
		{"D9.30: require", v1, "var c = require('crypto'); function handler(e) { return e; }", ""},
		{"D9.29: no let", v1, "function handler(e) { let a = 1; return e; }", "let and const"},
		{"D9.29: no const", v1, "const a = 1; function handler(e) { return e; }", "let and const"},
		{"D9.29: no async", v1, "async function handler(e) { return e; }", "async and await"},
		{"D9.29: no classes", v1, "class A {} function handler(e) { return e; }", "classes"},
		{"D9.29: no destructuring", v1, "function handler(e) { var {a, b} = e; return a; }", "destructuring"},
		{"D9.29: no spread", v1, "function handler(e) { return f(...e); }", "spread"},
		{"D9.29: no spread in lists", v1, "function handler(e) { return [...e]; }", "spread"},
		{"D9.29: no import", v1, "import cf from 'cloudfront'; function handler(e) { return e; }", "no import"},
		{"D9.31: let, const, async", v2, "const a = 1_000; async function handler(e) { let b = await f(a); return b?.c ?? e; }", ""},
		{"D9.31: arrow as handler", v2, "const handler = async (e) => { return e; };", ""},
		{"D9.31: import of cloudfront", v2, "import cf from 'cloudfront';\nfunction handler(e) { return e; }", ""},
		{"D9.31: import of another", v2, "import x from './x.js'; function handler(e) { return e; }", "./x.js"},
		{"C2.150: export", v2, "export function handler(e) { return e; }", "exports"},
		{"C2.150: no handler", v2, "function other(e) { return e; }", "no function handler"},
		{"C2.150: handler within", v2, "function other() { function handler(e) { return e; } }", "no function handler"},
		{"C2.150: handler is no function", v2, "var handler = 1;", "no function handler"},
		{"C2.150: a syntax error", v2, "function handler(event) {\n  return event.;\n}", "2:16"},
		{"C2.150: not closed", v2, "function handler(event) {", "1:26"},
		{"C2.150: NUL", v2, "function handler(e) { return e; }\x00", "1:34"},
		{"C2.149: not UTF-8", v2, "function handler(e) { return '\xff'; }", "UTF-8"},
		{"C2.149: nothing", v2, "", "is empty"},
		{"C2.149: 10240 bytes", v2, pad("function handler(e) { return e; }", DefaultCodeBytes), ""},
		{"C4.49: 10241 bytes", v2, pad("function handler(e) { return e; }", DefaultCodeBytes+1), "FUNCTION_SIZE_LIMIT_EXCEEDED"},
		{"C2.150: too deep", v2, "function handler(e) { return " + strings.Repeat("(", 2000) + "1" + strings.Repeat(")", 2000) + "; }", "nested"},
	} {
		got := told(CheckFunction(&configv1.Function{Runtime: tt.runtime, Code: []byte(tt.code)}, DefaultCodeBytes))
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: told %q, want %q", tt.name, got, tt.want)
		}
	}
}

func pad(code string, n int) string { return code + strings.Repeat(" ", n-len(code)) }

func TestFunction(t *testing.T) {
	code := []byte("function handler(e) { return e; }")
	for _, tt := range []struct {
		name string
		f    *configv1.Function
		want string
	}{
		{"C2.150: a store in 2.0", &configv1.Function{Runtime: v2, Code: code, KeyValueStores: []string{"keyValueStores/a"}}, ""},
		{"C2.150: a store in 1.0", &configv1.Function{Runtime: v1, Code: code, KeyValueStores: []string{"keyValueStores/a"}}, "key_value_stores"},
		{"C4.53: two stores", &configv1.Function{Runtime: v2, Code: code, KeyValueStores: []string{"keyValueStores/a", "keyValueStores/b"}}, "key_value_stores"},
		{"C2.150: no name of a store", &configv1.Function{Runtime: v2, Code: code, KeyValueStores: []string{"a"}}, "key_value_stores[0]"},
		{"C2.150: no runtime", &configv1.Function{Code: code}, "runtime"},
		{"C6.60: unknown runtime", &configv1.Function{Runtime: 99, Code: code}, "runtime"},
		{"C2.7: long comment", &configv1.Function{Runtime: v2, Code: code, Comment: strings.Repeat("x", 129)}, "comment"},
	} {
		vs := CheckFunction(tt.f, DefaultCodeBytes)
		if got := told(vs); (tt.want == "") != (got == "") || len(vs) > 1 || len(vs) == 1 && vs[0].Field != tt.want {
			t.Errorf("%s: told %q, want it at %q", tt.name, got, tt.want)
		}
	}
	for id, ok := range map[string]bool{"a": true, "A_b-9": true, strings.Repeat("x", 64): true, "": false, "a b": false, strings.Repeat("x", 65): false, "ä": false} {
		if got := len(CheckFunctionID(id)) == 0; got != ok {
			t.Errorf("C2.148: %q legal %v, want %v", id, got, ok)
		}
		if got := len(CheckStoreID(id)) == 0; got != ok {
			t.Errorf("C2.152: %q legal %v, want %v", id, got, ok)
		}
	}
}

func TestBatch(t *testing.T) {
	entries := func(n int) (out []*configv1.KeyValueEntry) {
		for i := range n {
			out = append(out, &configv1.KeyValueEntry{Key: fmt.Sprint(i)})
		}
		return out
	}
	one := func(key, value string) []*configv1.KeyValueEntry {
		return []*configv1.KeyValueEntry{{Key: key, Value: value}}
	}
	for _, tt := range []struct {
		name    string
		puts    []*configv1.KeyValueEntry
		deletes []string
		want    string
	}{
		{"C2.152: 50 entries", entries(49), []string{"x"}, ""},
		{"C2.152: 51 entries", entries(50), []string{"x"}, "puts ENTITY_SIZE_LIMIT_EXCEEDED"},
		{"C2.152: none", nil, nil, "puts INVALID_ARGUMENT"},
		{"C2.152: longest", one(strings.Repeat("k", 512), strings.Repeat("v", 1024)), nil, ""},
		{"C2.152: long key", one(strings.Repeat("k", 513), ""), nil, "puts[0].key ENTITY_SIZE_LIMIT_EXCEEDED"},
		{"C2.152: bytes, not characters", one(strings.Repeat("ä", 257), ""), nil, "puts[0].key ENTITY_SIZE_LIMIT_EXCEEDED"},
		{"C2.152: long value", one("k", strings.Repeat("v", 1025)), nil, "puts[0].value ENTITY_SIZE_LIMIT_EXCEEDED"},
		{"C2.152: empty key", one("", "v"), nil, "puts[0].key INVALID_ARGUMENT"},
		{"C2.152: twice", one("k", "v"), []string{"a", "k"}, "deletes[1] INVALID_ARGUMENT"},
	} {
		got := told(CheckBatch(tt.puts, tt.deletes))
		if (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: told %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzCode(f *testing.F) {
	f.Add("import cf from 'cloudfront'; const handler = async ({a = [], ...b}) => `x${a?.[0]}`;", true)
	f.Add("function handler(e){try{throw 1}catch{}finally{} for(const [a] of b); label: while(1) break label}", false)
	f.Add("class A extends B { static #x = 1; get y(){return super.y} static {} } var handler = (function(){})", false)
	f.Fuzz(func(_ *testing.T, code string, old bool) { // whatever is sent must not panic
		runtime := v2
		if old {
			runtime = v1
		}
		CheckFunction(&configv1.Function{Runtime: runtime, Code: []byte(code)}, DefaultCodeBytes)
	})
}
