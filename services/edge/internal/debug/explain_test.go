// SPDX-License-Identifier: Apache-2.0

package debug

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

func TestAsk(t *testing.T) {
	for in, want := range map[string]string{
		"url=http://h":                          "GET h / ? []",
		"url=https://h:1/a%252Fb?c=d&method=hd": "HD h:1 /a%2Fb ?c=d []",
		"url=http://h?q":                        "GET h / ?q []",
		"url=x://h/&header=A:%201&header=b:":    "GET h / ? [{A 1} {b }]",
		"":                                      "url: want http://host/path or https://host/path",
		"url=http://h/&header=x":                "header: want Name:value",
	} {
		values, err := url.ParseQuery(in)
		if err != nil {
			t.Fatal(err)
		}
		q, err := ask(values)
		got := fmt.Sprint(q.method, " ", q.host, " ", q.path, " ?", q.query, " ", q.header)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ask(%s) = %q, want %q", in, got, want)
		}
	}
}

func FuzzExplain(f *testing.F) {
	f.Add("http://d1.cdn.test/a?b", "GET", "Accept-Encoding: gzip")
	objects, err := store.Open(store.Config{MemoryBytes: 1 << 20, Ended: invalidation.New(1, 0)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, address, method, header string) {
		q, err := ask(url.Values{"url": {address}, "method": {method}, "header": {header}})
		if err != nil {
			return
		}
		if !strings.HasPrefix(q.path, "/") {
			t.Errorf("path %q", q.path)
		}
		if got := explain(snapshot.Empty(), objects, q, time.Time{}); got.Ends == "" {
			t.Errorf("%s has an answer without a configuration", address)
		}
	})
}
