// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// line is a key file's line with a key of one repeated byte.
func line(id string, b byte) string {
	return id + " " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, keySize))
}

func keyring(t testing.TB, lines ...string) *Keyring {
	t.Helper()
	k, err := Parse(strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealAndOpen(t *testing.T) {
	k := keyring(t, line("a", 1))
	rapid.Check(t, func(t *rapid.T) {
		record := rapid.String().Draw(t, "record")
		values := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "values")
		s, err := k.Seal(record, values)
		if err != nil {
			t.Fatal(err)
		}
		for at, v := range values {
			if Length(s.Values[at]) != len(v) {
				t.Fatalf("length %d, want %d", Length(s.Values[at]), len(v))
			}
			if len(v) > 3 && bytes.Contains(s.Values[at], []byte(v)) {
				t.Fatal("C8.102: the sealed form holds the value")
			}
		}
		got, err := k.Open(record, s)
		if err != nil || len(values) > 0 && !maps.Equal(got, values) {
			t.Fatalf("opened %q, %v; want %q", got, err, values)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	right := keyring(t, line("a", 1))
	seal := func(record string, values map[string]string) *Sealed {
		s, err := right.Seal(record, values)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct {
		name   string
		by     *Keyring
		change func(*Sealed)
		want   error
	}{
		{"no key", nil, nil, ErrNoKey},
		{"another key", keyring(t, line("b", 1)), nil, ErrUnknownKey},
		{"another key of the same id", keyring(t, line("a", 2)), nil, ErrWrongKey},
		{"C8.102: moved within the record", right, func(s *Sealed) { s.Values["x"], s.Values["y"] = s.Values["y"], s.Values["x"] }, ErrWrongKey},
		{"C8.102: moved from another record", right, func(s *Sealed) { *s = *seal("r2", map[string]string{"x": "1", "y": "2"}) }, ErrWrongKey},
		{"another data key", right, func(s *Sealed) { s.DataKey = seal("r", map[string]string{"x": "1"}).DataKey }, ErrWrongKey},
		{"a value for a data key", right, func(s *Sealed) { s.DataKey = s.Values["x"] }, ErrWrongKey},
		{"a changed value", right, func(s *Sealed) { s.Values["x"][0] ^= 1 }, ErrWrongKey},
		{"a torn value", right, func(s *Sealed) { s.Values["x"] = s.Values["x"][:5] }, ErrWrongKey},
		{"nothing for a data key", right, func(s *Sealed) { s.DataKey = nil }, ErrWrongKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := seal("r", map[string]string{"x": "hush-1", "y": "hush-2"})
			if tt.change != nil {
				tt.change(s)
			}
			got, err := tt.by.Open("r", s)
			if !errors.Is(err, tt.want) || got != nil {
				t.Errorf("opened %q, %v; want %v", got, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("C5.24: the error holds the value: %v", err)
			}
		})
	}
	if _, err := (*Keyring)(nil).Seal("r", nil); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), "--cluster-key-file") {
		t.Errorf("sealed without a key: %v", err)
	}
}

func TestRewrap(t *testing.T) {
	before, during, after := keyring(t, line("a", 1)), keyring(t, line("b", 2), line("a", 1)), keyring(t, line("b", 2))
	values := map[string]string{"x": "1"}
	s, err := before.Seal("r", values)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := before.Rewrap(s); changed || err != nil {
		t.Errorf("under its own key: changed %v, %v", changed, err)
	}
	if _, err := after.Rewrap(s); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("without the old key: %v", err)
	}
	if changed, err := during.Rewrap(s); !changed || err != nil {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if changed, err := during.Rewrap(s); changed || err != nil {
		t.Errorf("a second time: changed %v, %v", changed, err)
	}
	if got, err := after.Open("r", s); err != nil || !maps.Equal(got, values) {
		t.Errorf("C8.102: the new key alone opens %q, %v", got, err)
	}
	if _, err := before.Open("r", s); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("the old key alone: %v", err)
	}
}

func TestParse(t *testing.T) {
	good := line("k1", 1)
	for _, tt := range []struct {
		name, text, want string // want is in the error; empty: no error
	}{
		{"one", good, ""},
		{"with comments, blanks and line ends of Windows", "# keys\r\n\r\n  " + good + "  \r\n", ""},
		{"two in a variable", good + "," + line("k2", 2), ""},
		{"nothing", "", "no cluster key"},
		{"only a comment", "# " + good, "no cluster key"},
		{"no id", strings.Fields(good)[1], "1 words"},
		{"three words", good + " x", "3 words"},
		{"an id with a slash", "a/b " + strings.Fields(good)[1], "the id"},
		{"an id too long", strings.Repeat("a", 33) + " " + strings.Fields(good)[1], "the id"},
		{"key and id changed places", strings.Fields(good)[1] + " k1", "the id"},
		{"torn within four characters", good[:len(good)-3], "whole"},
		{"torn at four characters", good[:len(good)-4], "whole"},
		{"a short key", "k1 " + base64.StdEncoding.EncodeToString(make([]byte, 16)), "16 bytes"},
		{"the second line torn", good + "\n" + line("k2", 2)[:20], "line 2"},
		{"twice the same id", good + "\n" + line("k1", 2), "second key"},
		{"too many", strings.Repeat("\n", 1) + many(17), "at most 16"},
		{"too long", strings.Repeat("#", maxFile+1), "at most"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := Parse(tt.text)
			if tt.want == "" {
				if err != nil || k.IDs()[0] != "k1" {
					t.Errorf("%v, %v", k, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q in it", err, tt.want)
			}
			if strings.Contains(err.Error(), strings.Fields(good)[1][:8]) {
				t.Errorf("the error holds a key: %v", err)
			}
		})
	}
}

func many(n int) string {
	var out []string
	for i := range n {
		out = append(out, line(fmt.Sprint("k", i), byte(i)))
	}
	return strings.Join(out, "\n")
}

func FuzzParse(f *testing.F) {
	f.Add(line("k1", 1))
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := Parse(text); err == nil {
			if s, err := k.Seal("r", map[string]string{"x": "y"}); err != nil || s.KeyID != k.IDs()[0] {
				t.Errorf("a keyring that seals nothing: %v", err)
			}
		}
	})
}

func TestNewKey(t *testing.T) {
	a, err := NewKey("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewKey("b")
	if err != nil {
		t.Fatal(err)
	}
	if k, err := Parse(a + "\n" + b); err != nil || len(k.IDs()) != 2 || a[2:] == b[2:] {
		t.Errorf("%v, %v", k, err)
	}
	if _, err := NewKey("not an id"); err == nil {
		t.Error("no error for a bad id")
	}
}

// Nothing prints a key.
func TestPrinted(t *testing.T) {
	k := keyring(t, line("k1", 'S'), line("k2", 'S'))
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "keys", k)
	fmt.Fprintf(&out, "%v %+v %#v %s %v", k, k, k, k, k.keys)
	if strings.Contains(out.String(), "SSS") || strings.Contains(out.String(), "83 83") || !strings.Contains(out.String(), "k2") {
		t.Errorf("printed: %s", out.String())
	}
}

func BenchmarkOpen(b *testing.B) {
	k := keyring(b, line("a", 1))
	s, err := k.Seal("r", map[string]string{"x": strings.Repeat("v", 64)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Open("r", s); err != nil {
			b.Fatal(err)
		}
	}
}
