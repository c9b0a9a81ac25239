// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestKind(t *testing.T) {
	for _, tt := range []struct {
		name   string
		kind   Kind
		status int
		detail string
	}{
		{"unknown", 0, 500, "Error"},
		{"out of range", 200, 500, "Error"},
		{"D22.13: an internal error is 500", BadRequest, 500, "Error"},
		{"D22.13: overload is 503", Overloaded, 503, "CapacityExceeded"},
		{"canceled", Canceled, 504, "Error"},
		{"D16.1: DNS failure is 502", DNS, 502, "OriginDnsError"},
		{"D16.13: refused is 502", Connect, 502, "OriginConnectError"},
		{"D16.13: connect time-out is 504", ConnectTimeout, 504, "OriginCommError"},
		{"D22.13: TLS failure is 502", TLS, 502, "OriginConnectError"},
		{"D16.13: write", Write, 502, "OriginWriteError"},
		{"D16.13: read", Lost, 502, "OriginReadError"},
		{"D16.13: an origin that never answers is 504", Timeout, 504, "OriginCommError"},
		{"D16.15: completion is 504", Completion, 504, "OriginCommError"},
		{"D17.13: malformed is 502", Invalid, 502, "OriginInvalidResponseError"},
		{"D17.13: header block too big", HeaderTooBig, 502, "OriginHeaderTooBigError"},
		{"D17.14: body too large is 502", TooLarge, 502, "OriginError"},
		{"D17.12: incomplete", Truncated, 502, "OriginReadError"},
		{"D17.13: zero size", ZeroSize, 502, "OriginZeroSizeObjectError"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &Error{Kind: tt.kind}
			if e.Status() != tt.status || e.Detail() != tt.detail {
				t.Errorf("%v: got %d %s, want %d %s", tt.kind, e.Status(), e.Detail(), tt.status, tt.detail)
			}
			// D18.8: what is cached as an error of the origin is one of three statuses.
			if s := e.Status(); s != 500 && (s < 502 || s > 504) {
				t.Errorf("status %d", s)
			}
		})
	}
	words := map[string]bool{}
	for k := range kinds {
		w := Kind(k).String()
		if w == "" || words[w] {
			t.Errorf("kind %d: word %q is empty or not its own", k, w)
		}
		words[w] = true
	}
}

func TestErrorText(t *testing.T) {
	e := &Error{Kind: Canceled, Origin: "origins/a", Err: context.Canceled}
	if !errors.Is(e, context.Canceled) {
		t.Error("cause is hidden")
	}
	if got := e.Error(); !strings.Contains(got, "origins/a") || !strings.Contains(got, "canceled") {
		t.Errorf("Error() = %q", got)
	}
}

func TestFramingWords(t *testing.T) {
	words := map[string]bool{}
	for f := Framing(0); f <= CloseDelimited; f++ {
		words[f.String()] = true
	}
	if len(words) != int(CloseDelimited)+1 || Framing(0).String() != "unknown" {
		t.Errorf("words = %v", words)
	}
}
