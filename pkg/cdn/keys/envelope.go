// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// Envelope is what an edge needs of a storev1.Record.
type Envelope struct {
	Traceparent, Tracestate string
	// Resource is the resource's own message in binary form. It may be a part of the
	// value, and is not to be changed.
	Resource []byte
	// Secrets is nil, or empty, when there are none.
	Secrets *storev1.Secrets
}

// Unwrap reads a value as Decode reads one into a storev1.Record, with the same errors.
// Every edge does so on every change: a record of the usual form costs no allocation.
func Unwrap(value []byte) (Envelope, error) {
	if e, ok := unwrap(value); ok {
		return e, nil
	}
	var r storev1.Record
	if err := Decode(value, &r); err != nil {
		return Envelope{}, err
	}
	return Envelope{r.GetTraceparent(), r.GetTracestate(), r.GetResource(), r.GetSecrets()}, nil
}

// unwrap reads a record that is not compressed, has no secrets and no field that this
// release does not know. False says nothing but that Decode has to be asked.
func unwrap(value []byte) (e Envelope, ok bool) {
	if len(value) == 0 || value[0] != formatPlain {
		return e, false
	}
	for b := value[1:]; len(b) > 0; {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return e, false
		}
		b = b[n:]
		switch {
		case kind == protowire.VarintType && (number == 1 || number == 2): // write_id, generation
			_, n = protowire.ConsumeVarint(b)
		case kind == protowire.BytesType:
			var v []byte
			v, n = protowire.ConsumeBytes(b)
			if n < 0 || !e.take(number, v) {
				return e, false
			}
		default:
			return e, false
		}
		if n < 0 {
			return e, false
		}
		b = b[n:]
	}
	return e, true
}

// take takes the value of one field in, false for one that unwrap does not read.
func (e *Envelope) take(number protowire.Number, v []byte) bool {
	switch number {
	case 3: // principal
	case 4:
		e.Traceparent = string(v)
	case 5:
		e.Tracestate = string(v)
	case 6:
		e.Resource = v
		return true
	case 7: // secrets: none, but a place for some
		return len(v) == 0
	default:
		return false
	}
	return utf8.Valid(v)
}
