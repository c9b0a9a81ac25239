// SPDX-License-Identifier: Apache-2.0

package exchange

// StatusHeadTooLarge has no name in the registry (D4.6).
const StatusHeadTooLarge = 494

// Reason says why a request is refused before it reaches the handler, whatever the
// protocol. Its String is the word of metrics and logs.
type Reason uint8

// Reasons for refusals. The zero value is none.
const (
	_ Reason = iota
	BadLine
	BadMethod
	BadTarget
	BadVersion
	UnknownVersion
	BadLineEnd
	ControlByte
	BadFieldName
	Folded
	BadHost
	BadLength
	BadCoding
	UnknownCoding
	LengthAndCoding
	UnknownExpectation
	URLTooLong
	HeadTooLarge
	BodyTooLarge
	SlowHead
	Overloaded

	Reasons // how many there are, with none
)

// String is the word for metrics and logs.
func (r Reason) String() string {
	switch r {
	case BadLine:
		return "request_line"
	case BadMethod:
		return "method"
	case BadTarget:
		return "target"
	case BadVersion, UnknownVersion:
		return "version"
	case BadLineEnd:
		return "line_end"
	case ControlByte:
		return "control_byte"
	case BadFieldName:
		return "field_name"
	case Folded:
		return "folded_line"
	case BadHost:
		return "host"
	case BadLength:
		return "content_length"
	case BadCoding, UnknownCoding:
		return "transfer_encoding"
	case LengthAndCoding:
		return "length_and_coding"
	case UnknownExpectation:
		return "expectation"
	case URLTooLong:
		return "url_too_long"
	case HeadTooLarge:
		return "head_too_large"
	case BodyTooLarge:
		return "body_too_large"
	case SlowHead:
		return "slow_head"
	case Overloaded:
		return "overloaded"
	}
	return "none"
}

// Status is that of the answer.
func (r Reason) Status() int {
	switch r {
	case UnknownVersion:
		return 505
	case UnknownCoding:
		return 501 // RFC 9112 §6.1
	case UnknownExpectation:
		return 417 // RFC 9110 §10.1.1
	case URLTooLong:
		return 414 // D4.6
	case HeadTooLarge:
		return StatusHeadTooLarge // D4.6
	case BodyTooLarge:
		return 413 // D4.8
	case SlowHead:
		return 408
	case Overloaded:
		return 503
	}
	return 400
}

// Sentence is for the viewer.
func (r Reason) Sentence() string {
	switch r.Status() {
	case 505:
		return "The HTTP version of this request is not supported."
	case 501:
		return "The transfer coding of this request is not supported."
	case 417:
		return "The expectation of this request cannot be met."
	case 414:
		return "The URL of this request is too long."
	case StatusHeadTooLarge:
		return "The header of this request is too large."
	case 413:
		return "The body of this request is too large."
	case 408:
		return "This request took too long to arrive."
	case 503:
		return "The server is short of memory. Try again later."
	}
	return "Bad request."
}
