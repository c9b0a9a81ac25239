// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// sealed is record with secrets, in clear for upside, which opens them.
func sealed(t testing.TB, c keys.Collection, id string, rev int64, m proto.Message, values map[string]string) Change {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s := &storev1.Secrets{KeyId: "k", Values: map[string][]byte{}}
	for at, v := range values {
		s.Values[at] = []byte(v)
	}
	v, err := keys.Encode(&storev1.Record{WriteId: 1, Resource: b, Secrets: s})
	if err != nil {
		t.Fatal(err)
	}
	return Change{Key: keys.Resource(c, id), Value: v, ModRevision: rev}
}

// upside opens what sealed makes, by swapping cases; records of other keys not.
func upside(key string, s *storev1.Secrets) (map[string]string, error) {
	if s.GetKeyId() != "k" {
		return nil, fmt.Errorf("cluster key %q is not there", s.GetKeyId())
	}
	out := map[string]string{}
	for at, v := range s.GetValues() {
		out[at] = strings.ToUpper(string(v)) + "@" + key[len("/seafront/v1/r/"):]
	}
	return out, nil
}

// referring is a distribution with a registered origin and own headers by name.
func referring(names ...string) *configv1.Distribution {
	d := distribution("1", "o", optimized)
	d.Config.Origins[0].Source = &configv1.Origin_OriginRef{OriginRef: "origins/o"}
	for _, n := range names {
		d.Config.Origins[0].CustomHeaders = append(d.Config.Origins[0].CustomHeaders, &configv1.OriginCustomHeader{Name: n})
	}
	return d
}

func revealed(s *Snapshot, host string) map[string]string {
	d, _ := s.Match(host)
	o, _ := s.Origin(d.Behavior("/").Origin)
	out := map[string]string{}
	for _, h := range o.Headers {
		out[h.Name] += h.Value.Reveal()
	}
	return out
}

func TestCustomHeaders(t *testing.T) {
	registered := &originv1.Origin{Endpoint: endpoint("o"), CustomHeaders: []*originv1.OriginHeader{{Name: "X-Key"}, {Name: "X-Two"}, {Name: "X-Empty"}}}
	inline := distribution("2", "o", optimized)
	inline.Config.Origins[0].CustomHeaders = []*configv1.OriginCustomHeader{{Name: "X-Key"}}
	s, report := Empty().WithSecrets(upside).Apply(5, []Change{
		sealed(t, keys.Origins, "o", 1, registered, map[string]string{`custom_headers["x-key"].value`: "a", `custom_headers["x-two"].value`: "b"}),
		sealed(t, keys.Distributions, "1", 2, referring("x-KEY"), map[string]string{`config.origins["web"].custom_headers["x-key"].value`: "c"}),
		sealed(t, keys.Distributions, "2", 3, inline, map[string]string{`config.origins["web"].custom_headers["x-key"].value`: "d"}),
	})
	for _, a := range report.Applied {
		if a.Rejected != nil {
			t.Errorf("%+v", a.Rejected)
		}
	}
	if diff := cmp.Diff(map[string]string{"x-KEY": "C@distributions/1", "X-Two": "B@origins/o", "X-Empty": ""}, revealed(s, "d1.cdn.test")); diff != "" {
		t.Errorf("C5.33: the distribution's own headers replace those of the registry (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"X-Key": "D@distributions/2"}, revealed(s, "d2.cdn.test")); diff != "" {
		t.Errorf("C2.48: of an inline origin (-want +got)\n%s", diff)
	}
	s, _ = s.Apply(6, []Change{record(t, keys.Distributions, "1", 6, referring())})
	if diff := cmp.Diff(map[string]string{"X-Key": "A@origins/o", "X-Two": "B@origins/o", "X-Empty": ""}, revealed(s, "d1.cdn.test")); diff != "" {
		t.Errorf("C5.33: without own ones (-want +got)\n%s", diff)
	}
}

// TestRejectedSecrets shows that a record whose secrets cannot be opened leaves its
// last good version in service and says why (C8.76).
func TestRejectedSecrets(t *testing.T) {
	good := sealed(t, keys.Origins, "o", 1, &originv1.Origin{Endpoint: endpoint("old")}, nil)
	values := map[string]string{`custom_headers["x-key"].value`: "hush"}
	next := sealed(t, keys.Origins, "o", 2, &originv1.Origin{Endpoint: endpoint("new"), CustomHeaders: []*originv1.OriginHeader{{Name: "X-Key"}}}, values)
	for _, tt := range []struct {
		name   string
		open   Opener
		change Change
		want   string
	}{
		{"no cluster key", nil, next, "nothing to open them"},
		{"another cluster key", func(string, *storev1.Secrets) (map[string]string, error) { return nil, errors.New("cluster key") }, next, "cannot be read: cluster key"},
		{"no place for it", upside, sealed(t, keys.Origins, "o", 2, &originv1.Origin{Endpoint: endpoint("new")}, values), "not in the resource"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := Empty().WithSecrets(tt.open).Apply(1, []Change{good, record(t, keys.Distributions, "1", 1, referring())})
			s, report := s.Apply(2, []Change{tt.change})
			r := report.Applied[0].Rejected
			if r == nil || r.Reason != ReasonSecrets || r.Resource != "origins/o" || !strings.Contains(r.Message, tt.want) || strings.Contains(r.Message, "hush") {
				t.Fatalf("C8.76: rejected %+v, want %q", r, tt.want)
			}
			d, _ := s.Match("d1.cdn.test")
			if o, ok := s.Origin(d.Behavior("/").Origin); !ok || o.Host != "old" {
				t.Errorf("C8.76: in service %+v, want the old version", o)
			}
		})
	}
}

func TestHidesEncoding(t *testing.T) {
	encoding := func(value string) []*originv1.OriginHeader {
		return []*originv1.OriginHeader{{Name: "accept-encoding", Value: value}}
	}
	for _, tt := range []struct {
		name       string
		registered []*originv1.OriginHeader
		own        string // of the distribution: "", "empty" or a value
		want       bool
	}{
		{"none", nil, "", false},
		{"of the registry", encoding(""), "", true},
		{"with a value", encoding("gzip"), "", false},
		{"of the distribution", nil, "empty", true},
		{"of the distribution in place of a value", encoding("gzip"), "empty", true},
		{"a value of the distribution in its place", encoding(""), "br", false},
	} {
		t.Run("D11.20: "+tt.name, func(t *testing.T) {
			registered := referring()
			inline := distribution("2", "o", optimized)
			if tt.own != "" {
				own := []*configv1.OriginCustomHeader{{Name: "Accept-Encoding", Value: strings.TrimPrefix(tt.own, "empty")}}
				registered.Config.Origins[0].CustomHeaders, inline.Config.Origins[0].CustomHeaders = own, own
			}
			s, _ := Empty().Apply(3, []Change{
				record(t, keys.Origins, "o", 1, &originv1.Origin{Endpoint: endpoint("o"), CustomHeaders: tt.registered}),
				record(t, keys.Distributions, "1", 2, registered), record(t, keys.Distributions, "2", 3, inline),
			})
			for host, want := range map[string]bool{"d1.cdn.test": tt.want, "d2.cdn.test": tt.own == "empty"} {
				d, _ := s.Match(host)
				if got := s.HidesEncoding(d.Behavior("/").Origin); got != want {
					t.Errorf("%s: %v, want %v", host, got, want)
				}
			}
		})
	}
}

// TestSecretsAreNotPrinted prints what a careless line would.
func TestSecretsAreNotPrinted(t *testing.T) {
	o := &Origin{Headers: []CustomHeader{{"X-Key", NewSecret("hush")}}}
	target := Target{headers: o.Headers, inline: o}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "o", o, "h", o.Headers, "v", o.Headers[0].Value)
	text := fmt.Sprintf("%v %+v %#v %v %+v %s", o, *o, o, target, target, o.Headers) + log.String()
	if strings.Contains(text, "hush") || !strings.Contains(text, "(secret)") {
		t.Errorf("C5.24: printed %s", text)
	}
}
