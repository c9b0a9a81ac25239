// SPDX-License-Identifier: Apache-2.0

// Package bucket knows the names of buckets and the addresses of S3-compatible
// object stores: which names a bucket may have, the host names that AWS gives it,
// and the URL of any other store. It is pure and resolves nothing. Texts of its
// errors continue a sentence that begins with the field.
package bucket

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
)

// Limits and alphabets.
const (
	maxName     = 63
	lower       = "abcdefghijklmnopqrstuvwxyz"
	digits      = "0123456789"
	homeRegion  = "us-east-1" // what AWS's global host names stand for
	homeInChina = "cn-north-1"
)

var errNoBucketHost = errors.New("is no host name of a bucket at AWS; want {bucket}.s3.{region}.amazonaws.com, or endpoint_url and bucket")

// Host is what the host name of a bucket at AWS says.
type Host struct{ Bucket, Region string }

// ParseHost recognises the REST endpoint forms of C5.2 and refuses those of C5.3 and
// C5.4.
func ParseHost(host string) (Host, error) {
	if err := hostname.CheckHost(host); err != nil {
		return Host{}, err
	}
	labels, home, ok := awsLabels(host)
	if !ok {
		return Host{}, errNoBucketHost
	}
	if slices.Contains(labels[max(0, len(labels)-2):], "s3-accelerate") {
		return Host{}, errors.New("is a transfer acceleration endpoint; want {bucket}.s3.{region}.amazonaws.com")
	}
	if isWebsite(labels) {
		return Host{}, errors.New("is a website endpoint, which is an HTTP server; want an http endpoint, or {bucket}.s3.{region}.amazonaws.com")
	}
	out, ok := split(labels, home)
	switch {
	case !ok:
		return Host{}, errNoBucketHost
	case out.Bucket == "":
		return Host{}, errors.New("names no bucket, as in path style; want {bucket}.s3.{region}.amazonaws.com")
	}
	if err := Check(out.Bucket); err != nil {
		return Host{}, fmt.Errorf("names a bucket that %w", err)
	}
	return out, nil
}

// split tells the bucket from the labels behind it: s3, s3-{region}, s3.{region} or
// s3.dualstack.{region}.
func split(labels []string, home string) (Host, bool) {
	n := len(labels)
	end := func(from int) string { return strings.Join(labels[max(0, n-from):], ".") }
	region := labels[n-1]
	if dashed, ok := strings.CutPrefix(region, "s3-"); ok {
		return Host{strings.Join(labels[:n-1], "."), dashed}, isRegion(dashed)
	}
	switch {
	case end(1) == "s3":
		return Host{strings.Join(labels[:n-1], "."), home}, true
	case end(2) == "s3."+region:
		return Host{strings.Join(labels[:n-2], "."), region}, isRegion(region)
	case end(3) == "s3.dualstack."+region:
		return Host{strings.Join(labels[:n-3], "."), region}, isRegion(region)
	}
	return Host{}, false
}

// awsLabels returns the labels of a host before AWS's domain, in lower case, and
// the region that the global form of that domain stands for.
func awsLabels(host string) (labels []string, home string, ok bool) {
	host = strings.ToLower(host)
	home = homeRegion
	rest, found := strings.CutSuffix(host, ".amazonaws.com")
	if !found {
		rest, found = strings.CutSuffix(host, ".amazonaws.com.cn")
		home = homeInChina
	}
	return strings.Split(rest, "."), home, found
}

// IsWebsite says whether a host name is that of a bucket's website at AWS, which is
// a plain HTTP server (C5.4).
func IsWebsite(host string) bool {
	labels, _, ok := awsLabels(host)
	return ok && isWebsite(labels)
}

func isWebsite(labels []string) bool {
	n := len(labels)
	return strings.HasPrefix(labels[n-1], "s3-website-") || n >= 2 && labels[n-2] == "s3-website" && isRegion(labels[n-1])
}

// isRegion knows the shape of AWS's regions: two letters, words and a number, as in
// eu-west-1.
func isRegion(s string) bool {
	words := strings.Split(s, "-")
	n := len(words)
	if n < 3 || len(words[0]) != 2 || words[n-1] == "" || !only(words[n-1], digits) {
		return false
	}
	for _, w := range words[:n-1] {
		if w == "" || !only(w, lower) {
			return false
		}
	}
	return true
}

// Check checks the name of a bucket or an access point's alias (C5.1).
func Check(name string) error {
	switch n := len(name); {
	case n < 3 || n > maxName:
		return fmt.Errorf("is %d characters long; want 3 to %d", n, maxName)
	case !only(name, lower+digits+".-"):
		return errors.New("has other characters than a-z, 0-9, dots and hyphens")
	case strings.Trim(name, ".-") != name:
		return errors.New("does not begin and end with a letter or digit")
	case strings.Contains(name, ".."):
		return errors.New("has two dots in a row")
	}
	if strings.Count(name, ".") == 3 && only(name, digits+".") {
		return errors.New("is shaped like an IP address")
	}
	for _, p := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, p) {
			return fmt.Errorf("begins with %s, which no bucket may", p)
		}
	}
	for _, s := range []string{".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, s) {
			return fmt.Errorf("ends with %s, which no bucket may", s)
		}
	}
	return nil
}

// ParseURL returns the host of a store's URL, which has a scheme, a host and perhaps
// a port, and whether the host is an address (C5.8). The text of the error repeats
// nothing of the URL: it may hold a password.
func ParseURL(raw string) (host string, literal bool, err error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || raw != u.Scheme+"://"+u.Host {
		return "", false, errors.New("is not of the form http://host, https://host or with :port, and nothing behind")
	}
	port, hasPort := u.Port(), strings.HasSuffix(u.Host, ":") || u.Port() != ""
	if n, err := strconv.Atoi(port); hasPort && (err != nil || n < 1 || n > 65535) {
		return "", false, errors.New("has a port that is not 1 to 65535")
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return u.Hostname(), true, nil
	}
	return u.Hostname(), false, hostname.CheckHost(u.Hostname())
}

// only says whether s holds nothing but the given characters.
func only(s, characters string) bool { return strings.Trim(s, characters) == "" }
