// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
)

// Tree is a trace: spans below the spans that caused them, in the order of their
// start. Spans whose parent has not arrived, or lies outside, are roots.
type Tree struct {
	Roots []*Node
}

// Node is a span and those below it.
type Node struct {
	*Span
	Children []*Node
}

func grow(spans []*Span) *Tree {
	nodes := make(map[string]*Node, len(spans))
	for _, s := range spans {
		nodes[s.ID] = &Node{Span: s}
	}
	tree := &Tree{}
	for _, s := range spans {
		if parent := nodes[s.Parent]; parent != nil {
			parent.Children = append(parent.Children, nodes[s.ID])
			continue
		}
		tree.Roots = append(tree.Roots, nodes[s.ID])
	}
	tree.Roots = byStart(tree.Roots)
	for _, n := range nodes {
		n.Children = byStart(n.Children)
	}
	return tree
}

func byStart(nodes []*Node) []*Node {
	slices.SortFunc(nodes, func(a, b *Node) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return nodes
}

// All returns every span with a name, in the order of the tree.
func (t *Tree) All(name string) []*Node {
	var out []*Node
	for _, r := range t.Roots {
		out = append(out, r.All(name)...)
	}
	return out
}

// All returns n and every span below it that has the name.
func (n *Node) All(name string) []*Node {
	var out []*Node
	if n.Name == name {
		out = append(out, n)
	}
	for _, c := range n.Children {
		out = append(out, c.All(name)...)
	}
	return out
}

// Names are the names of the spans directly below n.
func (n *Node) Names() []string {
	out := make([]string, 0, len(n.Children))
	for _, c := range n.Children {
		out = append(out, c.Name)
	}
	return out
}

// Outline is the tree by names alone, two spaces for each level.
func (t *Tree) Outline() string {
	return t.render(func(*Node) string { return "" })
}

// String is the tree with services, times and attributes, for people.
func (t *Tree) String() string {
	if len(t.Roots) == 0 {
		return "(no span)\n"
	}
	began := t.Roots[0].Start
	return t.render(func(n *Node) string {
		var b strings.Builder
		fmt.Fprintf(&b, "  [%s %s] +%v %v", n.Service, n.Instance,
			n.Start.Sub(began).Round(time.Microsecond), n.End.Sub(n.Start).Round(time.Microsecond))
		for _, k := range slices.Sorted(maps.Keys(n.Attributes)) {
			fmt.Fprintf(&b, " %s=%s", k, n.Attributes[k])
		}
		if n.Failed {
			b.WriteString(" FAILED")
		}
		return b.String()
	})
}

func (t *Tree) render(detail func(*Node) string) string {
	var b strings.Builder
	var walk func(n *Node, depth int)
	walk = func(n *Node, depth int) {
		fmt.Fprintf(&b, "%s%s%s\n", strings.Repeat("  ", depth), n.Name, detail(n))
		for _, c := range n.Children {
			walk(c, depth+1)
		}
	}
	for _, r := range t.Roots {
		walk(r, 0)
	}
	return b.String()
}

func text(v *commonpb.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *commonpb.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	case *commonpb.AnyValue_ArrayValue:
		parts := make([]string, 0, len(v.ArrayValue.GetValues()))
		for _, e := range v.ArrayValue.GetValues() {
			parts = append(parts, text(e))
		}
		return "[" + strings.Join(parts, ",") + "]"
	default:
		return ""
	}
}
