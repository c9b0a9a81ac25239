// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"net"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
)

// Request is what is asked of an origin.
type Request struct {
	// Origin is the server to ask. Required; its time-outs hold as they are.
	Origin *snapshot.Origin
	// ViewerScheme is "http" or "https": what snapshot.MatchViewer stands for
	// (D16.2).
	ViewerScheme string
	// Method is GET or HEAD; another one fails with BadRequest.
	Method string
	// Target is the path and query byte for byte as they are sent (D15.1), the
	// prefixes of origin and distribution included.
	Target string
	// Host is the Host field to send. Empty: that of the origin, with the port
	// where it is not the scheme's own.
	Host string
	// Header holds the other fields. The Client adds Host and Connection, and
	// leaves out what is between two hops only (D15.2, D15.8) or describes a body.
	Header header.Fields
	// MaxLength is the largest Content-Length to accept, 0 for any: a caller that
	// means to store the answer gives the limit of D17.14.
	MaxLength int64
}

// secure says whether the request goes over TLS (D16.2).
func (r *Request) secure() bool {
	if r.Origin.Scheme == snapshot.MatchViewer {
		return r.ViewerScheme == "https"
	}
	return r.Origin.Scheme == snapshot.HTTPS
}

// host is the Host field to send.
func (r *Request) host() string {
	if r.Host != "" {
		return r.Host
	}
	o := r.Origin
	port, usual := o.HTTPPort, 80
	if r.secure() {
		port, usual = o.HTTPSPort, 443
	}
	bare := strings.Trim(o.Host, "[]")
	if port != usual {
		return net.JoinHostPort(bare, strconv.Itoa(port))
	}
	if strings.Contains(bare, ":") {
		return "[" + bare + "]"
	}
	return bare
}

// serverName is the name to ask for in the TLS handshake: the Host that is sent if
// it is not the origin's own, else the origin's (D16.5).
func (r *Request) serverName() string {
	name := r.Origin.Host
	if r.Host != "" {
		name = r.Host
		if h, _, err := net.SplitHostPort(r.Host); err == nil {
			name = h
		}
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
}

// head returns the request as it is written. It refuses whatever would let a
// viewer's bytes end a line or add a field.
func (r *Request) head() ([]byte, error) {
	if r.Method != "GET" && r.Method != "HEAD" {
		return nil, fault(BadRequest, "method %q: only GET and HEAD are sent", r.Method)
	}
	// The bytes of D4.12 cannot stand in a request line; others are sent as they are.
	if r.Target == "" || r.Target[0] != '/' || strings.ContainsFunc(r.Target, breaksTarget) {
		return nil, fault(BadRequest, "target %q is not a path", r.Target)
	}
	host := r.host()
	if strings.ContainsFunc(host, breaksHost) {
		return nil, fault(BadRequest, "host %q is not a host", host)
	}
	b := make([]byte, 0, 1024)
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\nConnection: Keep-Alive\r\n"...) // D15.2
	options := connectionOptions(r.Header)
	for i := range r.Header {
		name, value := r.Header[i].Name, r.Header[i].Value
		if ownField(name) || hopByHop(name, options) || r.custom(name) {
			continue
		}
		var err error
		if b, err = appendField(b, name, value); err != nil {
			return nil, err
		}
	}
	for _, h := range r.Origin.Headers {
		value := h.Value.Reveal()
		if value == "" && header.Equal(h.Name, "Accept-Encoding") { // D11.20
			continue
		}
		var err error
		if b, err = appendField(b, h.Name, value); err != nil {
			return nil, err
		}
	}
	return append(b, "\r\n"...), nil
}

// custom says whether the origin has a header of its own of that name, which is sent
// instead (C5.23, D15.6).
func (r *Request) custom(name string) bool {
	for i := range r.Origin.Headers {
		if header.Equal(r.Origin.Headers[i].Name, name) {
			return true
		}
	}
	return false
}

// appendField appends a line. The error does not hold the value, which may be secret.
func appendField(b []byte, name, value string) ([]byte, error) {
	if !isToken(name) || !isFieldValue(value) {
		return nil, fault(BadRequest, "field %q cannot be sent", name)
	}
	b = append(b, textproto.CanonicalMIMEHeaderKey(name)...) // D15.9
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...), nil
}

// ownField names what the Client writes itself or what would announce a body,
// of which there is none.
func ownField(name string) bool {
	return header.Equal(name, "Host") || header.Equal(name, "Content-Length")
}

func breaksTarget(c rune) bool { return c <= ' ' || c == 0x7f || c == '#' }

func breaksHost(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune(`/\?#@,"<>{}|^`+"`", c)
}

// connectionFields concern one connection only (D15.2, D17.2). Those that begin
// with "Proxy-" do as well.
var connectionFields = [...]string{
	"Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
}

// hopByHop says whether a field is between two hops only: by its name, or because
// Connection names it (D15.8, RFC 9110 §7.6.1).
func hopByHop(name string, options []string) bool {
	const proxy = "Proxy-"
	if len(name) > len(proxy) && header.Equal(name[:len(proxy)], proxy) {
		return true
	}
	for _, f := range connectionFields {
		if header.Equal(name, f) {
			return true
		}
	}
	for _, o := range options {
		if header.Equal(name, o) {
			return true
		}
	}
	return false
}

// connectionOptions are the words in the Connection fields.
func connectionOptions(f header.Fields) []string {
	all, ok := f.Joined("Connection", ",")
	if !ok {
		return nil
	}
	options := strings.Split(all, ",")
	for i := range options {
		options[i] = strings.Trim(options[i], " \t")
	}
	return options
}
