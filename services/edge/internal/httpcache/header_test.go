// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// viewerCase is an origin's header and what of it goes to the viewer.
type viewerCase struct {
	name   string
	policy Policy
	origin header.Fields
	want   header.Fields
}

func (c viewerCase) check(t *testing.T) {
	before := c.origin.Clone(0)
	got := ViewerHeader(c.origin, c.policy)
	if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("ViewerHeader (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, c.origin, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("ViewerHeader changed its argument (-before +after):\n%s", diff)
	}
}

func TestViewerHeaderRemoves(t *testing.T) {
	s3 := Policy{S3: true}
	for _, tt := range []viewerCase{
		{
			"D17.2: hop-by-hop", Policy{},
			fields(
				"Connection", "keep-alive", "Keep-Alive", "timeout=5", "Proxy-Authenticate", "Basic", "proxy-connection", "close",
				"Proxy-Anything", "1", "TE", "trailers", "Trailer", "X-Sum", "Upgrade", "h2c", "ETag", `"a"`,
			),
			fields("ETag", `"a"`),
		},
		{
			"D17.2: named in Connection", Policy{},
			fields("X-Hop", "1", "Connection", "close, x-hop", "x-Other", "2", "X-Keep", "3", "connection", ", X-Other ,"),
			fields("X-Keep", "3"),
		},
		{"D17.2: Proxy without a hyphen is another name", Policy{}, fields("Proxy", "1"), fields("Proxy", "1")},
		{
			"D17.2: S3's identifiers", s3, fields("X-Amz-Id-2", "a", "x-amz-request-id", "b", "x-amz-meta-c", "c"),
			fields("x-amz-meta-c", "c"),
		},
		{
			"D17.8: the same from others", Policy{}, fields("X-Amz-Id-2", "a", "x-amz-request-id", "b"),
			fields("X-Amz-Id-2", "a", "x-amz-request-id", "b"),
		},
		{"D17.3: Transfer-Encoding", Policy{}, fields("Transfer-Encoding", "chunked"), nil},
		{"D17.4: Via", Policy{}, fields("Via", "1.1 varnish", "via", "1.1 other"), nil},
		{"D17.6: Set-Cookie without cookies", Policy{}, fields("Set-Cookie", "a=1", "set-cookie", "b=2", "X-A", "1"), fields("X-A", "1")},
	} {
		t.Run(tt.name, tt.check)
	}
}

func TestViewerHeaderPasses(t *testing.T) {
	cookies := Policy{CookiesForwarded: true}
	for _, tt := range []viewerCase{
		{
			"D17.6: Set-Cookie with cookies", cookies, fields("Set-Cookie", "a=1", "set-cookie", "b=2"),
			fields("Set-Cookie", "a=1", "set-cookie", "b=2"),
		},
		{
			"D17.7: no-cache=Set-Cookie still goes to this viewer", cookies,
			fields("Cache-Control", `no-cache="Set-Cookie"`, "Set-Cookie", "a=1"),
			fields("Cache-Control", `no-cache="Set-Cookie"`, "Set-Cookie", "a=1"),
		},
		{
			"D17.8: everything else, in order and spelling", Policy{},
			fields(
				"server", "nginx", "Date", "x", "Last-Modified", "x", "Age", "5", "Content-Type", "text/html",
				"Content-Length", "3", "Link", "<a>", "Link", "<b>", "X-Empty", "",
			),
			fields(
				"server", "nginx", "Date", "x", "Last-Modified", "x", "Age", "5", "Content-Type", "text/html",
				"Content-Length", "3", "Link", "<a>", "Link", "<b>", "X-Empty", "",
			),
		},
		{
			"D22.7: Cache-Control and Expires as they came", zeroMin,
			fields("Cache-Control", "private,max-age=0", "Expires", "0", "cache-control", "No-Store"),
			fields("Cache-Control", "private,max-age=0", "Expires", "0", "cache-control", "No-Store"),
		},
		{"D13.2: and under MinTTL", someMin, fields("Cache-Control", "no-store"), fields("Cache-Control", "no-store")},
		{
			"D13.9, D13.10: passed through", zeroMin,
			fields("CDN-Cache-Control", "no-store", "Surrogate-Control", "max-age=1", "Pragma", "no-cache"),
			fields("CDN-Cache-Control", "no-store", "Surrogate-Control", "max-age=1", "Pragma", "no-cache"),
		},
	} {
		t.Run(tt.name, tt.check)
	}
}

func TestVary(t *testing.T) {
	keyed := func(names ...string) Policy { return Policy{Min: 1, Max: 1, KeyedHeaders: names} }
	for _, tt := range []struct {
		name   string
		policy Policy
		origin []string
		want   []string
	}{
		{"D13.19: Accept-Encoding and Cookie stay", keyed(), []string{"accept-encoding,Cookie"}, []string{"accept-encoding,Cookie"}},
		{"D13.19: others are dropped", keyed(), []string{"Origin, Accept-Encoding, X-A"}, []string{"Accept-Encoding"}},
		{"D13.19: keyed headers stay", keyed("origin", "X-B"), []string{"Origin, X-A, X-B"}, []string{"Origin, X-B"}},
		{"D13.19: nothing remains", keyed(), []string{"Origin, User-Agent"}, nil},
		{"D13.19: line by line", keyed(), []string{"Origin", "Cookie"}, []string{"Cookie"}},
		{"D13.19: empty", keyed(), []string{"", " , "}, nil},
		{"D13.19: User-Agent by itself", keyed("User-Agent"), []string{"User-Agent"}, []string{"User-Agent"}},
		{"D13.19: User-Agent with a device header", keyed("CloudFront-Is-Mobile-Viewer"), []string{"User-Agent"}, []string{"User-Agent"}},
		{"D13.19: User-Agent with our brand's", keyed("seafront-is-smarttv-viewer"), []string{"User-Agent"}, []string{"User-Agent"}},
		{"D13.19: User-Agent with another viewer header", keyed("CloudFront-Viewer-Country"), []string{"User-Agent"}, nil},
		{"D13.18: * under MinTTL", keyed(), []string{"*"}, nil},
		{"D13.18: * among others under MinTTL", keyed(), []string{"*, Cookie"}, []string{"Cookie"}},
		{"D13.18: * without MinTTL", Policy{Max: 1}, []string{"*"}, []string{"*"}},
		{"D13.18: * among others without MinTTL", Policy{Max: 1}, []string{"Origin, *"}, []string{"*"}},
		{"D13.20: S3 alike", Policy{Min: 1, Max: 1, S3: true}, []string{"Origin, Accept-Encoding"}, []string{"Accept-Encoding"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var h header.Fields
			for _, line := range tt.origin {
				h.Add("Vary", line)
			}
			if diff := cmp.Diff(tt.want, ViewerHeader(h, tt.policy).Values("vary")); diff != "" {
				t.Errorf("Vary (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStoredHeader(t *testing.T) {
	for _, tt := range []struct {
		name   string
		viewer header.Fields
		want   header.Fields
	}{
		{"D17.8: Age is replaced on hits", fields("Age", "5", "ETag", `"a"`), fields("ETag", `"a"`)},
		{"D17.6: Set-Cookie is cached", fields("Set-Cookie", "a=1"), fields("Set-Cookie", "a=1")},
		{
			"D17.7: no-cache=Set-Cookie is not stored", fields("Set-Cookie", "a=1", "Cache-Control", `no-cache="set-cookie"`, "X-A", "1"),
			fields("Cache-Control", `no-cache="set-cookie"`, "X-A", "1"),
		},
		{
			"D13.8: other lists", fields("Cache-Control", `private="X-User, X-Group"`, "X-User", "u", "Cache-Control", `no-cache="X-A"`, "X-A", "1", "X-Group", "g"),
			fields("Cache-Control", `private="X-User, X-Group"`, "Cache-Control", `no-cache="X-A"`),
		},
		{"D13.8: plain no-cache names nothing", fields("Cache-Control", "no-cache", "Set-Cookie", "a=1"), fields("Cache-Control", "no-cache", "Set-Cookie", "a=1")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := tt.viewer.Clone(0)
			if diff := cmp.Diff(tt.want, StoredHeader(tt.viewer, Policy{})); diff != "" {
				t.Errorf("StoredHeader (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tt.viewer); diff != "" {
				t.Errorf("StoredHeader changed its argument (-before +after):\n%s", diff)
			}
		})
	}
}

func TestMerge(t *testing.T) {
	for _, tt := range []struct {
		name          string
		stored, fresh header.Fields
		want          header.Fields
	}{
		{
			"D14.6: what a 304 refreshes",
			fields("Date", "old", "Expires", "old", "Cache-Control", "max-age=1", "ETag", `"a"`, "Vary", "Cookie", "X-A", "old"),
			fields("date", "new", "expires", "new", "cache-control", "max-age=2", "etag", `"b"`, "vary", "Accept-Encoding", "x-a", "new"),
			fields("date", "new", "expires", "new", "cache-control", "max-age=2", "etag", `"b"`, "vary", "Accept-Encoding", "x-a", "new"),
		},
		{
			"D14.6: what it leaves alone",
			fields("Content-Encoding", "br", "Content-Length", "9", "Content-Type", "a/b", "Content-Range", "bytes 0-8/9"),
			fields("content-encoding", "gzip", "content-length", "0", "content-type", "c/d", "content-range", "bytes 1-8/9"),
			fields("Content-Encoding", "br", "Content-Length", "9", "Content-Type", "a/b", "Content-Range", "bytes 0-8/9"),
		},
		{
			"D14.6: what it may not add", nil,
			fields("Content-Encoding", "gzip", "Content-Length", "0", "Transfer-Encoding", "chunked", "Connection", "close", "X-A", "1"),
			fields("X-A", "1"),
		},
		{
			"RFC 9111 3.2: every line of a name is replaced",
			fields("Link", "<a>", "X-A", "1", "Link", "<b>"), fields("Link", "<c>", "Link", "<d>"),
			fields("X-A", "1", "Link", "<c>", "Link", "<d>"),
		},
		{"RFC 9111 3.2: what the 304 does not say stays", fields("X-A", "1"), nil, fields("X-A", "1")},
		{"D13.15: the 304's Age is there to be judged", nil, fields("Age", "5"), fields("Age", "5")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Merge(tt.stored, tt.fresh, Policy{})); diff != "" {
				t.Errorf("Merge (-want +got):\n%s", diff)
			}
		})
	}
}
