// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type hello struct {
	Name string `default:"world"`
}

// Run is called by the parser.
func (h *hello) Run(ctx context.Context, out io.Writer) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	_, err := fmt.Fprintf(out, "hello %s\n", h.Name)
	return err
}

func TestRun(t *testing.T) {
	var commands struct {
		Hello hello `cmd:"" default:"withargs"`
	}
	var out bytes.Buffer
	if err := Run(t.Context(), "greet", "greets", &commands, []string{"--name=you"}, &out); err != nil || out.String() != "hello you\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
	for _, args := range [][]string{{"--unknown=you"}, {"goodbye"}} {
		if err := Run(t.Context(), "greet", "greets", &commands, args, &out); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	if err := Run(t.Context(), "greet", "greets", 7, nil, &out); err == nil {
		t.Error("commands that are none: no error")
	}
}

func TestCheckReady(t *testing.T) {
	well := true
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !well {
			http.Error(w, "draining", http.StatusServiceUnavailable)
		}
	}))
	defer page.Close()
	if err := CheckReady(t.Context(), page.URL); err != nil {
		t.Error(err)
	}
	well = false
	if err := CheckReady(t.Context(), page.URL); err == nil || !strings.Contains(err.Error(), "draining") {
		t.Errorf("got %v, want what the page says", err)
	}
	page.Close()
	if err := CheckReady(t.Context(), page.URL); err == nil {
		t.Error("nobody there: no error")
	}
	if err := CheckReady(t.Context(), "://"); err == nil {
		t.Error("no URL: no error")
	}
}
