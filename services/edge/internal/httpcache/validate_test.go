// SPDX-License-Identifier: Apache-2.0

package httpcache

import "testing"

func TestFreshen(t *testing.T) {
	stored := answer(200, "ETag", `"a"`, "Last-Modified", inSeconds(-100), "Content-Length", "5")
	for _, tt := range []struct {
		name   string
		stored Response
		head   Response
		policy Policy
		want   HeadEffect
	}{
		{"RFC 9111 4.3.5: the same", stored, stored, pureHTTP, HeadUpdates},
		{"RFC 9111 4.3.5: what is not told is no difference", stored, answer(200), pureHTTP, HeadUpdates},
		{"RFC 9111 4.3.5: other fields", stored, answer(200, "ETag", `"a"`, "X-A", "1"), pureHTTP, HeadUpdates},
		{"RFC 9111 4.3.5: another entity tag", stored, answer(200, "ETag", `"b"`), pureHTTP, HeadOutdates},
		{"RFC 9111 4.3.5: another date", stored, answer(200, "Last-Modified", inSeconds(-99)), pureHTTP, HeadOutdates},
		{"RFC 9111 4.3.5: another length", stored, answer(200, "Content-Length", "6"), pureHTTP, HeadOutdates},
		{"RFC 9111 4.3.5: an error tells nothing", stored, answer(410, "ETag", `"b"`), pureHTTP, HeadNothing},
		{"RFC 9111 4.3.5: nor does a stored one hear", answer(404), answer(200), pureHTTP, HeadNothing},
		{"D13.31: not in CloudFront semantics", stored, answer(200, "ETag", `"b"`), zeroMin, HeadNothing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Freshen(tt.stored, tt.head, tt.policy); got != tt.want {
				t.Errorf("Freshen = %v, want %v", got, tt.want)
			}
		})
	}
}
