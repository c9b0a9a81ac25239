// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// downgradeCase is a request over HTTP/2 that would be another one, or two, if its
// fields went into HTTP/1.1 as they are (RFC 9113 §8.1.1, §10.3). In values, @ID and
// @HOST are as in requestCase.
type downgradeCase struct {
	id      string
	fields  [][2]string // in place of, or after, those of a good request
	body    string
	verdict verdict
	want    string // at the origin, where it is accepted
}

func downgradeCases() []downgradeCase {
	var out []downgradeCase
	family := func(name string, v verdict, want, body string, all ...[2]string) {
		for i, f := range all {
			out = append(out, downgradeCase{id: fmt.Sprintf("%s-%d", name, i+1), fields: [][2]string{f}, body: body, verdict: v, want: want})
		}
	}
	const inside = "\r\n\r\nGET @ID/smuggled HTTP/1.1\r\nHost: @HOST\r\n\r\n"
	family("value", refuse, "", "", [][2]string{
		{"x", "a\r\nx-b: c"}, {"x", "a\nx-b: c"}, {"x", "a\rb"}, {"x", "a" + inside}, {"x", "a\x00b"}, {"x", "\n"}, {"x", "\r\n\r\n"}, {"user-agent", "a\r\ntransfer-encoding: chunked"}, {"cookie", "a=b\r\nhost: other.test"}, {"x", "a\x0bb"}, {"x", "a\x7f"},
	}...)
	family("name", refuse, "", "", [][2]string{
		{"x\r\ny", "a"}, {"x: a\r\ny", "b"}, {"x y", "a"}, {"x:", "a"}, {"", "a"}, {"X", "a"}, {"x\x00", "a"}, {"x\ny", "a"}, {"transfer-encoding: chunked\r\nx", "a"}, {" x", "a"}, {"x\t", "a"}, {"x\xc3\xa9", "a"}, {":x", "a"}, {"x(", "a"},
	}...)
	family("path", refuse, "", "", [][2]string{
		{":path", "@ID/1 HTTP/1.1" + inside}, {":path", "@ID/1\r\nx: y"}, {":path", "@ID/1 x"}, {":path", ""}, {":path", "@ID/1\x00"}, {":path", "@ID/1\n"}, {":path", "@ID/1\tx"}, {":path", "c/x"}, {":path", "http://other.test@ID/1"}, {":path", "@ID/1#x"}, {":path", "*"},
	}...)
	family("method", refuse, "", "", [][2]string{
		{":method", "GET @ID/smuggled HTTP/1.1\r\nx: "}, {":method", "G ET"}, {":method", ""}, {":method", "GET\r\n"}, {":method", "GET\x00"}, {":method", "CONNECT"}, {":method", "G(T"},
	}...)
	family("authority", refuse, "", "", [][2]string{
		{":authority", "@HOST\r\nx: y"}, {":authority", "@HOST x"}, {":authority", "user@@HOST"}, {":authority", "@HOST/x"}, {":authority", ""}, {":authority", "other.test"}, {":authority", "@HOST:x"}, {"host", "other.test"},
	}...)
	family("scheme", refuse, "", "", [][2]string{{":scheme", "http\r\nx: y"}, {":scheme", ""}, {":scheme", "http://other.test/"}}...)
	family("connection", refuse, "", "", [][2]string{
		{"connection", "close"}, {"transfer-encoding", "chunked"}, {"keep-alive", "1"}, {"upgrade", "h2c"}, {"proxy-connection", "close"}, {"te", "gzip"}, {"connection", "transfer-encoding"}, {"transfer-encoding", "identity"},
	}...)
	family("length", refuse, "", "hello", [][2]string{
		{"content-length", "4"}, {"content-length", "6"}, {"content-length", "0"}, {"content-length", "+5"}, {"content-length", "-5"}, {"content-length", "5, 6"}, {"content-length", "x"}, {"content-length", ""}, {"content-length", "5\r\nx: y"}, {"content-length", "99999999999999999999"},
	}...)
	family("coding-body", refuse, "", "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n", [2]string{"transfer-encoding", "chunked"}, [2]string{"transfer-encoding", " chunked"}, [2]string{"transfer-encoding", "xchunked"})
	add := func(id string, v verdict, want, body string, fields ...[2]string) {
		out = append(out, downgradeCase{id: id, fields: fields, body: body, verdict: v, want: want})
	}
	add("good-get", accept, "GET @ID/1", "")
	add("good-body", accept, "POST @ID/1 hello", "hello", [2]string{":method", "POST"}, [2]string{"content-length", "5"})
	add("good-body-no-length", accept, "POST @ID/1 hello", "hello", [2]string{":method", "POST"})
	add("good-te", accept, "GET @ID/1", "", [2]string{"te", "trailers"})
	add("good-chunk-text", accept, "POST @ID/1 0\r\n\r\n", "0\r\n\r\n", [2]string{":method", "POST"})
	add("good-cookies", accept, "GET @ID/1", "", [2]string{"cookie", "a=b"}, [2]string{"cookie", "c=d"})
	add("length-twice", refuse, "", "hello", [2]string{":method", "POST"}, [2]string{"content-length", "5"}, [2]string{"content-length", "6"})
	add("pseudo-after", refuse, "", "", [2]string{"x", "a"}, [2]string{":x-late", "b"})
	add("host-same", either, "GET @ID/1", "", [2]string{"host", "@HOST"})
	return out
}

// list puts the fields of a case into those of a good request.
func (c downgradeCase) list(r *strings.Replacer) []hpack.HeaderField {
	pseudo := [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "@HOST"}, {":path", "@ID/1"}}
	if c.body != "" {
		pseudo[0][1] = "POST"
	}
	var rest [][2]string
	for _, f := range c.fields {
		i := slices.IndexFunc(pseudo, func(p [2]string) bool { return p[0] == f[0] })
		if i >= 0 {
			pseudo[i] = f
		} else {
			rest = append(rest, f)
		}
	}
	var out []hpack.HeaderField
	for _, f := range append(pseudo, rest...) {
		out = append(out, hpack.HeaderField{Name: r.Replace(f[0]), Value: r.Replace(f[1])})
	}
	return out
}

var errReset = errors.New("the stream or the connection was ended")

// send asks by one stream and returns the status.
func (c downgradeCase) send(e *edge, host string) (int, error) {
	a, err := newAttacker(e, host)
	if err != nil {
		return 0, err
	}
	defer a.conn.Close()
	if err := a.conn.SetDeadline(time.Now().Add(viewerBound)); err != nil {
		return 0, err
	}
	for _, f := range c.list(strings.NewReplacer("@ID", "/c/"+c.id, "@HOST", host)) {
		if err := a.encode.WriteField(f); err != nil {
			return 0, err
		}
	}
	err = a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: bytes.Clone(a.head.Bytes()), EndStream: c.body == "", EndHeaders: true})
	if err == nil && c.body != "" {
		err = a.framer.WriteData(1, true, []byte(c.body))
	}
	if err == nil {
		err = a.out.flush()
	}
	if err != nil {
		return 0, errReset
	}
	return a.status(1)
}

// status reads until the stream has its status.
func (a *attacker) status(stream uint32) (int, error) {
	in := http2.NewFramer(nil, a.conn)
	in.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := in.ReadFrame()
		if err != nil {
			return 0, errReset
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); f.StreamID == stream && status != "" && status[0] != '1' {
				n := 0
				_, err := fmt.Sscan(status, &n)
				return n, err
			}
		case *http2.RSTStreamFrame:
			return 0, errReset
		case *http2.GoAwayFrame:
			return 0, errReset
		}
	}
}

func (c downgradeCase) run(e *edge, host string, origin *recorder) error {
	status, err := c.send(e, host)
	if err != nil && !errors.Is(err, errReset) {
		return err
	}
	seen, _, garbage := origin.of(c.id)
	if len(garbage) > 0 {
		return fmt.Errorf("the origin cannot read what it gets: %s", garbage[0])
	}
	accepted := status == http.StatusOK && slices.Equal(seen, []string{strings.ReplaceAll(c.want, "@ID", "/c/"+c.id)})
	refused := len(seen) == 0 && (status == 0 || status >= 400)
	if c.verdict == accept && accepted || c.verdict == refuse && refused || c.verdict == either && (accepted || refused) {
		return nil
	}
	return fmt.Errorf("status %d, the origin saw %.200q", status, seen)
}

func downgrades(t *testing.T, e *edge, r *results) {
	origin := startRecorder(t)
	host := e.site(t, "downgrades", origin.address())
	queue := make(chan downgradeCase)
	var all sync.WaitGroup
	for range together {
		all.Go(func() {
			for c := range queue {
				r.add(c.id, "", c.run(e, host, origin))
			}
		})
	}
	for i, c := range downgradeCases() {
		if full() || i%sampleOf == 0 {
			queue <- c
		}
	}
	close(queue)
	all.Wait()
}
