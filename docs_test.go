// SPDX-License-Identifier: Apache-2.0

package seafront_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tableBelow returns the rows of the first table after a heading, cells trimmed,
// without its head.
func tableBelow(t *testing.T, file, heading string) [][]string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(raw), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", file, heading)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var rows [][]string
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			if len(rows) > 0 {
				break
			}
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(strings.TrimSpace(line), "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("%s: no table below %q", file, heading)
	}
	return rows[2:]
}

// rule is the number of a rule, such as C2.40.
type rule struct {
	chapter string // C2
	number  int
}

func (r rule) String() string { return r.chapter + "." + strconv.Itoa(r.number) }

// cites finds the numbers of rules in a text, and the ranges: C8.80 to C8.83,
// D14.8–D14.11, D4.1-4.6.
func cites(text string) (single []rule, ranges [][2]rule) {
	number := regexp.MustCompile(`\b([CD]\d+)\.(\d+)\b`)
	span := regexp.MustCompile(`\b([CD]\d+)\.(\d+)(?:[-–]| to )(?:[CD]?\d+\.)(\d+)\b`)
	parse := func(chapter, n string) rule {
		i, err := strconv.Atoi(n)
		if err != nil {
			i = -1 // longer than any number of a rule: listed nowhere
		}
		return rule{chapter, i}
	}
	for _, m := range number.FindAllStringSubmatch(text, -1) {
		single = append(single, parse(m[1], m[2]))
	}
	for _, m := range span.FindAllStringSubmatch(text, -1) {
		last := parse(m[1], m[3])
		single = append(single, last)
		ranges = append(ranges, [2]rule{parse(m[1], m[2]), last})
	}
	return single, ranges
}

func TestCites(t *testing.T) {
	single, ranges := cites("C8.80 to C8.83, D4.1-4.6 (D14.8–D14.11); C2.173 and C2.174; HTTP2.0, v1.2, D16.b, AC2.1.")
	var got []string
	for _, r := range single {
		got = append(got, r.String())
	}
	slices.Sort(got)
	if want := []string{"C2.173", "C2.174", "C8.80", "C8.83", "C8.83", "D14.11", "D14.11", "D14.8", "D4.1", "D4.6"}; !slices.Equal(got, want) {
		t.Errorf("rules = %q, want %q", got, want)
	}
	if want := [][2]rule{{{"C8", 80}, {"C8", 83}}, {{"D4", 1}, {"D4", 6}}, {{"D14", 8}, {"D14", 11}}}; !slices.Equal(ranges, want) {
		t.Errorf("ranges = %v, want %v", ranges, want)
	}
}

// TestRulesAreListed holds docs/rules.md against the code, both ways: what the code
// cites is explained, and what is explained is cited, alone or within a range.
func TestRulesAreListed(t *testing.T) {
	const list = "docs/rules.md"
	raw, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[rule]bool{} // whether it is cited
	form := regexp.MustCompile(`^- ([CD]\d+\.\d+): \S.*\.$`)
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "- ") {
			continue
		}
		m := form.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%s: %q is not of the form - C2.40: Sentence.", list, line)
			continue
		}
		numbers, _ := cites(m[1])
		if _, twice := listed[numbers[0]]; twice {
			t.Errorf("%s: %s is listed twice", list, numbers[0])
		}
		listed[numbers[0]] = false
	}
	missing := map[string]string{} // rule to the first file that cites it
	for _, s := range repository(t) {
		if s.generated() || s.path == "docs_test.go" {
			continue
		}
		single, ranges := cites(s.text)
		for _, r := range single {
			if _, ok := listed[r]; ok {
				listed[r] = true
			} else if missing[r.String()] == "" {
				missing[r.String()] = s.path
			}
		}
		for _, between := range ranges {
			for r := between[0]; r.number <= between[1].number; r.number++ {
				if _, ok := listed[r]; ok {
					listed[r] = true
				}
			}
		}
	}
	for _, r := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("%s cites %s, which %s does not explain", missing[r], r, list)
	}
	for r, cited := range listed {
		if !cited {
			t.Errorf("%s explains %s, which nothing cites", list, r)
		}
	}
}

// mod is what a go.mod file says.
type mod struct {
	goVersion string
	direct    map[string]bool // by module; false for indirect ones
}

func readMod(t *testing.T, file string) mod {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := mod{direct: map[string]bool{}}
	inside := false
	for line := range strings.Lines(string(raw)) {
		line, comment, _ := strings.Cut(strings.TrimSpace(line), "//")
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "go":
			m.goVersion = f[1]
		case len(f) == 2 && f[0] == "require" && f[1] == "(":
			inside = true
		case len(f) == 1 && f[0] == ")":
			inside = false
		case len(f) == 3 && f[0] == "require":
			m.direct[f[1]] = !strings.Contains(comment, "indirect")
		case inside && len(f) == 2:
			m.direct[f[0]] = !strings.Contains(comment, "indirect")
		}
	}
	for ours := range m.direct {
		if below(ours, module) {
			delete(m.direct, ours)
		}
	}
	return m
}

func TestOneGoVersion(t *testing.T) {
	want := readMod(t, "go.mod").goVersion
	// Tools are apart: they may need a newer Go than the product.
	for _, file := range []string{"proto/go.mod", "test/go.mod", "go.work"} {
		if got := readMod(t, file).goVersion; got != want {
			t.Errorf("%s says go %s, go.mod says go %s", file, got, want)
		}
	}
}

// TestDependenciesAreExplained holds docs/dependencies.md against the go.mod files and
// the imports: a new dependency needs a line that says why, and a line needs an import.
func TestDependenciesAreExplained(t *testing.T) {
	const list = "docs/dependencies.md"
	files := repository(t)
	for _, tt := range []struct {
		heading, mod string
		dirs, but    []string
	}{
		{"## The product", "go.mod", []string{"."}, []string{"proto", "test", "tools", "deploy"}},
		{"## The API", "proto/go.mod", []string{"proto"}, nil},
		{"## Tests", "test/go.mod", []string{"test"}, nil},
	} {
		t.Run(tt.mod, func(t *testing.T) {
			required := readMod(t, tt.mod).direct
			imported := map[string]bool{}
			within := arrow{from: tt.dirs, but: tt.but, tests: true}
			for _, s := range files {
				if s.isGo() && within.binds(s) {
					s.imports(func(name, _ string) { imported[moduleOf(name, required)] = true })
				}
			}
			explained := map[string]bool{}
			for _, row := range tableBelow(t, list, tt.heading) {
				name := strings.Trim(row[0], "`")
				explained[name] = true
				if _, ok := required[name]; !ok {
					t.Errorf("%s explains %s, which %s does not require", list, name, tt.mod)
				} else if !imported[name] {
					t.Errorf("%s explains %s, which nothing of %s imports", list, name, tt.mod)
				}
				if len(row) != 2 || row[1] == "" {
					t.Errorf("%s does not say why of %s", list, name)
				}
			}
			for name, direct := range required {
				if (direct || imported[name]) && !explained[name] {
					t.Errorf("%s requires %s, which %s does not explain", tt.mod, name, list)
				}
			}
		})
	}
}

// moduleOf is the module that a package belongs to: the longest that is required.
func moduleOf(pkg string, required map[string]bool) string {
	best := ""
	for name := range required {
		if below(pkg, name) && len(name) > len(best) {
			best = name
		}
	}
	return best
}
