// SPDX-License-Identifier: Apache-2.0

// Package byterange is the arithmetic of byte ranges (RFC 9110 §14, D19): which bytes a
// request asks for, what an answer with these is made of, and in which slices they lie.
//
// A viewer's Range is read with Parse, and Set.Select says what to answer once the size of
// the representation is known: the whole, one range, several, or 416. Before that, and
// only for GET, IfRange says whether Range counts at all. One range is answered with
// AppendHead and Section, several with a Multipart; their bytes come from a Source. Until
// the size is known, Spec.FirstSlice says where to begin.
//
// It promises to do no I/O and to allocate nothing for a single range. A multipart answer
// is never held in memory: its body is a stream of pieces, which may be ranges of files, and
// its length is known beforehand. Nothing that it is given can make it panic, or answer
// with more than the representation and a hundred heads of parts.
package byterange
