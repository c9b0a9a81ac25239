// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"strconv"
	"testing"
)

func TestRangeLength(t *testing.T) {
	for _, tt := range []struct {
		name, head string
		want       Kind // 0: passes
	}{
		{"D19.11: they agree", "206 P\r\nContent-Range: bytes 0-4/10\r\n", 0},
		{"D19.11: the length of the whole is not known", "206 P\r\nContent-Range: bytes 5-9/*\r\n", 0},
		{"D19.11: too short", "206 P\r\nContent-Range: bytes 0-3/10\r\n", RangeLength},
		{"D19.11: too long", "206 P\r\nContent-Range: BYTES 0-5/10\r\n", RangeLength},
		{"D19.11: backwards", "206 P\r\nContent-Range: bytes 4-0/10\r\n", RangeLength},
		{"D19.11: as large as numbers get", "206 P\r\nContent-Range: bytes 0-9223372036854775807/*\r\n", RangeLength},
		{"several parts pass as they are", "206 P\r\nContent-Type: multipart/byteranges; boundary=x\r\n", 0},
		{"another unit", "206 P\r\nContent-Range: lines 0-9/10\r\n", 0},
		{"what is no range is for others to judge", "206 P\r\nContent-Range: bytes 0-x/10\r\n", 0},
		{"another status", "200 OK\r\nContent-Range: bytes 0-9/10\r\n", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := serve(t, func(p *peer) { p.answer("HTTP/1.1 " + tt.head + "Content-Length: 5\r\n\r\nhello") })
			c := newTestClient(t, Config{})
			if tt.want == 0 {
				mustFetch(t, c, get(o))
				return
			}
			_, err := c.Fetch(t.Context(), get(o))
			if e := wantKind(t, err, tt.want); e.Status() != 502 || e.Detail() != "OriginContentRangeLengthError" {
				t.Errorf("%d %s", e.Status(), e.Detail())
			}
		})
	}
}

// TestAnyStatus: codes that nobody has defined pass, with a body as their framing says.
func TestAnyStatus(t *testing.T) {
	for _, status := range []int{200, 299, 418, 599, 600, 700, 999} {
		o := serve(t, func(p *peer) { p.answer("HTTP/1.1 " + strconv.Itoa(status) + "\r\nContent-Length: 5\r\n\r\nhello") })
		if res, body := mustFetch(t, newTestClient(t, Config{}), get(o)); res.Status != status || body != "hello" {
			t.Errorf("%d %q, want %d", res.Status, body, status)
		}
	}
}
