// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// The stored answers of TestEvaluate…, and dates around their last modification.
var (
	strongAnswer = answer(200, "ETag", `"a"`, "Last-Modified", inSeconds(-100))
	weakAnswer   = answer(200, "ETag", `W/"a"`)
	bareAnswer   = answer(200, "Date", inSeconds(0))

	dateBefore, dateSame, dateAfter = inSeconds(-101), inSeconds(-100), inSeconds(-99)
)

const inm, im, ims, ius = "If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since"

// evaluateCase is a viewer's header against a stored answer. The outcome is for
// GET and HEAD; other methods have no conditions here.
type evaluateCase struct {
	name   string
	req    header.Fields
	stored Response
	want   Condition
}

func (c evaluateCase) check(t *testing.T) {
	for method, want := range map[string]Condition{"GET": c.want, "HEAD": c.want, "OPTIONS": Send} {
		if got := Evaluate(method, c.req, c.stored); got != want {
			t.Errorf("%s: Evaluate = %v, want %v", method, got, want)
		}
	}
}

func TestEvaluateForCaches(t *testing.T) {
	for _, tt := range []evaluateCase{
		{"D14.2: no condition", nil, strongAnswer, Send},
		{"D14.2: Range and If-Range are no matter here", fields("Range", "bytes=0-1", "If-Range", `"b"`), strongAnswer, Send},
		{"D14.2: If-None-Match matches", fields(inm, `"a"`), strongAnswer, NotModified},
		{"D14.2: If-None-Match does not", fields(inm, `"b"`), strongAnswer, Send},
		{"D14.2: If-None-Match compares weakly", fields(inm, `W/"a"`), strongAnswer, NotModified},
		{"D14.2: If-None-Match compares weakly with a weak tag", fields(inm, `"a"`), weakAnswer, NotModified},
		{"D14.2: If-None-Match, list", fields(inm, `"b", W/"a"`), strongAnswer, NotModified},
		{"D14.2: If-None-Match, list with a comma in a tag", fields(inm, `"b,", "a"`), strongAnswer, NotModified},
		{"D14.2: If-None-Match, several lines", fields(inm, `"b"`, "if-none-match", `"a"`), strongAnswer, NotModified},
		{"D14.2: If-None-Match: *", fields(inm, "*"), bareAnswer, NotModified},
		{"D14.2: If-None-Match: * in a list is no tag", fields(inm, `*, "b"`), strongAnswer, Send},
		{"D14.2: If-None-Match, no stored tag", fields(inm, `"a"`), bareAnswer, Send},
		{"D14.2: If-None-Match without quotes", fields(inm, "a"), strongAnswer, Send},
		{"D14.2: If-None-Match, malformed member", fields(inm, `"b"x, "a"`), strongAnswer, NotModified},
		{"D14.2: If-None-Match, stored tag malformed", fields(inm, "abc"), answer(200, "ETag", "abc"), Send},
		{"D14.2: If-Modified-Since, not since", fields(ims, dateSame), strongAnswer, NotModified},
		{"D14.2: If-Modified-Since, date later", fields(ims, dateAfter), strongAnswer, NotModified},
		{"D14.2: If-Modified-Since, modified", fields(ims, dateBefore), strongAnswer, Send},
		{"D14.2: If-Modified-Since only without If-None-Match", fields(inm, `"b"`, ims, dateAfter), strongAnswer, Send},
		{"D14.2: If-Modified-Since does not undo If-None-Match", fields(inm, `"a"`, ims, dateBefore), strongAnswer, NotModified},
		{"RFC 9110 13.1.3: no date", fields(ims, "yesterday"), strongAnswer, Send},
		{"RFC 9110 13.1.3: two dates", fields(ims, dateAfter, ims, dateAfter), strongAnswer, Send},
		{"RFC 9110 13.1.3: no Last-Modified", fields(ims, dateAfter), bareAnswer, Send},
		{"RFC 9110 13.1.3: Last-Modified is no date", fields(ims, dateAfter), answer(200, "Last-Modified", "x"), Send},
		{"RFC 9110 5.6.7: two-digit year", fields(ims, "Sunday, 17-May-26 11:58:20 GMT"), strongAnswer, NotModified},
	} {
		t.Run(tt.name, tt.check)
	}
}

func TestEvaluatePreconditions(t *testing.T) {
	for _, tt := range []evaluateCase{
		{"D14.2: If-Match matches", fields(im, `"b", "a"`), strongAnswer, Send},
		{"D14.2: If-Match does not", fields(im, `"b"`), strongAnswer, PreconditionFailed},
		{"D14.2: If-Match compares strongly", fields(im, `W/"a"`), strongAnswer, PreconditionFailed},
		{"D14.2: If-Match compares strongly with a weak tag", fields(im, `"a"`), weakAnswer, PreconditionFailed},
		{"D14.2: If-Match: *", fields(im, "*"), bareAnswer, Send},
		{"D14.2: If-Match, no stored tag", fields(im, `"a"`), bareAnswer, PreconditionFailed},
		{"D14.2: If-Unmodified-Since, not since", fields(ius, dateSame), strongAnswer, Send},
		{"D14.2: If-Unmodified-Since, modified", fields(ius, dateBefore), strongAnswer, PreconditionFailed},
		{"RFC 9110 13.1.4: only without If-Match", fields(im, `"a"`, ius, dateBefore), strongAnswer, Send},
		{"RFC 9110 13.1.4: no date", fields(ius, "yesterday"), strongAnswer, Send},
		{"RFC 9110 13.1.4: two dates", fields(ius, dateBefore, ius, dateBefore), strongAnswer, Send},
		{"RFC 9110 13.1.4: no Last-Modified", fields(ius, dateBefore), bareAnswer, Send},
		{"RFC 9110 13.2.2: If-Match comes before If-None-Match", fields(inm, `"a"`, im, `"b"`), strongAnswer, PreconditionFailed},
		{"RFC 9110 13.2.2: both hold", fields(inm, `"a"`, im, `"a"`), strongAnswer, NotModified},
		{"RFC 9110 13.2.2: dates, 412 first", fields(ims, dateAfter, ius, dateBefore), strongAnswer, PreconditionFailed},
		{"RFC 9110 13.2.2: dates, then 304", fields(ims, dateSame, ius, dateSame), strongAnswer, NotModified},
		{"RFC 9110 13.2.1: 204 has conditions", fields(inm, `"a"`), answer(204, "ETag", `"a"`), NotModified},
		{"RFC 9110 13.2.1: redirects have none", fields(inm, `"a"`, im, `"b"`), answer(301, "ETag", `"a"`), Send},
		{"RFC 9110 13.2.1: errors have none", fields(inm, "*", im, `"b"`), answer(404, "ETag", `"a"`), Send},
	} {
		t.Run(tt.name, tt.check)
	}
}

func TestEvaluateWithoutConditionsAllocatesNothing(t *testing.T) {
	stored := answer(200, "ETag", `"a"`, "Last-Modified", inSeconds(-100))
	for _, req := range []header.Fields{
		fields("Accept", "*/*", "User-Agent", "curl"),
		fields("Accept", "*/*", "If-None-Match", `"a"`),
	} {
		n := testing.AllocsPerRun(100, func() { Evaluate("GET", req, stored) })
		if n != 0 {
			t.Errorf("Evaluate(%v) allocates %v times, want 0", req, n)
		}
	}
}

func TestNotModifiedHeader(t *testing.T) {
	for _, tt := range []struct {
		name         string
		stored, want header.Fields
	}{
		{
			"D14.2: what a 304 has",
			fields(
				"Server", "s", "ETag", `"a"`, "Date", "d", "Cache-Control", "max-age=1", "Expires", "e", "vary", "Cookie",
				"Age", "5", "Content-Location", "/a", "Last-Modified", "l", "Set-Cookie", "a=1", "X-A", "1",
			),
			fields(
				"ETag", `"a"`, "Date", "d", "Cache-Control", "max-age=1", "Expires", "e", "vary", "Cookie",
				"Age", "5", "Content-Location", "/a",
			),
		},
		{
			"RFC 9110 15.4.5: Last-Modified without an ETag",
			fields("Last-Modified", "l", "Date", "d"), fields("Last-Modified", "l", "Date", "d"),
		},
		{
			"D22.10: no Content-Length, nothing else about the body",
			fields("Content-Length", "5", "Content-Type", "a/b", "Content-Encoding", "br", "Content-Language", "de"), nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, NotModifiedHeader(tt.stored), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("NotModifiedHeader (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidationFields(t *testing.T) {
	for _, tt := range []struct {
		name         string
		stored, want header.Fields
	}{
		{"D14.5: both", fields("Last-Modified", "l", "ETag", `"a"`), fields("If-None-Match", `"a"`, "If-Modified-Since", "l")},
		{"D14.5: ETag", fields("etag", `W/"a"`), fields("If-None-Match", `W/"a"`)},
		{"D14.5: Last-Modified", fields("last-modified", "l"), fields("If-Modified-Since", "l")},
		{"D14.5: a tag without quotes goes back as it came", fields("ETag", "abc"), fields("If-None-Match", "abc")},
		{"D14.5: no validators", fields("Date", "d"), nil},
		{"D14.5: empty validators", fields("ETag", "", "Last-Modified", ""), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ValidationFields(tt.stored)); diff != "" {
				t.Errorf("ValidationFields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfirms(t *testing.T) {
	tag := func(v string) header.Fields { return header.Fields{{Name: "ETag", Value: v}} }
	for _, tt := range []struct {
		name          string
		stored, fresh header.Fields
		want          bool
	}{
		{"RFC 9111 4.3.4: the same tag", tag(`"1"`), tag(`"1"`), true},
		{"RFC 9111 4.3.4: another tag", tag(`"1"`), tag(`"2"`), false},
		{"weak on the way", tag(`"1"`), tag(`W/"1"`), true},
		{"D14.6: a 304 without a tag", tag(`"1"`), nil, true},
		{"D14.6: nothing stored to compare with", nil, tag(`"1"`), true},
	} {
		if got := Confirms(tt.stored, tt.fresh); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
