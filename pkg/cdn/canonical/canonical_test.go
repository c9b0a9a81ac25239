// SPDX-License-Identifier: Apache-2.0

package canonical

import (
	"fmt"
	"strings"
	"testing"
)

const hex = "0123456789abcdefABCDEF"

// plain is the form of D25.8 by other means: piece by piece.
func plain(s string) string {
	var b strings.Builder
	for s != "" {
		var c byte
		if n, err := fmt.Sscanf(s+"   ", "%%%2x", &c); n == 1 && err == nil && len(s) >= 3 && strings.ContainsRune(hex, rune(s[1])) && strings.ContainsRune(hex, rune(s[2])) {
			s = s[3:]
			if strings.IndexByte(letters, c) >= 0 {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
			continue
		}
		c, s = s[0], s[1:]
		if strings.IndexByte(letters, c) >= 0 || strings.IndexByte("!$&'()*+,;=:@/?", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

func FuzzAppend(f *testing.F) {
	for _, s := range []string{"", "/a%2fb", "/%c3%a4?x=%7e", "%", "%%414", "/a%4", "\xff~[]*", "/é%C3%A9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		form := string(Append(nil, s))
		if want := plain(s); form != want {
			t.Errorf("D25.8: %q: %q, want %q", s, form, want)
		}
		if again := string(Append(nil, form)); again != form {
			t.Errorf("D25.8: %q: the form %q has the form %q", s, form, again)
		}
	})
}

func TestAppendTakesTheRoom(t *testing.T) {
	room := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { _ = Append(room, "/a%41/[x]?y") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
