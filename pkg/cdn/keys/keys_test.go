// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

func TestKeys(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"C8.22: distribution", Resource(Distributions, "E1"), "/seafront/v1/r/distributions/E1"},
		{"C8.27: origin", Resource(Origins, "web"), "/seafront/v1/r/origins/web"},
		{"C8.30: host", Host("www.example.com"), "/seafront/v1/c/hosts/com.example.www"},
		{"C8.30: wildcard", Host("*.example.com"), "/seafront/v1/c/hosts/com.example.*"},
		{"C8.31: label", Label("d123"), "/seafront/v1/c/labels/d123"},
		{"C8.33: reference", Ref(Origins, "web", Distributions, "E1"), "/seafront/v1/c/refs/origins/web/distributions/E1"},
		{"C8.39: edge status", EdgeStatus("a"), "/seafront/v1/s/edges/a"},
		{"design 3.1: edge identity", Edge("a"), "/seafront/v1/e/edges/a"},
		{"C8.37: what operators want of an edge", EdgeIntent("a b"), "/seafront/v1/e/intents/a%20b"},
		{"C8.28: invalidation", Invalidation("E1", "I1"), "/seafront/v1/r/invalidations/E1/I1"},
		{"design 3.5: completion", Completion("E1", "I1"), "/seafront/v1/s/invalidations/E1/I1"},
		{"C8.34: caller references are within a distribution", InvalidationReferencesOf("E1"), "/seafront/v1/c/idem/invalidations/E1/"},
		{"C8.32: unique name", UniqueName(KeyGroups, "a b"), "/seafront/v1/c/names/keyGroups/a%20b"},
		{"C8.36: draft of a function", Draft("f"), "/seafront/v1/c/functions/f"},
		{"C2.152: entry of a store", Entry("s", "a/b"), "/seafront/v1/r/keyValueEntries/s/a%2Fb"},
		{"design §5: version", Version("E1", 7), "/seafront/v1/c/versions/E1/0000000000000000007"},
		{"C8.44: a name never holds a slash", Edge("a/b c"), "/seafront/v1/e/edges/a%2Fb%20c"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	if k := CallerReference(Distributions, "a/b"); strings.Count(k, "/") != 7 || !strings.HasPrefix(k, "/seafront/v1/c/idem/distributions/-/") {
		t.Errorf("C8.34: caller reference key %q", k)
	}
}

func TestRanges(t *testing.T) {
	in := func(k, from, to string) bool { return from <= k && k < to }
	for _, k := range []string{Edge("x"), Resource(Origins, "x"), Beat, Epoch, Root + "h/origins/x"} {
		if !in(k, EdgeFrom, EdgeTo) {
			t.Errorf("design 3.1: an edge does not see %q", k)
		}
	}
	for _, k := range []string{EdgeStatus("x"), Completion("E1", "I1"), InvalidationReference("E1", "x"), Host("a.b"), Label("d"), Ref(Origins, "o", Distributions, "d")} {
		if in(k, EdgeFrom, EdgeTo) {
			t.Errorf("C8.42: an edge sees %q", k)
		}
	}
	for _, k := range []string{EdgeStatus("x"), Completion("E1", "I1")} {
		if !in(k, EdgeFrom, ConfigTo) {
			t.Errorf("config does not see %q", k)
		}
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		key  string
		kind Kind
		id   string
	}{
		{Resource(Distributions, "E1"), KindDistribution, "E1"},
		{Resource(CachePolicies, "p"), KindCachePolicy, "p"},
		{Resource(Origins, "o"), KindOrigin, "o"},
		{Edge("a/b"), KindEdge, "a/b"},
		{EdgeStatus("a"), KindEdgeStatus, "a"},
		{EdgeIntent("a/b"), KindEdgeIntent, "a/b"},
		{Invalidation("E1", "I1"), KindInvalidation, "I1"},
		{InvalidationsOf("E1"), KindOther, ""},
		{Invalidation("E1", "I1") + "/x", KindOther, ""},
		{Epoch, KindEpoch, ""},
		{Beat, KindBeat, ""},
		{Root + "r/keyGroups/x", KindOther, ""},
		{Root + "r/distributions/", KindOther, ""},
		{Root + "r/distributions/a/b", KindOther, ""},
		{Root + "r/distributions/a%2", KindOther, ""},
		{Resource(Distributions, "a b"), KindDistribution, "a b"},
		{Root + "r/distributions/a b", KindOther, ""},  // not escaped
		{Root + "r/distributions/%41", KindOther, ""},  // escaped without need
		{Root + "r/distributions/a%2f", KindOther, ""}, // escaped in another case
		{"", KindOther, ""},
	} {
		if k, id := Parse(tt.key); k != tt.kind || id != tt.id {
			t.Errorf("Parse(%q) = %v, %q, want %v, %q", tt.key, k, id, tt.kind, tt.id)
		}
	}
	if d, id, ok := ParseCompletion(Completion("E 1", "I1")); d != "E 1" || id != "I1" || !ok {
		t.Errorf("ParseCompletion = %q, %q, %v", d, id, ok)
	}
	if _, _, ok := ParseCompletion(Invalidation("E1", "I1")); ok {
		t.Error("ParseCompletion accepts the key of an invalidation")
	}
	if k := InvalidationReference("E1", "a/b"); !strings.HasPrefix(k, InvalidationReferencesOf("E1")) || strings.Count(k, "/") != 7 {
		t.Errorf("C8.34: caller reference key %q", k)
	}
	c, id, err := ParseRef(Ref(Origins, "o", Distributions, "E 1"))
	if c != Distributions || id != "E 1" || err != nil {
		t.Errorf("ParseRef = %v, %q, %v", c, id, err)
	}
	if _, _, err := ParseRef(Beat); err == nil {
		t.Error("ParseRef accepts a key that is no reference")
	}
}

func TestEscapeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		e := escape(s)
		if strings.ContainsAny(e, "/ \x00") {
			t.Fatalf("escape(%q) = %q", s, e)
		}
		if got, err := unescape(e); got != s || err != nil {
			t.Fatalf("unescape(escape(%q)) = %q, %v", s, got, err)
		}
	})
}

func TestRecord(t *testing.T) {
	for _, size := range []int{0, 10, compressAbove, 200 << 10} {
		in := &storev1.Record{WriteId: 7, Resource: []byte(strings.Repeat("a", size))}
		b, err := Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		if wantPacked := size >= compressAbove; (b[0] == formatZstd) != wantPacked {
			t.Errorf("C8.43: %d bytes: format %#x", size, b[0])
		}
		var out storev1.Record
		if err := Decode(b, &out); err != nil || !proto.Equal(in, &out) {
			t.Errorf("%d bytes: decoded %v, %v", size, &out, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	var out storev1.Record
	if err := Decode(nil, &out); !errors.Is(err, ErrFormat) {
		t.Errorf("empty: %v", err)
	}
	if err := Decode([]byte{2, 0}, &out); !errors.Is(err, ErrFormat) {
		t.Errorf("unknown format: %v", err)
	}
	if err := Decode([]byte{formatZstd, 1, 2, 3}, &out); err == nil {
		t.Error("broken compression accepted")
	}
	if err := Decode([]byte{formatPlain, 0xff}, &out); err == nil {
		t.Error("broken message accepted")
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := Encode(&storev1.Record{WriteId: 1, Resource: make([]byte, 5000)})
	f.Add(b)
	f.Add([]byte{formatPlain})
	f.Fuzz(func(t *testing.T, b []byte) {
		var out storev1.Record
		_ = Decode(b, &out) // must not panic or take unbounded memory
	})
}

func TestETag(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Uint64().Draw(t, "id")
		e := ETag(id)
		if len(e) != 14 {
			t.Fatalf("C3.11: etag %q", e)
		}
		if got, ok := ParseETag(e); got != id || !ok {
			t.Fatalf("ParseETag(%q) = %d, %v", e, got, ok)
		}
	})
	for _, bad := range []string{"", "!", `"EAAAAAAAAAAAAA"`, "W/EAAAAAAAAAAA", "EAAAAAAAAAAAA1", "AAAAAAAAAAAAAA", "EAAAAAAAAAAAAB", "*"} {
		if _, ok := ParseETag(bad); ok {
			t.Errorf("C3.6: %q accepted as an etag", bad)
		}
	}
}

func TestInvalidationID(t *testing.T) {
	form := regexp.MustCompile(`^I[A-Z0-9]{13}$`)
	rapid.Check(t, func(t *rapid.T) {
		older := time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "older"))
		newer := older.Add(time.Duration(rapid.Int64Range(1, 1<<50).Draw(t, "microseconds")) * time.Microsecond)
		a, b := NewInvalidationID(older), NewInvalidationID(newer)
		if !form.MatchString(a) || !form.MatchString(b) {
			t.Fatalf("C3.41: ids %q, %q", a, b)
		}
		if b >= a {
			t.Fatalf("C3.25: %q of %v does not stand before %q of %v", b, newer, a, older)
		}
	})
	if id := NewInvalidationID(time.Time{}); !form.MatchString(id) {
		t.Errorf("C3.41: id %q of a clock that is wrong", id)
	}
}

func TestIdentifiers(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id, label := NewDistributionID(), NewLabel()
		if len(id) != 14 || id[0] != 'E' || strings.ToUpper(id) != id {
			t.Fatalf("C3.41: id %q", id)
		}
		if len(label) != 14 || label[0] != 'd' || strings.ToLower(label) != label {
			t.Fatalf("C3.39: label %q", label)
		}
		if seen[id] || seen[label] || NewWriteID() == 0 {
			t.Fatal("not random")
		}
		seen[id], seen[label] = true, true
	}
}

func TestHostKeys(t *testing.T) {
	for _, alias := range []string{"www.example.com", "*.example.com", "xn--bcher-kva.example"} {
		if got, err := ParseHost(Host(alias)); err != nil || got != alias {
			t.Errorf("C8.30: %s is read as %q, %v", alias, got, err)
		}
	}
	if _, err := ParseHost(Label("d1")); err == nil {
		t.Error("a label was read as a host name")
	}
	below := HostsBelow("*.example.com")
	for alias, want := range map[string]bool{
		"*.example.com": true, "a.example.com": true, "*.b.example.com": true, "example.com": false, "wexample.com": false, "a.other.com": false,
	} {
		if got := strings.HasPrefix(Host(alias), below); got != want {
			t.Errorf("C8.45: %s below *.example.com: %v, want %v", alias, got, want)
		}
	}
}
