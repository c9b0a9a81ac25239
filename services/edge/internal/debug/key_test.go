// SPDX-License-Identifier: Apache-2.0

package debug

import (
	"fmt"
	"net/url"
	"testing"
)

func TestAsk(t *testing.T) {
	for in, want := range map[string]string{
		"url=http://h":                       "http://h  []",
		"url=https://h:1/a%252Fb&method=hd":  "https://h:1/a%2Fb HD []",
		"url=x://h/&header=A:%201&header=b:": "x://h/  [A=1 b=]",
		"":                                   "  []",
		"url=http://h/&header=x":             "header: want Name:value",
	} {
		values, err := url.ParseQuery(in)
		if err != nil {
			t.Fatal(err)
		}
		q, err := ask(values)
		lines := []string{}
		for _, h := range q.GetHeaders() {
			lines = append(lines, h.GetName()+"="+h.GetValue())
		}
		got := fmt.Sprint(q.GetUrl(), " ", q.GetMethod(), " ", lines)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ask(%s) = %q, want %q", in, got, want)
		}
	}
}
