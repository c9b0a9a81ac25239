// SPDX-License-Identifier: Apache-2.0

// Package header holds HTTP header fields as an ordered list. It is the form in
// which the edge works on requests and answers, independent of any server or
// client library. It promises to keep order and spelling; it does not parse or
// check values.
package header

import "strings"

// Field is one header line.
type Field struct {
	Name  string
	Value string
}

// Fields are header lines in the order in which they came. Names compare without
// regard to case (RFC 9110 §5.1). The zero value is an empty list.
type Fields []Field

// Get returns the value of the first line of that name, or "".
func (f Fields) Get(name string) string {
	v, _ := f.Lookup(name)
	return v
}

// Lookup returns the value of the first line of that name and whether there is
// one: an absent header is not an empty one.
func (f Fields) Lookup(name string) (string, bool) {
	for i := range f {
		if Equal(f[i].Name, name) {
			return f[i].Value, true
		}
	}
	return "", false
}

// Has says whether a line of that name exists.
func (f Fields) Has(name string) bool {
	_, ok := f.Lookup(name)
	return ok
}

// Values returns the values of all lines of that name, in order.
func (f Fields) Values(name string) []string {
	var vs []string
	for i := range f {
		if Equal(f[i].Name, name) {
			vs = append(vs, f[i].Value)
		}
	}
	return vs
}

// Joined returns all values of that name joined with sep, and whether there is
// any line. One line costs no allocation.
func (f Fields) Joined(name, sep string) (string, bool) {
	first, n := "", 0
	for i := range f {
		if Equal(f[i].Name, name) {
			if n == 0 {
				first = f[i].Value
			}
			n++
		}
	}
	if n < 2 {
		return first, n == 1
	}
	return strings.Join(f.Values(name), sep), true
}

// Add appends a line.
func (f *Fields) Add(name, value string) {
	*f = append(*f, Field{name, value})
}

// Set replaces the first line of that name and removes the others, or appends.
func (f *Fields) Set(name, value string) {
	for i := range *f {
		if Equal((*f)[i].Name, name) {
			(*f)[i].Value = value
			rest := (*f)[i+1:]
			rest.Del(name)
			*f = (*f)[:i+1+len(rest)]
			return
		}
	}
	f.Add(name, value)
}

// Del removes every line of that name, in place.
func (f *Fields) Del(name string) {
	f.Filter(func(x Field) bool { return !Equal(x.Name, name) })
}

// Filter keeps the lines for which keep is true, in place.
func (f *Fields) Filter(keep func(Field) bool) {
	out := (*f)[:0]
	for _, x := range *f {
		if keep(x) {
			out = append(out, x)
		}
	}
	*f = out
}

// Clone returns a copy that shares nothing but strings, with room for extra lines.
func (f Fields) Clone(extra int) Fields {
	out := make(Fields, len(f), len(f)+extra)
	copy(out, f)
	return out
}

// AppendLower appends a name in lower case: switch string(AppendLower(room[:0], name))
// costs no memory, with room on the stack.
func AppendLower(b []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// Equal compares two header names.
func Equal(a, b string) bool {
	return len(a) == len(b) && (a == b || strings.EqualFold(a, b))
}
