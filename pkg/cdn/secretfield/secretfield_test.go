// SPDX-License-Identifier: Apache-2.0

package secretfield_test

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/seafront-cdn/seafront/pkg/cdn/secretfield"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	_ "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// secrets is the whole list of secret fields. One that is not here is in clear in the
// store and in every answer.
var secrets = []string{
	"seafront.config.v1.Certificate.private_key_pem",
	"seafront.config.v1.OriginCustomHeader.value",
	"seafront.config.v1.RotateCertificateRequest.private_key_pem",
	"seafront.origin.v1.OriginHeader.value",
}

func header(name, value string) *configv1.OriginCustomHeader {
	return &configv1.OriginCustomHeader{Name: name, Value: value}
}

func distribution(origins ...*configv1.Origin) *configv1.Distribution {
	return &configv1.Distribution{Config: &configv1.DistributionConfig{Comment: "c", Origins: origins}}
}

func TestPlaces(t *testing.T) {
	d := distribution(
		&configv1.Origin{Id: "web", CustomHeaders: []*configv1.OriginCustomHeader{header("X-Key", "1"), header("X-None", "")}},
		&configv1.Origin{Id: `b"]`, CustomHeaders: []*configv1.OriginCustomHeader{header("X-Key", "2")}},
		&configv1.Origin{Id: "none"},
	)
	want := map[string]string{
		`config.origins["web"].custom_headers["x-key"].value`:  "1",
		`config.origins["web"].custom_headers["x-none"].value`: "",
		`config.origins["b\"]"].custom_headers["x-key"].value`: "2",
	}
	got := secretfield.Values(d)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("C9.42: (-want +got)\n%s", diff)
	}
	slices.Reverse(d.Config.Origins)
	d.Config.Origins[1].CustomHeaders[0].Name = "x-KEY"
	if diff := cmp.Diff(want, secretfield.Values(d)); diff != "" {
		t.Errorf("C9.42: in another order, with names in another case: (-want +got)\n%s", diff)
	}
	full := proto.CloneOf(d)
	d.Config.Origins[2].CustomHeaders[1].Clear = true
	if got := secretfield.Cleared(d); len(got) != 1 || !got[`config.origins["web"].custom_headers["x-none"].value`] {
		t.Errorf("cleared: %v", got)
	}
	secretfield.Strip(d)
	if text := d.String(); strings.Contains(text, `value:`) || strings.Contains(text, "clear") || !strings.Contains(text, "x-KEY") {
		t.Errorf("C9.42: stripped: %s", text)
	}
	if err := secretfield.Fill(d, want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, d, protocmp.Transform()); diff != "" {
		t.Errorf("filled again: (-want +got)\n%s", diff)
	}
	if err := secretfield.Fill(d, map[string]string{"config.x": "hush"}); err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "config.x") {
		t.Errorf("a value without a place: %v", err)
	}
	if got := secretfield.Values(&originv1.Origin{DisplayName: "x"}); len(got) != 0 {
		t.Errorf("places where there are none: %v", got)
	}
}

// TestList compares the list with the marks in the protos, and demands that each
// secret can be told apart from every other one of its resource.
func TestList(t *testing.T) {
	var marked []string
	protoregistry.GlobalTypes.RangeMessages(func(m protoreflect.MessageType) bool {
		name := m.Descriptor().FullName()
		if !strings.HasPrefix(string(name), "seafront.") {
			return true
		}
		for i := range m.Descriptor().Fields().Len() {
			fd := m.Descriptor().Fields().Get(i)
			if secretfield.Is(fd) {
				marked = append(marked, string(fd.FullName()))
				if fd.IsList() || fd.IsMap() || fd.Kind() != protoreflect.StringKind && fd.Kind() != protoreflect.BytesKind {
					t.Errorf("%s is neither a string nor bytes", fd.FullName())
				}
			}
			// What is stored has places; requests and answers only lead to it.
			call := strings.HasSuffix(string(name), "Request") || strings.HasSuffix(string(name), "Response")
			if call || fd.Message() == nil || !holds(fd.Message(), map[protoreflect.FullName]bool{}) {
				continue
			}
			named := fd.Message().Fields().ByName("id") != nil || fd.Message().Fields().ByName("name") != nil
			if fd.IsMap() || fd.IsList() && !named {
				t.Errorf("%s holds secrets in elements that have neither id nor name", fd.FullName())
			}
		}
		return true
	})
	slices.Sort(marked)
	if diff := cmp.Diff(secrets, marked); diff != "" {
		t.Errorf("secret fields: (-list +debug_redact)\n%s", diff)
	}
}

func holds(m protoreflect.MessageDescriptor, met map[protoreflect.FullName]bool) bool {
	if met[m.FullName()] {
		return false
	}
	met[m.FullName()] = true
	for i := range m.Fields().Len() {
		fd := m.Fields().Get(i)
		if secretfield.Is(fd) || fd.Message() != nil && holds(fd.Message(), met) {
			return true
		}
	}
	return false
}

// TestSecretsAreMarked reads the protos as people do: what is called a secret, in its
// comment or by its name, has the mark.
func TestSecretsAreMarked(t *testing.T) {
	field := regexp.MustCompile(`^\s*(?:optional |repeated )?(?:string|bytes) (\w+) = \d+(.*)$`)
	comment := regexp.MustCompile(`\bA secret\b|\bnever returned\b`)
	name := regexp.MustCompile(`secret|password|passphrase|credential|private_key|api_key|^token$|_token$`)
	root := os.DirFS("../../../proto/seafront")
	found := 0
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, "store/") {
			return err
		}
		text, err := fs.ReadFile(root, path)
		above := ""
		for line := range strings.Lines(string(text)) {
			line = strings.TrimRight(line, "\n")
			if said, ok := strings.CutPrefix(strings.TrimSpace(line), "//"); ok {
				above += said
				continue
			}
			if f := field.FindStringSubmatch(line); f != nil && (comment.MatchString(above) || name.MatchString(f[1]) && !strings.HasSuffix(f[1], "page_token")) {
				found++
				if !strings.Contains(f[2], "debug_redact = true") {
					t.Errorf("%s: %s is a secret without debug_redact", path, f[1])
				}
			}
			above = ""
		}
		return err
	})
	if err != nil || found != len(secrets) {
		t.Errorf("%d secrets in the protos, %v; the list has %d", found, err, len(secrets))
	}
}
