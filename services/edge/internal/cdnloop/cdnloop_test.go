// SPDX-License-Identifier: Apache-2.0

package cdnloop

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

func loop(values ...string) header.Fields {
	h := header.Fields{{Name: "X-Other", Value: "sea"}}
	for _, v := range values {
		h.Add("cdn-loop", v)
	}
	return h
}

func TestPasses(t *testing.T) {
	for _, tt := range []struct {
		name string
		h    header.Fields
		want int
	}{
		{"RFC 8586 §2: no field", loop(), 0},
		{"RFC 8586 §2: others only", loop("foo123.foocdn.example, barcdn.example; trace=\"abcdef\""), 0},
		{"RFC 8586 §2: among others", loop("foo.example, sea, bar"), 1},
		{"RFC 8586 §2: with parameters", loop("sea;a=1", "sea ; b=\"x\""), 2},
		{"D2.9: in any case, any lines, with white space", loop("SEA\t,", "  Sea"), 2},
		{"a part of a name is another name", loop("seaside, sea.example, a sea"), 0},
		{"an open quote hides nothing", loop(`x; a="`, "sea"), 1},
		{"nor in one line", loop(`x; a=", sea, sea`), 2},
	} {
		if got := Passes(tt.h, "sea"); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
		if got := Refused(tt.h, "sea"); got != (tt.want >= 2) {
			t.Errorf("D2.9: %s: refused %v", tt.name, got)
		}
	}
}

// TestAppend: whatever a viewer sends, each pass counts one more, and all that was
// there stays.
func TestAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := loop(rapid.SliceOf(rapid.StringMatching(`[ -~\t]{0,20}`)).Draw(t, "values")...)
		before := Passes(h, "sea")
		h.Set(Field, Append(h, "sea"))
		if got := Passes(h, "sea"); got != before+1 {
			t.Fatalf("%q: %d passes, before %d", h.Get(Field), got, before)
		}
	})
	if got := Append(loop("a", "b;c=d"), "sea"); got != "a, b;c=d, sea" {
		t.Errorf("got %q", got)
	}
	if got := Append(loop(" "), "sea"); got != "sea" {
		t.Errorf("got %q", got)
	}
}
