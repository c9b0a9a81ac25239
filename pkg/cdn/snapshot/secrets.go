// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/secretfield"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// Opener decrypts the secrets of the record at an etcd key; what it returns is by
// place (package secretfield). Its error may be shown to operators.
type Opener func(key string, sealed *storev1.Secrets) (map[string]string, error)

// WithSecrets returns the snapshot in which records with secrets are opened by open,
// from the next change on. Without it they are rejected.
func (s *Snapshot) WithSecrets(open Opener) *Snapshot {
	out := *s
	out.open = open
	return &out
}

// fill puts the secrets of the record into its resource. One without secrets costs
// nothing.
func (w *item) fill(m proto.Message, open Opener) error {
	sealed := w.record.Secrets
	w.record.Secrets = nil // not kept beside the compiled form
	if len(sealed.GetValues()) == 0 {
		return nil
	}
	if open == nil {
		return &Error{ReasonSecrets, "it has secrets, and nothing to open them is configured"}
	}
	values, err := open(w.Key, sealed)
	if err == nil {
		err = secretfield.Fill(m, values)
	}
	if err != nil {
		return &Error{ReasonSecrets, "its secrets cannot be read: " + err.Error()}
	}
	return nil
}

// Secret is a text that no log, page or format verb shows.
type Secret struct{ text *string }

// NewSecret hides a text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String says that there is something, and not what.
func (s Secret) String() string { return "(secret)" }

// MarshalText is String, for pages and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// CustomHeader is a header that an origin gets with each request, in place of any other
// of that name (C5.23, D15.6).
type CustomHeader struct {
	Name  string
	Value Secret
}

// stored is either kind of origin's header.
type stored interface {
	GetName() string
	GetValue() string
}

func customHeaders[H stored](in []H) []CustomHeader {
	out := make([]CustomHeader, 0, len(in))
	for _, h := range in {
		out = append(out, CustomHeader{h.GetName(), NewSecret(h.GetValue())})
	}
	return slices.Clip(out)
}

// merge returns the registered headers with those of the distribution: one of a name
// that is in both is the distribution's (C5.33).
func merge(registered, own []CustomHeader) []CustomHeader {
	if len(own) == 0 {
		return registered
	}
	out := slices.Clone(own)
	for _, h := range registered {
		if _, replaced := customHeader(own, h.Name); !replaced {
			out = append(out, h)
		}
	}
	return out
}

func customHeader(headers []CustomHeader, name string) (CustomHeader, bool) {
	for _, h := range headers {
		if header.Equal(h.Name, name) {
			return h, true
		}
	}
	return CustomHeader{}, false
}

// hidesEncoding says whether headers say, by an empty one, that the origin is not to
// hear of Accept-Encoding (D11.20).
func hidesEncoding(headers []CustomHeader) bool {
	h, ok := customHeader(headers, "Accept-Encoding")
	return ok && h.Value.Reveal() == ""
}

// HidesEncoding says whether the viewer's Accept-Encoding is neither in the key nor
// sent to the origin of a target (D11.20).
func (s *Snapshot) HidesEncoding(t *Target) bool {
	if t.inline != nil {
		return t.inline.hidesEncoding
	}
	if t.setsEncoding {
		return t.hidesEncoding
	}
	o, ok := s.origins.get(t.ref)
	return ok && o.hidesEncoding
}
