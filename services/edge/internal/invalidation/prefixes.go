// SPDX-License-Identifier: Apache-2.0

package invalidation

import "strings"

// mark is the newest invalidation of something.
type mark struct {
	revision int64
	by       *Count // nil where nobody counts
}

// newer returns the newer of two marks.
func newer(a, b mark) mark {
	if b.revision > a.revision {
		return b
	}
	return a
}

// prefixes is a trie of path prefixes, each with the newest invalidation of it. An
// edge holds a string, so the depth is that of the branchings.
type prefixes struct {
	label string // from the parent to here
	mark  mark   // revision 0: nothing ends here
	next  []*prefixes
}

// child returns the branch that begins with c.
func (p *prefixes) child(c byte) (at int, ok bool) {
	for i, n := range p.next {
		if n.label[0] == c {
			return i, true
		}
	}
	return 0, false
}

// add marks a prefix and says whether it was there before.
func (p *prefixes) add(prefix string, m mark) (known bool) {
	for prefix != "" {
		i, ok := p.child(prefix[0])
		if !ok {
			p.next = append(p.next, &prefixes{label: strings.Clone(prefix), mark: m})
			return false
		}
		n := p.next[i]
		same := 0
		for same < len(n.label) && same < len(prefix) && n.label[same] == prefix[same] {
			same++
		}
		if same < len(n.label) { // a branching within the label
			upper := &prefixes{label: n.label[:same], next: []*prefixes{n}}
			n.label = n.label[same:]
			p.next[i], n = upper, upper
		}
		p, prefix = n, prefix[same:]
	}
	known = p.mark.revision > 0
	p.mark = newer(p.mark, m)
	return known
}

// newest returns the newest mark of all prefixes of subject.
func (p *prefixes) newest(subject []byte) mark {
	best := p.mark
	for len(subject) > 0 {
		i, ok := p.child(subject[0])
		if !ok {
			break
		}
		p = p.next[i]
		if len(subject) < len(p.label) || string(subject[:len(p.label)]) != p.label {
			break
		}
		best = newer(best, p.mark)
		subject = subject[len(p.label):]
	}
	return best
}

// each calls f with every marked prefix.
func (p *prefixes) each(before string, f func(prefix string, m mark)) {
	before += p.label
	if p.mark.revision > 0 {
		f(before, p.mark)
	}
	for _, n := range p.next {
		n.each(before, f)
	}
}
