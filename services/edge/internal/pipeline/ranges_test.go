// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

// content is n bytes that tell their place.
func content(n int) string {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%08d", i)
	}
	return b.String()[:n]
}

// ranged is an origin that gives parts of a text, by the rules of RFC 9110 §14.
func ranged(body *string, tag *string, pairs ...string) func(*origin.Request) page {
	return func(r *origin.Request) page {
		fields := append([]string{"ETag", *tag, "Accept-Ranges", "bytes"}, pairs...)
		set, ok := byterange.Parse(r.Header.Get("Range"))
		if when := r.Header.Get("If-Range"); !ok || when != "" && when != *tag {
			return text(200, *body, fields...)
		}
		part, ok := set.At(0).Resolve(int64(len(*body)))
		if !ok {
			return text(416, "", append(fields, "Content-Range", fmt.Sprintf("bytes */%d", len(*body)))...)
		}
		return text(206, (*body)[part.Start:part.End()],
			append(fields, "Content-Range", string(byterange.AppendContentRange(nil, part, int64(len(*body)))))...)
	}
}

// asked are the Range fields that reached the origin.
func (e *edge) asked() (out []string) {
	for _, r := range e.origin.requests() {
		out = append(out, r.Header.Get("Range"))
	}
	return out
}

func TestRangesOfStoredObjects(t *testing.T) {
	const slice = int(byterange.SliceSize)
	for n, size := range []int{1, 100, 300_000, 3*slice + 5, 1, 100, 300_000, 3*slice + 5} {
		t.Run(fmt.Sprint(size, " bytes"), func(t *testing.T) {
			o := options{bytes: 256 << 20}
			if n >= 4 {
				o.disk = openDisk(t, t.TempDir(), true)
			}
			e := newEdge(t, o)
			body, tag := content(size), `"1"`
			e.origin.set(ranged(&body, &tag))
			e.want("whole", e.get("/"), 200, "Miss", body, 1)
			waitStored(e)
			e.origin.requests()
			last := size - 1
			for _, tt := range []struct {
				name, value, content, text string
				status                     int
			}{
				{"D19.1: the first byte", "bytes=0-0", fmt.Sprintf("bytes 0-0/%d", size), body[:1], 206},
				{"D19.1: the last byte", "bytes=-1", fmt.Sprintf("bytes %d-%d/%d", last, last, size), body[last:], 206},
				{"D19.1: to the end", "bytes=0-", fmt.Sprintf("bytes 0-%d/%d", last, size), body, 206},
				{"D19.1: the middle", fmt.Sprintf("bytes=%d-%d", size/3, last), fmt.Sprintf("bytes %d-%d/%d", size/3, last, size), body[size/3:], 206},
				{"D19.5: behind the end", fmt.Sprintf("bytes=%d-", size), fmt.Sprintf("bytes */%d", size), "", 416},
				{"D19.1: another unit", "lines=0-1", "", body, 200},
			} {
				g := e.get("/", "Range", tt.value)
				if g.status != tt.status || g.header.Get("Content-Range") != tt.content || g.err != nil {
					t.Errorf("%s: %d %q %v", tt.name, g.status, g.header.Get("Content-Range"), g.err)
				}
				if tt.status != 416 && (g.body != tt.text || g.header.Get("Content-Length") != fmt.Sprint(len(tt.text))) {
					t.Errorf("%s: %d bytes, Content-Length %s, want %d", tt.name, len(g.body), g.header.Get("Content-Length"), len(tt.text))
				}
			}
			g := e.get("/", "Range", "bytes=0-0", "If-Range", `"2"`)
			if g.status != 200 || g.body != body {
				t.Errorf("D19.7: another validator: %d", g.status)
			}
			if g := e.get("/", "Range", "bytes=0-0", "If-Range", `"1"`); g.status != 206 {
				t.Errorf("D19.7: the validator: %d", g.status)
			}
			if g := e.get("/", "Range", "bytes=0-0", "If-None-Match", `"1"`); g.status != 304 {
				t.Errorf("RFC 9110 §13.2.2: %d", g.status)
			}
			if n := len(e.origin.requests()); n != 0 {
				t.Errorf("D19.1: %d requests reached the origin", n)
			}
		})
	}
}

func TestSeveralRanges(t *testing.T) {
	e := newEdge(t, options{})
	body, tag := content(1000), `"1"`
	e.origin.set(ranged(&body, &tag, "Content-Type", "text/plain"))
	e.get("/")
	g := e.get("/", "Range", "bytes=0-1,10-19,-5")
	kind := g.header.Get("Content-Type")
	if g.status != 206 || !strings.HasPrefix(kind, "multipart/byteranges; boundary=") || g.header.Get("Content-Length") != fmt.Sprint(len(g.body)) {
		t.Fatalf("D19.4: %d %v, %d bytes", g.status, g.header, len(g.body))
	}
	for _, part := range []string{
		"Content-Range: bytes 0-1/1000\r\n\r\n" + body[:2] + "\r\n",
		"Content-Range: bytes 10-19/1000\r\n\r\n" + body[10:20] + "\r\n",
		"Content-Range: bytes 995-999/1000\r\n\r\n" + body[995:] + "\r\n",
	} {
		if !strings.Contains(g.body, part) {
			t.Errorf("D19.4: no part %q", part)
		}
	}
	for _, value := range []string{"bytes=5-6,0-1", "bytes=0-9,5-20", "bytes=2-1"} {
		if g := e.get("/", "Range", value); g.status != 200 || g.body != body {
			t.Errorf("D19.3: %s: %d", value, g.status)
		}
	}
}

func TestSeveralRangesOfWhatArrives(t *testing.T) {
	for _, value := range []string{"bytes=0-1,10-19", "bytes=10-19,0-1"} {
		e := newEdge(t, options{})
		body, tag := content(1000), `"1"`
		e.origin.set(ranged(&body, &tag))
		if g := e.get("/", "Range", value); g.status != 200 || g.body != body || g.err != nil {
			t.Errorf("D19.2: %s of what is not stored: %d, %d bytes, %v", value, g.status, len(g.body), g.err)
		}
	}
}

func TestRangeOfWhatIsNotStored(t *testing.T) {
	const slice = int(byterange.SliceSize)
	size := 5*slice + 77
	e := newEdge(t, options{bytes: 256 << 20})
	body, tag := content(size), `"1"`
	e.origin.set(ranged(&body, &tag))
	get := func(value string, from, to int, want ...string) {
		t.Helper()
		g := e.get("/", "Range", value)
		if g.status != 206 || g.body != body[from:to] || g.header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", from, to-1, size) {
			t.Fatalf("%s: %d, %d bytes, %v, %v", value, g.status, len(g.body), g.header, g.err)
		}
		if got := e.asked(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("design 3.8: %s: the origin was asked for %v, want %v", value, got, want)
		}
	}
	get("bytes=10-19", 10, 20, "bytes=0-1048575")
	get("bytes=100-199", 100, 200)
	get(fmt.Sprintf("bytes=%d-%d", slice-1, slice), slice-1, slice+1, "bytes=1048576-2097151")
	get("bytes=-10", size-10, size, "bytes=5242880-5242956")
	get(fmt.Sprintf("bytes=%d-", 3*slice+1), 3*slice+1, size, "bytes=3145728-4194303", "bytes=4194304-5242879")
	g := e.get("/")
	if g.status != 200 || g.body != body || g.xcache() != "Miss" {
		t.Errorf("design 3.8: the whole: %d, %d bytes, %s, %v", g.status, len(g.body), g.xcache(), g.err)
	}
	if got := e.asked(); fmt.Sprint(got) != "[bytes=2097152-3145727]" {
		t.Errorf("design 3.8: for the whole the origin was asked for %v", got)
	}
}

// TestMissingSlicesAreAMiss: an answer of which bytes come from the origin is told to be a
// miss by all words for it (D22.5), one that needs none of them a hit.
func TestMissingSlicesAreAMiss(t *testing.T) {
	const slice = int(byterange.SliceSize)
	for _, tt := range []struct{ name, method, value, result, outcome, status string }{
		{"what is stored", "GET", "bytes=10-19", "Hit", "hit", "Seafront; hit"},
		{"the head of the whole", "HEAD", "", "Hit", "hit", "Seafront; hit"},
		{"what was not modified", "GET", "none", "Hit", "hit", "Seafront; hit"},
		{"a range that ends in a missing slice", "GET", fmt.Sprintf("bytes=10-%d", slice), "Miss", "miss", "Seafront; fwd=partial"},
		{"the last bytes", "GET", "bytes=-1", "Miss", "miss", "Seafront; fwd=partial"},
		{"one of several", "GET", "bytes=10-19,2097152-2097160", "Miss", "miss", "Seafront; fwd=partial"},
		{"the whole", "GET", "", "Miss", "miss", "Seafront; fwd=partial"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				policy := policyOf(0, time.Hour, time.Hour)
				policy.CacheStatus = true
				e := newEdge(t, options{bytes: 256 << 20, policy: policy})
				body, tag := content(3*slice), `"1"`
				e.origin.set(ranged(&body, &tag))
				e.get("/", "Range", "bytes=0-9")
				waitStored(e)
				e.log.Reset()
				e.origin.requests()
				r := ask("/", "Range", tt.value)
				if tt.value == "none" {
					r = ask("/", "If-None-Match", tag)
				}
				r.Method = tt.method
				g := e.do(r)
				asked := len(e.origin.requests()) > 0
				if g.xcache() != tt.result || g.err != nil || asked != (tt.result == "Miss") {
					t.Errorf("%d %s, %v, want %s; the origin was asked: %v", g.status, g.xcache(), g.err, tt.result, asked)
				}
				if got, _, _ := strings.Cut(g.header.Get("Cache-Status"), "; ttl="); got != tt.status {
					t.Errorf("RFC 9211: %s, want %s", got, tt.status)
				}
				if log := e.log.String(); !strings.Contains(log, fmt.Sprintf(`"outcome":%q,"result":%q`, tt.outcome, tt.result)) {
					t.Errorf("log: %s", log)
				}
			})
		})
	}
}

func TestSuffixOfWhatIsNotStored(t *testing.T) {
	e := newEdge(t, options{bytes: 256 << 20})
	body, tag := content(3<<20), `"1"`
	e.origin.set(ranged(&body, &tag))
	if g := e.get("/", "Range", "bytes=-7"); g.status != 206 || g.body != body[len(body)-7:] {
		t.Errorf("D19.2: %d %q %v", g.status, g.body, g.err)
	}
}

func TestSmallObjectByARange(t *testing.T) {
	e := newEdge(t, options{})
	body, tag := content(1000), `"1"`
	e.origin.set(ranged(&body, &tag))
	if g := e.get("/", "Range", "bytes=1-2"); g.status != 206 || g.body != body[1:3] {
		t.Errorf("D19.2: %d %q", g.status, g.body)
	}
	waitStored(e)
	e.want("D19.2: it is all there is", e.get("/"), 200, "Hit", body, 1)
}

func TestRangeAtAnOriginWithout(t *testing.T) {
	for _, size := range []int{1000, 2 << 20} {
		e := newEdge(t, options{bytes: 256 << 20})
		body := content(size)
		e.origin.says(text(200, body))
		if g := e.get("/", "Range", "bytes=1-2"); g.status != 200 || g.body != body {
			t.Errorf("D19.2: %d, %d bytes, want the whole", g.status, len(g.body))
		}
		waitStored(e)
		if g := e.get("/", "Range", "bytes=1-2"); g.status != 206 || g.body != body[1:3] {
			t.Errorf("D19.2: later %d %d bytes", g.status, len(g.body))
		}
		if n := len(e.origin.requests()); n != 1 {
			t.Errorf("D19.2: %d requests to the origin", n)
		}
	}
}

func TestWeakRepresentationIsNotSliced(t *testing.T) {
	e := newEdge(t, options{bytes: 256 << 20})
	body, tag := content(3<<20), `W/"1"`
	e.origin.set(ranged(&body, &tag))
	for range 2 {
		if g := e.get("/", "Range", "bytes=1-2"); g.status != 206 || g.body != body[1:3] {
			t.Errorf("D19.9: %d, %d bytes, %v", g.status, len(g.body), g.err)
		}
	}
}

// What the store no longer has of a body is no reason to send less of it: without parts of
// the origin's the whole is fetched anew.
func TestSlicesAreEvicted(t *testing.T) {
	for _, tag := range []string{"", `W/"1"`, `"1"`} {
		e := newEdge(t, options{bytes: 256 << 20})
		body, other := content(3<<20), strings.Repeat("other ", 5<<20)
		e.origin.set(func(r *origin.Request) page {
			now := body
			if r.Target != "/" {
				now = other
			}
			if tag == "" {
				return text(200, now)
			}
			return text(200, now, "ETag", tag)
		})
		e.get("/")
		for i := range 12 { // the head stays, the slices do not
			e.get(fmt.Sprint("/", i))
			e.head("/")
		}
		for _, value := range []string{"", "bytes=3000000-"} {
			g := e.get("/", "Range", value)
			if g.err != nil || g.status == 200 && g.body != body || g.status == 206 && g.body != body[3_000_000:] {
				t.Errorf("design 3.8: ETag %s: Range %q: %d, %d bytes, %v", tag, value, g.status, len(g.body), g.err)
			}
		}
	}
}

func TestRepresentationChangesBetweenSlices(t *testing.T) {
	e := newEdge(t, options{bytes: 256 << 20})
	body, tag := content(4<<20), `"1"`
	e.origin.set(ranged(&body, &tag))
	e.get("/", "Range", "bytes=0-9")
	body, tag = strings.Repeat("n", 4<<20), `"2"`
	g := e.get("/")
	if g.err == nil {
		t.Errorf("design 3.8: %d bytes of two representations look whole", len(g.body))
	}
	if strings.Contains(g.body, "n") {
		t.Error("design 3.8: bytes of another representation")
	}
	if g := e.get("/"); g.err != nil || g.body != body {
		t.Errorf("design 3.8: afterwards: %d bytes, %v", len(g.body), g.err)
	}
}

func TestSliceIsFetchedOnce(t *testing.T) {
	e := newEdge(t, options{bytes: 256 << 20})
	body, tag := content(4<<20), `"1"`
	e.origin.set(ranged(&body, &tag))
	e.get("/", "Range", "bytes=0-9")
	e.origin.requests()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			from := 2<<20 + i
			if g := e.get("/", "Range", fmt.Sprintf("bytes=%d-%d", from, from+99)); g.status != 206 || g.body != body[from:from+100] {
				t.Errorf("design 3.8: %d, %d bytes, %v", g.status, len(g.body), g.err)
			}
		})
	}
	wg.Wait()
	if got := e.asked(); len(got) != 1 {
		t.Errorf("design 3.8: one slice was asked for %d times", len(got))
	}
}
