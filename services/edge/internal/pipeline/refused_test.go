// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"strings"
	"testing"
)

// The page of what was no request is that of other refusals, without an event (D4.7).
func TestRefusedPage(t *testing.T) {
	e := newEdge(t, options{site: siteOf(80)})
	a := e.Refused(414, "The URL of this request is too long.")
	page := string(a.Body.Bytes)
	id := a.Header.Get(e.Brand.RequestID)
	if a.Status != 414 || !a.Close || !strings.Contains(page, "<H1>414 ERROR</H1>") || !strings.Contains(page, "URL of this request") {
		t.Errorf("%d %v %s", a.Status, a.Header, page)
	}
	if len(id) != requestIDLength || !strings.Contains(page, "Request ID: "+id) || a.Header.Get("X-Cache") != e.words.xcache[ResultError] {
		t.Errorf("D22.12: id %q, header %v", id, a.Header)
	}
}
