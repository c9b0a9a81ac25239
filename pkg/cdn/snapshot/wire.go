// SPDX-License-Identifier: Apache-2.0

package snapshot

import "unicode/utf8"

// The wire types of protobuf that fields reads. A tag is a field's number, shifted by
// three, and one of these.
const (
	wireVarint = 0
	wireBytes  = 2
)

// fields are those of one protobuf message, in turn, read without reflection and without
// an allocation. It knows what our own encoder writes: whoever finds anything else in a
// message, or is told of it by ok, has to read that message again with proto.Unmarshal,
// which knows all forms and says what is wrong.
type fields struct {
	// tag, and number or text by its wire type, are of the field that next has found.
	tag    uint64
	number uint64
	text   string

	rest string
	bad  bool
}

// next goes to the next field. False is the end, or something that is not read here.
func (f *fields) next() bool {
	if f.bad || f.rest == "" {
		return false
	}
	f.tag = f.varint()
	switch f.tag & 7 {
	case wireVarint:
		f.number = f.varint()
	case wireBytes:
		n := f.varint()
		if n > uint64(len(f.rest)) {
			f.bad = true
			return false
		}
		f.text, f.rest = f.rest[:n], f.rest[n:]
	default:
		f.bad = true
	}
	return !f.bad
}

// ok says, at the end, that all of the message was understood.
func (f *fields) ok() bool { return !f.bad }

// check notes that something in the message is not understood.
func (f *fields) check(ok bool) { f.bad = f.bad || !ok }

// string is the value of a string field, which has to be UTF-8.
func (f *fields) string() string {
	f.check(utf8.ValidString(f.text))
	return f.text
}

// bool is the value of a bool field.
func (f *fields) bool() bool { return f.number != 0 }

// enum is the value of an enum field, which has to be one of the numbers 1 to most.
func enum[E ~int32](f *fields, most E) E {
	f.check(1 <= f.number && f.number <= uint64(most))
	return E(f.number)
}

// enumList appends a packed list of an enum, each one of the numbers 1 to most.
func enumList[E ~int32](list []E, f *fields, most E) []E {
	packed := fields{rest: f.text}
	for packed.rest != "" && !packed.bad {
		packed.number = packed.varint()
		list = append(list, enum(&packed, most))
	}
	f.check(packed.ok())
	return list
}

// varint takes a number in base 128, lowest digit first.
func (f *fields) varint() (n uint64) {
	for i := range min(len(f.rest), 9) {
		b := f.rest[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			f.rest = f.rest[i+1:]
			return n
		}
	}
	f.bad = true // cut off, or ten bytes long: a negative number
	return 0
}

// count is how many fields of a message have a tag.
func count(message string, tag uint64) (n int) {
	for f := (fields{rest: message}); f.next(); {
		if f.tag == tag {
			n++
		}
	}
	return n
}
