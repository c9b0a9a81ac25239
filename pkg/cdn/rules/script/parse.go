// SPDX-License-Identifier: Apache-2.0

package script

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	source "github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/js"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// entry is the function that an edge calls (D9.29).
const entry = "handler"

// modules are what code in cloudfront-js-2.0 may import (D9.30, D9.31).
func modules() []string { return []string{"cloudfront", "crypto", "querystring", "buffer"} }

// parse returns what is wrong with code as a text of its language. The texts continue a
// sentence that begins with the field. The parser goes no deeper than 1000 levels and
// never goes back, so its cost follows the size of the code.
func parse(code []byte, runtime configv1.Function_Runtime) []error {
	// The parser writes behind the end of what it is given.
	tree, err := js.Parse(source.NewInputBytes(bytes.Clone(code)), js.Options{})
	if err != nil {
		if e, ok := errors.AsType[*source.Error](err); ok {
			return []error{fmt.Errorf("has a syntax error at %d:%d (line:column): %.200s", e.Line, e.Column, e.Message)}
		}
		return []error{fmt.Errorf("cannot be parsed: %.200s", err.Error())}
	}
	var out []error
	if !slices.ContainsFunc(tree.List, declaresEntry) {
		out = append(out, fmt.Errorf("declares no function %s at its top level", entry))
	}
	v := &visitor{old: runtime == configv1.Function_RUNTIME_CLOUDFRONT_JS_1_0}
	js.Walk(v, tree)
	for _, what := range v.found {
		out = append(out, errors.New(what))
	}
	return out
}

// declaresEntry says whether a statement at the top level declares the entry: as a
// function, or as a variable that is given one.
func declaresEntry(s js.IStmt) bool {
	switch s := s.(type) {
	case *js.FuncDecl:
		return s.Name != nil && string(s.Name.Data) == entry
	case *js.VarDecl:
		return slices.ContainsFunc(s.List, func(e js.BindingElement) bool {
			v, ok := e.Binding.(*js.Var)
			return ok && string(v.Data) == entry && isFunction(e.Default)
		})
	}
	return false
}

func isFunction(e js.IExpr) bool {
	switch e := e.(type) {
	case *js.FuncDecl, *js.ArrowFunc:
		return true
	case *js.GroupExpr:
		return isFunction(e.X)
	}
	return false
}

// visitor looks for what a runtime does not have; old is cloudfront-js-1.0.
type visitor struct {
	old   bool
	found []string
}

// Enter is called by js.Walk.
func (v *visitor) Enter(n js.INode) js.IVisitor {
	switch n := n.(type) {
	case *js.ImportStmt:
		v.module(n)
	case *js.ExportStmt:
		v.add("exports something; an edge calls %s and nothing else", entry)
	}
	if v.old {
		v.newer(n)
	}
	return v
}

// Exit is called by js.Walk.
func (*visitor) Exit(js.INode) {}

func (v *visitor) module(n *js.ImportStmt) {
	name := strings.Trim(string(n.Module), `'"`)
	switch {
	case v.old:
		v.add("imports %.50q; cloudfront-js-1.0 has no import", name)
	case !slices.Contains(modules(), name):
		v.add("imports %.50q; there is only %s", name, strings.Join(modules(), ", "))
	}
}

// newer looks for what cloudfront-js-1.0 does not have (D9.29).
func (v *visitor) newer(n js.INode) {
	switch n := n.(type) {
	case *js.VarDecl:
		if n.TokenType == js.LetToken || n.TokenType == js.ConstToken {
			v.missing("let and const")
		}
	case *js.FuncDecl:
		v.function(n.Async, n.Generator)
	case *js.ArrowFunc:
		v.function(n.Async, false)
	case *js.MethodDecl:
		v.function(n.Async, n.Generator)
	case *js.ClassDecl:
		v.missing("classes")
	case *js.BindingArray, *js.BindingObject:
		v.missing("destructuring")
	case *js.ArrayExpr:
		if slices.ContainsFunc(n.List, func(e js.Element) bool { return e.Spread }) {
			v.missing("spread")
		}
	case *js.ObjectExpr:
		if slices.ContainsFunc(n.List, func(p js.Property) bool { return p.Spread }) {
			v.missing("spread")
		}
	case *js.Args:
		if slices.ContainsFunc(n.List, func(a js.Arg) bool { return a.Rest }) {
			v.missing("spread")
		}
	}
}

func (v *visitor) function(async, generator bool) {
	if async {
		v.missing("async and await")
	}
	if generator {
		v.missing("generators")
	}
}

func (v *visitor) missing(what string) {
	v.add("uses %s, which cloudfront-js-1.0 does not have; want cloudfront-js-2.0", what)
}

func (v *visitor) add(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(v.found, text) && len(v.found) < 20 {
		v.found = append(v.found, text)
	}
}
