// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"io"
	"testing"
)

// What has come with the head can be had without waiting; the rest comes by Read.
func TestArrived(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	for _, tt := range []struct {
		name        string
		first, then string
		want        string
		whole       bool
		rest        string
	}{
		{"whole", head + "hello", "", "hello", true, ""},
		{"a part", head + "he", "llo", "he", false, "llo"},
		{"the head alone", head, "hello", "", false, "hello"},
		{"an empty body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", "", false, ""},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", "", "", false, ""},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "", "", false, "hello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := make(chan struct{})
			o := serve(t, func(p *peer) {
				p.request()
				p.reply(tt.first)
				<-asked
				p.reply(tt.then)
				p.hang()
			})
			res, err := newTestClient(t, Config{}).Fetch(t.Context(), get(o))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			first, whole := res.Arrived()
			close(asked)
			if string(first) != tt.want || whole != tt.whole {
				t.Errorf("arrived: %q, %v", first, whole)
			}
			if rest, err := io.ReadAll(res.Body); string(rest) != tt.rest || err != nil {
				t.Errorf("then %q, %v", rest, err)
			}
		})
	}
	t.Run("D17.12: too long a body", func(t *testing.T) {
		o := serve(t, func(p *peer) {
			p.request()
			p.reply(head + "hello!")
			p.hang()
		})
		res, err := newTestClient(t, Config{}).Fetch(t.Context(), get(o))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if first, whole := res.Arrived(); first != nil || whole {
			t.Errorf("arrived: %q, %v", first, whole)
		}
		_, err = io.ReadAll(res.Body)
		wantKind(t, err, Invalid)
	})
}
