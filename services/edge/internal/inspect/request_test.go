// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"fmt"
	"strings"
	"testing"

	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("a", maxURL)
	for _, tt := range []struct {
		in   *edgev1.InspectRequestRequest
		want string // the request, or the fields that are bad
	}{
		{&edgev1.InspectRequestRequest{Url: "http://h"}, "GET http h / []"},
		{&edgev1.InspectRequestRequest{Url: "HTTPS://h:1/a%252Fb?c=d#e", Method: "HEAD"}, "HEAD https h:1 /a%252Fb?c=d []"},
		{&edgev1.InspectRequestRequest{Url: "http://h?q"}, "GET http h /?q []"},
		{&edgev1.InspectRequestRequest{Url: "http://h/", Headers: fieldsOf("A", " 1 ", "b", "")}, "GET http h / [{A 1} {b }]"},
		{&edgev1.InspectRequestRequest{}, "url"},
		{&edgev1.InspectRequestRequest{Url: "h/path"}, "url"},
		{&edgev1.InspectRequestRequest{Url: "ftp://h/"}, "url"},
		{&edgev1.InspectRequestRequest{Url: "http:///path"}, "url"},
		{&edgev1.InspectRequestRequest{Url: "http://user@h/"}, "url"},
		{&edgev1.InspectRequestRequest{Url: "http://h/a b"}, "url"},
		{&edgev1.InspectRequestRequest{Url: "http://h/\r\nX: y"}, "url"},
		{&edgev1.InspectRequestRequest{Url: "http://h/" + long}, "url"},
		{&edgev1.InspectRequestRequest{Url: "http://h/", Method: "G T"}, "method"},
		{&edgev1.InspectRequestRequest{Url: "http://h/", Method: strings.Repeat("G", 65)}, "method"},
		{&edgev1.InspectRequestRequest{Url: "x", Method: "("}, "method url"},
		{&edgev1.InspectRequestRequest{Url: "http://h/", Headers: fieldsOf("A B", "1", "C", "\n", "host", "x", "D", "2")}, "headers[0].name headers[1].value headers[2].name"},
		{&edgev1.InspectRequestRequest{Url: "http://h/", Headers: make([]*edgev1.HeaderField, 101)}, "headers"},
	} {
		out, bad := parse(tt.in)
		var got string
		if len(bad) == 0 {
			got = fmt.Sprint(out.Method, " ", out.Scheme, " ", out.Host, " ", out.Target, " ", out.Header)
		}
		for _, v := range bad {
			got = strings.TrimSpace(got + " " + v.Field)
		}
		if got != tt.want {
			t.Errorf("parse(%.200v) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func fieldsOf(pairs ...string) (out []*edgev1.HeaderField) {
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, &edgev1.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

func FuzzParse(f *testing.F) {
	f.Add("http://d1.cdn.test/a?b#c", "GET", "Accept-Encoding", "gzip")
	f.Add("://", "", "", "\x00")
	f.Fuzz(func(t *testing.T, url, method, name, value string) {
		out, bad := parse(&edgev1.InspectRequestRequest{Url: url, Method: method, Headers: fieldsOf(name, value)})
		if len(bad) > 0 {
			return
		}
		if out.Target[0] != '/' || out.Host == "" || strings.ContainsAny(out.Target+out.Host, "# \r\n") || !isToken(out.Method) {
			t.Errorf("%q is %+v", url, out)
		}
	})
}
