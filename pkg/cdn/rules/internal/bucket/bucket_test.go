// SPDX-License-Identifier: Apache-2.0

package bucket

import (
	"net/url"
	"strings"
	"testing"
)

func checkError(t *testing.T, got error, want string) {
	t.Helper()
	if want == "" && got != nil || want != "" && (got == nil || !strings.Contains(got.Error(), want)) {
		t.Errorf("error %v, want %q", got, want)
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ name, bucket, want string }{
		{"C2.361: hyphen", "my-bucket", ""},
		{"C2.361: three characters", "a1b", ""},
		{"C2.361: dots", "my.bucket.1", ""},
		{"C2.361: access point alias", "abc-s3alias", ""},
		{"C2.361: object lambda alias", "abc--ol-s3", ""},
		{"C5.1: 63 characters", strings.Repeat("a", 63), ""},
		{"C5.1: numbers that are no address", "1.2.3.4.5", ""},
		{"C2.361: two characters", "ab", "3 to 63"},
		{"C2.361: 64 characters", strings.Repeat("a", 64), "3 to 63"},
		{"C2.361: upper case", "My1", "a-z"},
		{"C5.1: slash", "a/b", "a-z"},
		{"C2.361: hyphen first", "-a1", "begin and end"},
		{"C2.361: hyphen last", "a1-", "begin and end"},
		{"C5.1: dot last", "a1.", "begin and end"},
		{"C2.361: two dots", "a..b", "two dots"},
		{"C2.361: address", "192.168.5.4", "IP address"},
		{"C5.1: shape of an address", "999.1.1.1", "IP address"},
		{"C2.361: xn--", "xn--abc", "xn--"},
		{"C5.1: sthree-", "sthree-abc", "sthree-"},
		{"C5.1: amzn-s3-demo-", "amzn-s3-demo-abc", "amzn-s3-demo-"},
		{"C2.361: --x-s3", "abc--x-s3", "--x-s3"},
		{"C5.1: .mrap", "abc.mrap", ".mrap"},
		{"C5.1: --table-s3", "abc--table-s3", "--table-s3"},
	} {
		t.Run(tt.name, func(t *testing.T) { checkError(t, Check(tt.bucket), tt.want) })
	}
}

func TestParseHost(t *testing.T) {
	for _, tt := range []struct {
		name, host string
		want       Host
		err        string
	}{
		{"C5.2: regional", "assets.s3.eu-west-1.amazonaws.com", Host{"assets", "eu-west-1"}, ""},
		{"C5.2: global", "assets.s3.amazonaws.com", Host{"assets", "us-east-1"}, ""},
		{"C5.2: dash", "assets.s3-us-gov-west-1.amazonaws.com", Host{"assets", "us-gov-west-1"}, ""},
		{"C5.2: dualstack", "assets.s3.dualstack.ap-south-1.amazonaws.com", Host{"assets", "ap-south-1"}, ""},
		{"C5.2: China", "assets.s3.cn-northwest-1.amazonaws.com.cn", Host{"assets", "cn-northwest-1"}, ""},
		{"C5.2: China, global", "assets.s3.amazonaws.com.cn", Host{"assets", "cn-north-1"}, ""},
		{"C5.2: dots", "a.b.c.s3.eu-west-1.amazonaws.com", Host{"a.b.c", "eu-west-1"}, ""},
		{"C5.2: a bucket that looks like a form", "a.s3.s3.eu-west-1.amazonaws.com", Host{"a.s3", "eu-west-1"}, ""},
		{"C5.2: upper case", "Assets.S3.EU-west-1.AMAZONAWS.com", Host{"assets", "eu-west-1"}, ""},
		{"C5.3: acceleration", "assets.s3-accelerate.amazonaws.com", Host{}, "acceleration"},
		{"C5.3: acceleration by dualstack", "assets.s3-accelerate.dualstack.amazonaws.com", Host{}, "acceleration"},
		{"C5.3: path style", "s3.eu-west-1.amazonaws.com", Host{}, "names no bucket"},
		{"C5.3: path style, global", "s3.amazonaws.com", Host{}, "names no bucket"},
		{"C5.3: path style, dash", "s3-eu-west-1.amazonaws.com", Host{}, "names no bucket"},
		{"C5.3: path", "s3.eu-west-1.amazonaws.com/assets", Host{}, "path"},
		{"C5.3: name of one's own", "assets.example.com", Host{}, "no host name of a bucket"},
		{"C5.4: website, dash", "assets.s3-website-us-east-1.amazonaws.com", Host{}, "website"},
		{"C5.4: website, dot", "assets.s3-website.eu-north-1.amazonaws.com", Host{}, "website"},
		{"C5.2: another service", "assets.execute-api.eu-west-1.amazonaws.com", Host{}, "no host name of a bucket"},
		{"C5.2: access point", "ap-123.s3-accesspoint.eu-west-1.amazonaws.com", Host{}, "no host name of a bucket"},
		{"C5.2: FIPS", "assets.s3-fips-us-gov-west-1.amazonaws.com", Host{}, "no host name of a bucket"},
		{"C5.2: the domain alone", "amazonaws.com", Host{}, "no host name of a bucket"},
		{"C5.2: no region", "assets.s3.eu.amazonaws.com", Host{}, "no host name of a bucket"},
		{"C5.1: bad bucket", "ab.s3.amazonaws.com", Host{}, "names a bucket that is 2"},
		{"C2.46: empty", "", Host{}, "empty"},
		{"C2.46: port", "assets.s3.amazonaws.com:443", Host{}, "colon"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseHost(tt.host)
			checkError(t, err, tt.err)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestIsWebsite(t *testing.T) {
	for host, want := range map[string]bool{
		"a.s3-website-eu-west-1.amazonaws.com": true, "A.s3-website.eu-north-1.amazonaws.com": true,
		"a.s3.eu-west-1.amazonaws.com": false, "a.s3-website-eu-west-1.example.com": false, "": false,
	} {
		if got := IsWebsite(host); got != want {
			t.Errorf("C5.4: IsWebsite(%q) = %v", host, got)
		}
	}
}

func TestParseURL(t *testing.T) {
	for _, tt := range []struct {
		name, url, host string
		literal         bool
		err             string
	}{
		{"C5.8: name", "https://minio.internal", "minio.internal", false, ""},
		{"C5.8: name and port", "http://localhost:9000", "localhost", false, ""},
		{"C5.8: IPv4", "http://127.0.0.1:9000", "127.0.0.1", true, ""},
		{"C5.8: IPv6", "http://[2001:db8::1]:9000", "2001:db8::1", true, ""},
		{"C5.8: other scheme", "ftp://localhost", "", false, "form"},
		{"C5.8: scheme in upper case", "HTTP://localhost", "", false, "form"},
		{"C5.8: no scheme", "localhost:9000", "", false, "form"},
		{"C5.8: no host", "http://", "", false, "empty"},
		{"C5.8: port alone", "http://:80", "", false, "empty"},
		{"C5.8: slash", "http://localhost/", "", false, "form"},
		{"C5.8: path", "http://localhost/bucket", "", false, "form"},
		{"C5.8: query", "http://localhost?x", "", false, "form"},
		{"C5.8: fragment", "http://localhost#", "", false, "form"},
		{"C5.8: password", "http://me:secret@localhost", "", false, "form"},
		{"C5.8: escape", "http://local%68ost", "", false, "form"},
		{"C5.8: zone", "http://[fe80::1%25eth0]", "", false, "form"},
		{"C5.8: empty port", "http://localhost:", "", false, "port"},
		{"C5.8: port 0", "http://localhost:0", "", false, "port"},
		{"C5.8: port 65536", "http://localhost:65536", "", false, "port"},
		{"C5.8: IPv4 in brackets", "http://[127.0.0.1]", "", false, "form"},
		{"C5.8: IPv6 without brackets", "http://2001:db8::1", "", false, "form"},
		{"C5.8: short IPv6 without brackets", "http://::1", "", false, "form"},
		{"C2.46: address as a number", "http://2130706433", "2130706433", false, "IP address"},
		{"C2.46: underscore", "http://my_store", "my_store", false, "'_'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			host, literal, err := ParseURL(tt.url)
			checkError(t, err, tt.err)
			if err == nil && (host != tt.host || literal != tt.literal) {
				t.Errorf("got %q, %v", host, literal)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error repeats a password: %v", err)
			}
		})
	}
}

func FuzzParseHost(f *testing.F) {
	for _, seed := range []string{"assets.s3.eu-west-1.amazonaws.com", "s3.amazonaws.com", "a.s3-website.x-y-1.amazonaws.com.cn", ".amazonaws.com"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		got, err := ParseHost(host)
		if err == nil && (Check(got.Bucket) != nil || !strings.HasPrefix(strings.ToLower(host), got.Bucket+".s3")) {
			t.Errorf("C5.2: %q gives %+v", host, got)
		}
	})
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"http://localhost:9000", "https://[::1]", "http://a@b", "http://a:b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		host, _, err := ParseURL(raw)
		if err != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.Hostname() != host || host == "" {
			t.Errorf("C5.8: %q gives the host %q, %v", raw, host, err)
		}
	})
}
