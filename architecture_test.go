// SPDX-License-Identifier: Apache-2.0

package seafront_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module   = "github.com/seafront-cdn/seafront"
	licence  = "SPDX-License-Identifier: Apache-2.0"
	maxLines = 400 // of a file; what is longer is read by nobody
)

// source is one file of the repository, by its path from the root.
type source struct {
	path string
	text string
	ast  *ast.File // of Go files
	fset *token.FileSet
}

func (s source) dir() string     { return path.Dir(s.path) }
func (s source) isGo() bool      { return s.ast != nil }
func (s source) isTest() bool    { return strings.HasSuffix(s.path, "_test.go") }
func (s source) generated() bool { return s.isGo() && ast.IsGenerated(s.ast) }

// at is where a node stands, for messages.
func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

// imports yields what a Go file imports and where.
func (s source) imports(yield func(name, at string)) {
	for _, i := range s.ast.Imports {
		yield(strings.Trim(i.Path.Value, `"`), s.at(i))
	}
}

// below says whether a folder or package is dir or inside it.
func below(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// repository reads all sources that people wrote or generated: Go, protos, scripts.
func repository(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// .ci is the one folder with a dot that holds code.
			if name != "." && name != ".ci" && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		s, ok, err := read(filepath.ToSlash(name))
		if ok {
			all = append(all, s)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func read(name string) (source, bool, error) {
	switch path.Ext(name) {
	case ".go", ".proto", ".sh":
	default:
		if !below(name, ".ci") {
			return source{}, false, nil
		}
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return source{}, false, err
	}
	s := source{path: name, text: string(raw), fset: token.NewFileSet()}
	if path.Ext(name) == ".go" {
		s.ast, err = parser.ParseFile(s.fset, name, raw, parser.ParseComments|parser.SkipObjectResolution)
	}
	return s, true, err
}

// arrow is a rule about what the files of a folder import.
type arrow struct {
	name string
	// from are the folders that it binds, except what lies in but.
	from, but []string
	// never are package prefixes that are not imported; only, when set, are the
	// prefixes of all that is imported beside the standard library.
	never, only []string
	// tests are bound as well.
	tests bool
}

func arrows() []arrow {
	service := func(name string, others ...string) arrow {
		a := arrow{name: "no service imports another, nor a program", from: []string{"services/" + name}, tests: true, never: []string{module + "/cmd"}}
		for _, o := range others {
			a.never = append(a.never, module+"/services/"+o)
		}
		return a
	}
	return []arrow{
		service("config", "edge", "origin-registry"),
		service("edge", "config", "origin-registry"),
		service("origin-registry", "config", "edge"),
		{
			name: "pkg is below services and programs", from: []string{"pkg"}, tests: true,
			never: []string{module + "/services", module + "/cmd", module + "/test"},
		},
		{
			name: "pkg/cdn needs the API and hardly a library", from: []string{"pkg/cdn"},
			only: []string{module + "/pkg/cdn", module + "/proto", "google.golang.org/protobuf", "github.com/klauspost/compress", "github.com/tdewolff/parse"},
		},
		{
			name: "pkg/cdn does no I/O", from: []string{"pkg/cdn"},
			never: []string{"net$", "net/http", "os", "syscall", "log", "database"},
		},
		{
			// records and collection are domain: they know the envelope of records and their keys.
			name: "plumbing knows no domain", from: []string{"pkg"}, but: []string{"pkg/cdn", "pkg/records", "pkg/collection", "pkg/fsck"},
			never: []string{module + "/pkg/cdn", module + "/proto", module + "/pkg/records"},
		},
		{
			name: "records are below every resource", from: []string{"pkg/records"},
			never: []string{module + "/pkg/cdn/rules", module + "/pkg/cdn/snapshot", module + "/proto/gen/seafront/config", module + "/proto/gen/seafront/origin"},
		},
		{
			name: "the API needs gRPC and protobuf and nothing else", from: []string{"proto"},
			only: []string{module + "/proto", "google.golang.org/protobuf", "google.golang.org/grpc"},
		},
		{
			name: "the request path knows no server library (design 3.6)", never: []string{"net/http", "golang.org/x/net/http2"},
			from: []string{
				"services/edge/internal/exchange", "services/edge/internal/fill", "services/edge/internal/httpcache",
				"services/edge/internal/pipeline", "services/edge/internal/store",
			},
		},
		{
			// deploy builds etcd's own programs from its module.
			name: "only the embedded store brings etcd's server", from: []string{"."},
			but:   []string{"pkg/etcd/embedded", "cmd", "deploy", "tools"},
			never: []string{"go.etcd.io/etcd/server"},
		},
		{
			name: "nothing imports a test module", from: []string{"cmd", "services", "pkg", "proto", "deploy"}, tests: true,
			never: []string{module + "/test"},
		},
	}
}

func (a arrow) binds(s source) bool {
	in := func(dirs []string) bool {
		return slices.ContainsFunc(dirs, func(d string) bool { return d == "." || below(s.dir(), d) })
	}
	return (a.tests || !s.isTest()) && in(a.from) && !in(a.but)
}

func (a arrow) allows(name string) bool {
	matches := func(prefix string) bool {
		exact, whole := strings.CutSuffix(prefix, "$")
		return name == exact || (!whole && below(name, prefix))
	}
	if slices.ContainsFunc(a.never, matches) {
		return false
	}
	first, _, _ := strings.Cut(name, "/")
	standard := !strings.Contains(first, ".")
	return len(a.only) == 0 || standard || slices.ContainsFunc(a.only, matches)
}

func TestArrows(t *testing.T) {
	files := repository(t)
	for _, a := range arrows() {
		t.Run(a.name, func(t *testing.T) {
			bound := 0
			for _, s := range files {
				if !s.isGo() || !a.binds(s) {
					continue
				}
				bound++
				s.imports(func(name, at string) {
					if !a.allows(name) {
						t.Errorf("%s imports %s", at, name)
					}
				})
			}
			if bound == 0 {
				t.Errorf("binds no file: are %q still there?", a.from)
			}
		})
	}
}

func TestArrowAllows(t *testing.T) {
	a := arrow{never: []string{"net$", "net/http", "example.org/b"}, only: []string{"example.org"}}
	for name, want := range map[string]bool{
		"strings": true, "net": false, "net/netip": true, "net/http": false, "net/http/httptest": false,
		"example.org/a": true, "example.org/b": false, "example.org/bc": true, "example.net/a": false,
	} {
		if got := a.allows(name); got != want {
			t.Errorf("allows(%s) = %v, want %v", name, got, want)
		}
	}
}

func TestPackages(t *testing.T) {
	// Names that say nothing about what is inside.
	empty := regexp.MustCompile(`^(utils?|common|helpers?|types|models?|managers?|impl|misc|base|lib|shared|core)$`)
	type folder struct{ code, said, saidByTests bool }
	folders := map[string]*folder{}
	for _, s := range repository(t) {
		if !s.isGo() || s.generated() {
			continue
		}
		if name := s.ast.Name.Name; empty.MatchString(strings.TrimSuffix(name, "_test")) || empty.MatchString(path.Base(s.dir())) {
			t.Errorf("%s: package %s has a name that says nothing", s.path, name)
		}
		f := folders[s.dir()]
		if f == nil {
			f = &folder{}
			folders[s.dir()] = f
		}
		f.code = f.code || !s.isTest()
		f.said = f.said || (!s.isTest() && s.ast.Doc != nil)
		f.saidByTests = f.saidByTests || (s.isTest() && s.ast.Doc != nil)
	}
	for dir, f := range folders {
		if !f.said && (f.code || !f.saidByTests) {
			t.Errorf("%s: no package comment", dir)
		}
	}
}

func TestFiles(t *testing.T) {
	numbered := regexp.MustCompile(`^TODO\(#[0-9]+\)`)
	promise := regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	for _, s := range repository(t) {
		if s.generated() {
			continue
		}
		head := s.text
		if strings.HasPrefix(head, "#!") {
			_, head, _ = strings.Cut(head, "\n")
		}
		if first, _, _ := strings.Cut(head, "\n"); !strings.HasSuffix(first, licence) {
			t.Errorf("%s: does not begin with %q", s.path, licence)
		}
		if n := strings.Count(s.text, "\n"); n > maxLines && !s.isTest() && path.Ext(s.path) != ".proto" {
			t.Errorf("%s: %d lines, at most %d", s.path, n, maxLines)
		}
		if s.path == "architecture_test.go" {
			continue // it names what it looks for
		}
		for n, line := range strings.Split(s.text, "\n") {
			if i := promise.FindStringIndex(line); i != nil && !numbered.MatchString(line[i[0]:]) {
				t.Errorf("%s:%d: a promise without the number of its issue: %s", s.path, n+1, strings.TrimSpace(line))
			}
		}
	}
}

// TestNothingBinaryIsCommitted holds what is under version control to text of a
// reasonable size: what is built, is built where it is needed.
func TestNothingBinaryIsCommitted(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z").Output()
	if err != nil {
		t.Fatalf("list what is under version control: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		b, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // deleted, not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 1<<20 || bytes.IndexByte(b[:min(len(b), 8<<10)], 0) >= 0 {
			t.Errorf("%s: %d bytes, or no text", name, len(b))
		}
	}
}

func TestNothingRunsBecauseOfAnImport(t *testing.T) {
	for _, s := range repository(t) {
		if !s.isGo() || s.generated() {
			continue
		}
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%s: init()", s.at(f))
			}
		}
	}
}

// TestGoroutinesHaveOwners allows go statements in a few files. Elsewhere goroutines
// are started by a sync.WaitGroup or an errgroup.Group, which their owner waits for.
func TestGoroutinesHaveOwners(t *testing.T) {
	allowed := map[string]string{
		"pkg/etcd/embedded/embedded.go":    "etcd panics in goroutines of its own on data that it cannot use; waiting for those would be for ever",
		"test/otlp/otlp.go":                "hands what the server returned to a clean-up that waits for it",
		"test/internal/program/program.go": "closes a channel when the program has ended; Stop waits for it",
	}
	for _, s := range repository(t) {
		if !s.isGo() || s.generated() || s.isTest() {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok && allowed[s.path] == "" {
				t.Errorf("%s: a go statement", s.at(g))
			}
			return true
		})
	}
}

// TestStepsOfTheRequestPath compares the words of ARCHITECTURE.md with the code: each
// step that is built has a file and a method of its name, and they run in that order.
func TestStepsOfTheRequestPath(t *testing.T) {
	const pipeline = "services/edge/internal/pipeline/"
	var built []string
	for _, row := range tableBelow(t, "ARCHITECTURE.md", "## The life of a request") {
		if !strings.Contains(row[1], "not built") {
			built = append(built, row[0])
		}
	}
	if want := []string{"receive", "match", "admit", "key", "lookup", "fetch", "deliver", "record"}; !slices.Equal(built, want) {
		t.Fatalf("ARCHITECTURE.md: steps that are built are %q, want %q", built, want)
	}
	for _, step := range built {
		s, ok, err := read(pipeline + step + ".go")
		if !ok || err != nil {
			t.Errorf("step %s has no file: %v", step, err)
			continue
		}
		if !slices.ContainsFunc(s.ast.Decls, func(d ast.Decl) bool {
			f, ok := d.(*ast.FuncDecl)
			return ok && f.Recv != nil && f.Name.Name == step
		}) {
			t.Errorf("%s declares no method %s", s.path, step)
		}
	}
	s, _, err := read(pipeline + "pipeline.go")
	if err != nil {
		t.Fatal(err)
	}
	order := regexp.MustCompile(`p\.(deliver|record)\(|\(\*Pipeline\)\.([a-z]+)[},]`)
	var ran []string
	for _, m := range order.FindAllStringSubmatch(s.text, -1) {
		ran = append(ran, m[1]+m[2])
	}
	if !slices.Equal(ran, built) {
		t.Errorf("%s runs %q, ARCHITECTURE.md says %q", s.path, ran, built)
	}
}
