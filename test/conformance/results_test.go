// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// results collects the outcomes of one suite.
type results struct {
	suite string
	whole bool       // all cases were run
	mu    sync.Mutex // guards got
	got   map[string]outcome
}

// outcome is nil for a pass. Words stand between the id and the outcome in the file.
type outcome struct {
	words string
	err   error
}

func (o outcome) String() string {
	verdict := "ok"
	if o.err != nil {
		verdict = "fail"
	}
	return strings.TrimSpace(o.words + " " + verdict)
}

func newResults(suite string) *results {
	return &results{suite: suite, whole: full(), got: map[string]outcome{}}
}

// full says whether everything is to be run.
func full() bool { return os.Getenv("SEAFRONT_CONFORMANCE") == "1" }

// add notes the outcome of a case; words may say what kind of case it is.
func (r *results) add(id, words string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, twice := r.got[id]; twice {
		err = errors.Join(err, errors.New("two cases have this id"))
	}
	r.got[id] = outcome{words, err}
}

// finish compares with what is written, or writes it.
func (r *results) finish(t *testing.T) {
	t.Helper()
	passed := 0
	for _, id := range slices.Sorted(maps.Keys(r.got)) {
		if o := r.got[id]; o.err != nil {
			t.Logf("%s %s: %v", id, o, o.err)
		} else {
			passed++
		}
	}
	t.Logf("%s: %d of %d cases pass", r.suite, passed, len(r.got))
	file := filepath.Join("results", r.suite+".txt")
	if os.Getenv("UPDATE") == "1" && r.whole {
		if err := os.WriteFile(file, []byte(r.text()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	raw, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, problem := range r.compare(string(raw)) {
		t.Error(problem)
	}
}

func (r *results) text() string {
	var out strings.Builder
	for _, id := range slices.Sorted(maps.Keys(r.got)) {
		fmt.Fprintln(&out, id, r.got[id])
	}
	return out.String()
}

// compare says what is worse than in old, and which cases have come or gone.
func (r *results) compare(old string) []string {
	var problems []string
	known := map[string]bool{}
	for line := range strings.Lines(old) {
		id, was, _ := strings.Cut(strings.TrimSpace(line), " ")
		known[id] = true
		now, ran := r.got[id]
		switch {
		case !ran && r.whole:
			problems = append(problems, id+": the case has gone; UPDATE=1 forgets it")
		case ran && strings.HasSuffix(was, "ok") && now.err != nil:
			problems = append(problems, fmt.Sprintf("%s: it has passed before: %v", id, now.err))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.got)) {
		if !known[id] {
			problems = append(problems, id+": a new case; UPDATE=1 writes it")
		}
	}
	return problems
}

func TestCompare(t *testing.T) {
	bad := errors.New("bad")
	for _, tt := range []struct {
		name, old string
		whole     bool
		got       map[string]outcome
		want      []string
	}{
		{"the same", "a ok\nb required fail\n", true, map[string]outcome{"a": {}, "b": {"required", bad}}, nil},
		{"better", "a fail\n", true, map[string]outcome{"a": {}}, nil},
		{"worse", "a optimal ok\n", true, map[string]outcome{"a": {"optimal", bad}}, []string{"a: it has passed before: bad"}},
		{"gone", "a ok\n", true, nil, []string{"a: the case has gone; UPDATE=1 forgets it"}},
		{"not run", "a ok\n", false, nil, nil},
		{"new", "", false, map[string]outcome{"a": {}}, []string{"a: a new case; UPDATE=1 writes it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &results{whole: tt.whole, got: tt.got}
			if got := r.compare(tt.old); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
