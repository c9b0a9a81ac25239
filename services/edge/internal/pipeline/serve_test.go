// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
)

func TestMissThenHit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEdge(t, options{})
		e.origin.says(text(200, "hello", "Content-Type", "text/plain", "ETag", `"1"`, "X-Cache", "Hit from elsewhere"))
		first := e.get("/a?x=1")
		e.want("D14.1: first", first, 200, "Miss", "hello", 1)
		if first.header.Has("Age") {
			t.Error("D13.14: the first delivery has an Age")
		}
		time.Sleep(90 * time.Second)
		second := e.get("/a?x=2") // the query is not keyed
		e.want("D14.1: second", second, 200, "Hit", "hello", 0)
		for name, want := range map[string]string{
			"Age": "90", "X-Cache": "Hit from seafront", "X-Seafront-Pop": "TST1", "Content-Length": "5",
			"Server": "Seafront", "Date": first.header.Get("Date"), "Content-Type": "text/plain", "ETag": `"1"`,
		} {
			if got := second.header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("D22.1: %s = %q, want %q", name, got, want)
			}
		}
		if via := second.header.Get("Via"); !regexp.MustCompile(`^1\.1 [0-9a-f]{32}\.seafront\.localhost \(Seafront\)$`).MatchString(via) {
			t.Errorf("D22.2: Via = %q", via)
		}
		id := second.header.Get("X-Seafront-Id")
		if len(id) != 56 || !strings.HasSuffix(id, "==") || id == first.header.Get("X-Seafront-Id") {
			t.Errorf("D22.4: id %q", id)
		}
		if n := strings.Count(e.log.String(), `"msg":"request"`); n != 2 {
			t.Errorf("%d events for two requests:\n%s", n, e.log)
		}
		if !strings.Contains(e.log.String(), `"outcome":"hit"`) || !strings.Contains(e.log.String(), id) {
			t.Errorf("log: %s", e.log)
		}
	})
}

func TestRefusals(t *testing.T) {
	off := siteOf(80)
	off.DomainName, off.Config.Aliases, off.Config.Enabled = "d2.cdn.test", []string{"off.example.com"}, false
	strict := behaviorOf("cachePolicies/main")
	strict.PathPattern = "/secure/*"
	strict.ViewerProtocolPolicy = configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_HTTPS_ONLY
	lost := behaviorOf("cachePolicies/none")
	lost.PathPattern = "/lost/*"
	site := siteOf(80)
	site.Config.Origins = append(site.Config.Origins, &configv1.Origin{
		Id: "gone", Source: &configv1.Origin_OriginRef{OriginRef: "origins/gone"},
	})
	orphan := behaviorOf("cachePolicies/main")
	orphan.PathPattern, orphan.TargetOriginId = "/orphan", "gone"
	site.Config.CacheBehaviors = []*configv1.CacheBehavior{strict, lost, orphan}
	e := newEdge(t, options{site: site})
	e.config.now, _ = e.config.now.Apply(8, []snapshot.Change{record(t, keys.Distributions, "off", 8, off)})

	req := func(change func(*exchange.Request)) *exchange.Request {
		r := ask("/a")
		change(r)
		return r
	}
	for _, tt := range []struct {
		name   string
		req    *exchange.Request
		status int
		reason string
		closed bool
	}{
		{"D2.6: unknown host", req(func(r *exchange.Request) { r.Host = "other.test" }), 403, "Bad request.", false},
		{"D2.6: no host in HTTP/1.1", req(func(r *exchange.Request) { r.Host = "" }), 400, "Bad request.", false},
		{"D2.6: no host in HTTP/1.0", req(func(r *exchange.Request) { r.Host, r.Minor = "", 0 }), 403, "Bad request.", false},
		{"D2.2: malformed host", req(func(r *exchange.Request) { r.Host = "a..b" }), 400, "Bad request.", false},
		{"D0.5: disabled", req(func(r *exchange.Request) { r.Host = "off.example.com" }), 403, "disabled", false},
		{"D4.1: unknown method", req(func(r *exchange.Request) { r.Method = "TRACE" }), 403, "not known", false},
		{"D4.1: CONNECT, whose target is no path", req(func(r *exchange.Request) { r.Method, r.Target = "CONNECT", host+":443" }), 403, "not known", false},
		{"D4.2: method not allowed", req(func(r *exchange.Request) { r.Method = "POST" }), 403, methodNotAllowed, false},
		{"D4.2: cachable", req(func(r *exchange.Request) { r.Method = "OPTIONS" }), 403, "supports only cachable requests.", false},
		{"D4.4: GET with a body", req(func(r *exchange.Request) { r.HasBody = true }), 403, "Bad request.", false},
		{"D4.4: HEAD with a body", req(func(r *exchange.Request) { r.Method, r.HasBody = "HEAD", true }), 403, "", false},
		{"D4.6: URL too long", ask("/" + strings.Repeat("a", 8192-len("http://"+host))), 414, "URL", true},
		{"D4.6: header too large", ask("/a", "X", strings.Repeat("a", 32768)), 494, "header", true},
		{"D4.12: fragment", ask("/a#b"), 400, "Bad request.", false},
		{"D4.12: space", ask("/a b"), 400, "Bad request.", false},
		{"D4.12: control byte", ask("/a\x01"), 400, "Bad request.", false},
		{"D4.12: no path", ask("*"), 400, "Bad request.", false},
		{"D6.1: HTTPS only", ask("/secure/x"), 403, "HTTPS only", false},
		{"policy record is missing", ask("/lost/x"), 503, "cache policy", false},
		{"origin record is missing", ask("/orphan"), 503, "origin", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := e.do(tt.req)
			if g.status != tt.status || g.closed != tt.closed || g.xcache() != "Error" {
				t.Errorf("got %d, closed %v, %q", g.status, g.closed, g.header.Get("X-Cache"))
			}
			if tt.req.Method == "HEAD" {
				return
			}
			for _, want := range []string{
				"<H1>" + strconv.Itoa(tt.status) + " ERROR</H1>", tt.reason, "Generated by Seafront", g.header.Get("X-Seafront-Id"),
			} {
				if !strings.Contains(g.body, want) {
					t.Errorf("D22.12: page without %q:\n%s", want, g.body)
				}
			}
			if g.header.Get("Content-Type") != "text/html" || g.header.Get("Server") != "Seafront" ||
				g.header.Get("Content-Length") != strconv.Itoa(len(g.body)) {
				t.Errorf("D22.12: head %v", g.header)
			}
		})
	}
	if n := len(e.origin.requests()); n != 0 {
		t.Errorf("the origin was asked %d times", n)
	}
	for _, ok := range []string{"/" + strings.Repeat("a", 8191-len("http://"+host)), "/\xc3\xa9", "/a?b"} {
		if g := e.get(ok); g.status != 200 {
			t.Errorf("D4.5, D4.12: %.20q got %d", ok, g.status)
		}
	}
}

func TestHosts(t *testing.T) {
	site := siteOf(80)
	site.Config.Aliases = []string{"www.example.com", "*.example.org"}
	e := newEdge(t, options{site: site})
	for name, status := range map[string]int{
		"www.example.com": 200, "WWW.Example.COM:8080": 200, "d1.cdn.test": 200, "a.example.org": 200,
		"a.b.example.org": 200, "example.org": 403, "example.com": 403,
	} {
		r := ask("/same")
		r.Host = name
		if g := e.do(r); g.status != status {
			t.Errorf("D2.2, D2.3: %s got %d, want %d", name, g.status, status)
		}
	}
	if n := len(e.origin.requests()); n != 1 {
		t.Errorf("D11.1: %d objects for one path under all names", n)
	}
}

func TestRedirectToHTTPS(t *testing.T) {
	site := siteOf(80)
	site.Config.DefaultRootObject = "index.html"
	site.Config.DefaultCacheBehavior.ViewerProtocolPolicy = configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_REDIRECT_TO_HTTPS
	for _, tt := range []struct {
		name, host, target, want string
		port                     int
	}{
		{"D6.2: raw target, host as sent", "WWW.example.com:8080", "/%41//b?x=%20&y", "https://WWW.example.com/%41//b?x=%20&y", 443},
		{"D6.2: port of the listener", "www.example.com:8080", "/a?", "https://www.example.com:8443/a?", 8443},
		{"D6.2: root object unchanged", "www.example.com", "/", "https://www.example.com/", 443},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEdge(t, options{site: site, change: func(c *Config) { c.PublicHTTPSPort = tt.port }})
			r := ask(tt.target)
			r.Host = tt.host
			g := e.do(r)
			if g.status != 301 || g.header.Get("Location") != tt.want || g.header.Get("X-Cache") != "Redirect from seafront" {
				t.Errorf("got %d %q %q", g.status, g.header.Get("Location"), g.header.Get("X-Cache"))
			}
			if g.header.Get("Content-Type") != "text/html" || !strings.Contains(g.body, "301") {
				t.Errorf("D6.3: body %q", g.body)
			}
			r.Scheme = "https"
			if g := e.do(r); g.status != 200 {
				t.Errorf("HTTPS got %d", g.status)
			}
		})
	}
	for _, tt := range []struct {
		method       string
		major, minor int
		want         int
	}{
		{"GET", 1, 0, 301}, {"HEAD", 1, 1, 301}, {"POST", 1, 1, 307}, {"DELETE", 2, 0, 307}, {"POST", 1, 0, 403}, {"PUT", 0, 9, 403},
	} {
		if got := redirectStatus(tt.method, tt.major, tt.minor); got != tt.want {
			t.Errorf("D6.1: %s HTTP/%d.%d: %d, want %d", tt.method, tt.major, tt.minor, got, tt.want)
		}
	}
	p := &Pipeline{Config: Config{PublicHTTPSPort: 443}}
	if got := p.secureURL("[2001:db8::1]:80", "/"); got != "https://[2001:db8::1]/" {
		t.Errorf("D6.2: %s", got)
	}
}

func TestRootObjectAndBehaviors(t *testing.T) {
	site := siteOf(80)
	site.Config.DefaultRootObject = "pages/index.html"
	pattern := func(p, path string) *configv1.CacheBehavior {
		b := behaviorOf("cachePolicies/main")
		b.PathPattern = p
		id := "o" + strconv.Itoa(len(site.Config.Origins))
		site.Config.Origins = append(site.Config.Origins, &configv1.Origin{
			Id: id, Source: site.Config.Origins[0].Source, OriginPath: path,
		})
		b.TargetOriginId = id
		return b
	}
	site.Config.CacheBehaviors = []*configv1.CacheBehavior{
		pattern("/a/b*", "/first"), pattern("a*", "/second"), pattern("/pages/*.html", "/third"),
	}
	e := newEdge(t, options{site: site})
	for _, tt := range []struct{ name, target, want string }{
		{"D12.1: root object, matched as such", "/", "/third/pages/index.html"},
		{"D12.1: query is kept in the request, not keyed here", "/?x=1", ""},
		{"D12.2: not for directories", "/install/", "/install/"},
		{"D12.5: three slashes", "///", "///"},
		{"D5.1: first match", "/a/b/c", "/first/a/b/c"},
		{"D5.8: matched normalised, sent raw", "/a/b/..", "/second/a/b/.."},
		{"D5.8: escapes of unreserved characters", "/%61/%62x", "/first/%61/%62x"},
		{"D11.3: bytes stay as they are", "/x%2Fy%41+z~%7E//", "/x%2Fy%41+z~%7E//"},
		{"D5.5: case", "/A/b", "/A/b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.get(tt.target)
			asked := e.origin.requests()
			if tt.want == "" && len(asked) == 0 {
				return
			}
			if len(asked) != 1 || asked[0].Target != tt.want {
				t.Errorf("asked %+v, want %s", asked, tt.want)
			}
		})
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	e := newEdge(t, options{})
	e.origin.set(func(*origin.Request) page { panic("origin client") })
	if g := e.get("/a"); g.status != 500 {
		t.Errorf("panic in a fill: %d", g.status)
	}
	e.config.now = nil
	if g := e.get("/a"); g.status != 500 {
		t.Errorf("panic in a step: %d", g.status)
	}
	if n := strings.Count(e.log.String(), `"msg":"panic"`); n != 2 {
		t.Errorf("%d panics in the log", n)
	}
}
