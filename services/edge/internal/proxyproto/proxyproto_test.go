// SPDX-License-Identifier: Apache-2.0

package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// v2 is a header of version 2.
func v2(command, family byte, rest string) string {
	b := append([]byte(v2Signature), command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(rest)))) + rest
}

const (
	ends4 = "\xc0\x00\x02\x07" + "\xc6\x33\x64\x01" + "\x30\x39" + "\x01\xbb"
	ends6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x30\x39" + "\x01\xbb"
	// mapped is 192.0.2.7 as an IPv6 address.
	mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x07" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x30\x39" + "\x01\xbb"
)

const (
	none = "" // no address: that of the peer
	bad  = "bad"
)

var headers = []struct{ name, header, want string }{
	{"v1: TCP4", "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n", "192.0.2.7:12345"},
	{"v1: TCP6", "PROXY TCP6 2001:db8::7 2001:db8::1 12345 443\r\n", "[2001:db8::7]:12345"},
	{"v1: TCP6, shortest", "PROXY TCP6 :: :: 0 0\r\n", "[::]:0"},
	{"v1: longest TCP6", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"v1: mapped IPv4", "PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "192.0.2.7:1"},
	{"v1: UNKNOWN", "PROXY UNKNOWN\r\n", none},
	{"v1: UNKNOWN with more", "PROXY UNKNOWN whatever  it is\r\n", none},
	{"v1: UNKNOWN of the greatest length", "PROXY UNKNOWN " + strings.Repeat("x", 107-16) + "\r\n", none},
	{"v1: too long", "PROXY UNKNOWN " + strings.Repeat("x", 107-15) + "\r\n", bad},
	{"v1: no end", "PROXY UNKNOWN " + strings.Repeat("x", 1000), bad},
	{"v1: LF alone", "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n" + strings.Repeat(" ", 100), bad},
	{"v1: lower case", "proxy tcp4 192.0.2.7 198.51.100.1 1 2\r\n", bad},
	{"v1: another protocol", "PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n", bad},
	{"v1: UNKNOWN run on", "PROXY UNKNOWNS\r\n", bad},
	{"v1: two spaces", "PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n", bad},
	{"v1: space at the end", "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n", bad},
	{"v1: a field too few", "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n", bad},
	{"v1: a field too many", "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n", bad},
	{"v1: IPv6 in TCP4", "PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n", bad},
	{"v1: IPv4 in TCP6", "PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n", bad},
	{"v1: zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", bad},
	{"v1: leading zero", "PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n", bad},
	{"v1: name", "PROXY TCP4 localhost 198.51.100.1 1 2\r\n", bad},
	{"v1: bad destination", "PROXY TCP4 192.0.2.7 198.51.100 1 2\r\n", bad},
	{"v1: port too large", "PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n", bad},
	{"v1: port with sign", "PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n", bad},
	{"v1: port with zero", "PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n", bad},
	{"v1: bad port of the destination", "PROXY TCP4 192.0.2.7 198.51.100.1 1 x\r\n", bad},

	{"v2: TCP4", v2(v2Proxy, v2TCP4, ends4), "192.0.2.7:12345"},
	{"v2: TCP6", v2(v2Proxy, v2TCP6, ends6), "[2001:db8::7]:12345"},
	{"v2: mapped IPv4", v2(v2Proxy, v2TCP6, mapped), "192.0.2.7:12345"},
	{"v2: extensions", v2(v2Proxy, v2TCP4, ends4+"\x04\x00\x00"+"\x02\x00\x04name"), "192.0.2.7:12345"},
	{"v2: the longest", v2(v2Proxy, v2TCP4, ends4+"\x04"+string(binary.BigEndian.AppendUint16(nil, 4096-15))+strings.Repeat("x", 4096-15)), "192.0.2.7:12345"},
	{"v2: LOCAL", v2(v2Local, v2Unspecified, ""), none},
	{"v2: LOCAL with more", v2(v2Local, v2TCP4, "whatever it is"), none},
	{"v2: no family", v2(v2Proxy, v2Unspecified, "whatever it is"), none},
	{"v2: socket of the same machine", v2(v2Proxy, v2Unix, strings.Repeat("x", 216)), none},
	{"v2: too long", v2(v2Proxy, v2TCP4, ends4+strings.Repeat("x", 4096)), bad},
	{"v2: version 1", v2(0x11, v2TCP4, ends4), bad},
	{"v2: another command", v2(0x22, v2TCP4, ends4), bad},
	{"v2: datagrams", v2(v2Proxy, 0x12, ends4), bad},
	{"v2: another family", v2(v2Proxy, 0x41, ends4), bad},
	{"v2: addresses cut off", v2(v2Proxy, v2TCP4, ends4[:11]), bad},
	{"v2: IPv6 addresses cut off", v2(v2Proxy, v2TCP6, ends4), bad},
	{"v2: socket cut off", v2(v2Proxy, v2Unix, ends6), bad},
	{"v2: extension cut off", v2(v2Proxy, v2TCP4, ends4+"\x04\x00\x05name"), bad},
	{"v2: extension without length", v2(v2Proxy, v2TCP4, ends4+"\x04\x00"), bad},

	{"HTTP/1.1", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", bad},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bad},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 50), bad},
	{"the signature of version 2 cut off", v2Signature[:10] + "xxxxxxxxxxxx", bad},
}

func TestHeaders(t *testing.T) {
	const follows = "GET / HTTP/1.1\r\n"
	for _, tt := range headers {
		for how, reader := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "in halves": iotest.HalfReader,
		} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				from := strings.NewReader(tt.header + follows)
				got, err := read(reader(from))
				if tt.want == bad {
					if !errors.Is(err, errHeader) {
						t.Fatalf("%v, %v: want it refused", got, err)
					}
					return
				}
				var want netip.AddrPort
				if tt.want != none {
					want = netip.MustParseAddrPort(tt.want)
				}
				if err != nil || got != want {
					t.Errorf("%v, %v, want %v", got, err, want)
				}
				if rest, _ := io.ReadAll(from); string(rest) != follows { // from memory
					t.Errorf("%q is left, want %q", rest, follows)
				}
			})
		}
	}
}

// A header that is cut off anywhere is no header.
func TestHeadersCutOff(t *testing.T) {
	for _, tt := range headers {
		if tt.want == bad {
			continue
		}
		for n := range len(tt.header) {
			if got, err := read(strings.NewReader(tt.header[:n])); err == nil {
				t.Fatalf("%s: %v after %d bytes", tt.name, got, n)
			}
		}
	}
}

func newReader(t *testing.T, networks ...string) *Reader {
	t.Helper()
	cfg := Config{Meter: metricnoop.NewMeterProvider()}
	for _, n := range networks {
		cfg.Networks = append(cfg.Networks, netip.MustParsePrefix(n))
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestExpects(t *testing.T) {
	r := newReader(t, "192.0.2.77/24", "2001:db8::/32")
	for addr, want := range map[string]bool{
		"192.0.2.1": true, "::ffff:192.0.2.1": true, "192.0.3.1": false, "2001:db8::1": true, "2001:db8::1%eth0": true, "2001:db9::1": false,
	} {
		if got := r.Expects(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if newReader(t).Expects(netip.MustParseAddr("192.0.2.1")) {
		t.Error("without networks a header is expected")
	}
}

// Who is not listed is taken as it is, and nothing is read of what it sends.
func TestStrangersAreTakenAsTheyAre(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	peer := netip.MustParseAddrPort("203.0.113.1:7")
	if got, err := newReader(t, "192.0.2.0/24").Viewer(server, peer); err != nil || got != peer {
		t.Errorf("%v, %v", got, err)
	}
}

func TestViewer(t *testing.T) {
	peer := netip.MustParseAddrPort("192.0.2.200:7")
	for _, tt := range []struct {
		name, send string
		want       netip.AddrPort
		err        error
	}{
		{"address", "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\n", netip.MustParseAddrPort("192.0.2.7:12345"), nil},
		{"none", "PROXY UNKNOWN\r\n", peer, nil},
		{"bad", "GET / HTTP/1.1\r\n\r\n", netip.AddrPort{}, errHeader},
		{"slow", "PROXY TCP4 192.0.2.7 198", netip.AddrPort{}, os.ErrDeadlineExceeded},
		{"silent", "", netip.AddrPort{}, os.ErrDeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				defer client.Close()
				defer server.Close()
				go func() { _, _ = io.WriteString(client, tt.send+"more") }() // the reader tells
				began := time.Now()
				got, err := newReader(t, "192.0.2.0/24").Viewer(server, peer)
				if got != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Errorf("%v, %v, want %v, %v", got, err, tt.want, tt.err)
				}
				if d := time.Since(began); d > DefaultTimeout {
					t.Errorf("after %v", d)
				}
				if err != nil {
					return
				}
				time.Sleep(2 * DefaultTimeout) // no deadline is left behind
				more := make([]byte, 4)
				if _, err := io.ReadFull(server, more); err != nil || string(more) != "more" {
					t.Errorf("then %q, %v", more, err)
				}
			})
		})
	}
}

func FuzzV1(f *testing.F) {
	for _, tt := range headers {
		f.Add(tt.header)
	}
	f.Fuzz(func(t *testing.T, line string) {
		source, err := parseV1(line)
		if err != nil || !source.IsValid() {
			return
		}
		family := "TCP4"
		if source.Addr().Is6() || strings.Contains(line, "TCP6") {
			family = "TCP6"
		}
		if !strings.Contains(line, family+" ") {
			t.Errorf("%q has %v", line, source)
		}
	})
}

func FuzzV2(f *testing.F) {
	f.Add(byte(v2Proxy), byte(v2TCP4), []byte(ends4))
	f.Add(byte(v2Proxy), byte(v2TCP6), []byte(ends6+"\x04\x00\x00"))
	f.Add(byte(v2Proxy), byte(v2Unix), make([]byte, 216))
	f.Fuzz(func(t *testing.T, command, family byte, rest []byte) {
		if source, err := parseV2(command, family, rest); err == nil && source.IsValid() && (command != v2Proxy || len(rest) < 12) {
			t.Errorf("%x %x %x has %v", command, family, rest, source)
		}
	})
}

// FuzzRead holds that the pieces in which a header comes change nothing, and that no
// byte past it is taken.
func FuzzRead(f *testing.F) {
	for _, tt := range headers {
		f.Add([]byte(tt.header))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, split := bytes.NewReader(b), bytes.NewReader(b)
		want, wantErr := read(whole)
		got, err := read(iotest.OneByteReader(split))
		if got != want || (err == nil) != (wantErr == nil) || whole.Len() != split.Len() {
			t.Fatalf("byte by byte %v, %v; whole %v, %v", got, err, want, wantErr)
		}
		if taken := len(b) - whole.Len(); taken > v2Head+v2Most {
			t.Errorf("%d bytes taken", taken)
		}
	})
}
