// SPDX-License-Identifier: Apache-2.0

package debug

import (
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/pkg/cdn/hostname"
	"github.com/seafront-cdn/seafront/pkg/cdn/pathpattern"
	"github.com/seafront-cdn/seafront/pkg/cdn/snapshot"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// question is a request that somebody wonders about.
type question struct {
	method, host, path, query string
	header                    header.Fields
}

// ask reads a question: url, method, and any number of header=Name:value.
func ask(q url.Values) (question, error) {
	_, rest, ok := strings.Cut(q.Get("url"), "://")
	if !ok {
		return question{}, errors.New("url: want http://host/path or https://host/path")
	}
	out := question{method: strings.ToUpper(q.Get("method")), host: rest, path: "/"}
	if out.method == "" {
		out.method = "GET"
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		out.host, out.path = rest[:i], rest[i:]
	}
	out.path, out.query, _ = strings.Cut(out.path, "?")
	if out.path == "" {
		out.path = "/"
	}
	for _, line := range q["header"] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return question{}, errors.New("header: want Name:value")
		}
		out.header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return out, nil
}

// explanation is the page /debug/key: what each step finds, as far as the path goes.
type explanation struct {
	Revision     int64    `json:"revision"`
	Host         string   `json:"host"`
	Distribution string   `json:"distribution,omitempty"`
	Enabled      bool     `json:"enabled"`
	Path         string   `json:"path"`
	Behavior     string   `json:"behavior,omitempty"`
	Origin       string   `json:"origin,omitempty"`
	OriginHost   string   `json:"origin_host,omitempty"`
	CachePolicy  string   `json:"cache_policy,omitempty"`
	KeyHex       string   `json:"key_hex,omitempty"`
	KeyQuery     string   `json:"key_query,omitempty"`
	KeyCookie    string   `json:"key_cookie,omitempty"`
	KeyHeaders   []string `json:"key_headers,omitempty"`
	Stored       []object `json:"stored"`
	// Ends says why the path ends before the lookup.
	Ends string `json:"ends,omitempty"`
}

// object is a stored answer that could serve.
type object struct {
	Status          int     `json:"status"`
	Bytes           int64   `json:"bytes"`
	ETag            string  `json:"etag,omitempty"`
	AgeSeconds      float64 `json:"age_seconds"`
	LifetimeSeconds float64 `json:"lifetime_seconds"`
	Fresh           bool    `json:"fresh"`
	HitForMiss      bool    `json:"hit_for_miss"`
	// Revision is how far the edge had come when it was asked for, or when it was last
	// held against an invalidation; Dead says that one has ended it since.
	Revision int64    `json:"revision"`
	Dead     bool     `json:"dead"`
	Tags     []string `json:"tags,omitempty"`
}

// explain takes the steps match, key and lookup without a request.
func explain(s *snapshot.Snapshot, objects *store.Store, q question, now time.Time) explanation {
	out := explanation{Revision: s.Revision, Host: q.host, Path: q.path, Stored: []object{}}
	host, ok := hostname.Fold(q.host)
	if !ok {
		out.Ends = "match: the host is not a name"
		return out
	}
	d, ok := s.Match(host)
	if !ok {
		out.Ends = "match: no distribution has this name"
		return out
	}
	out.Distribution, out.Enabled = d.ID, d.Enabled
	if q.path == "/" && d.RootObject != "" {
		q.path = d.RootObject
		out.Path = q.path
	}
	b := d.Behavior(pathpattern.Normalize(q.path))
	out.Behavior = b.Pattern
	if o, ok := s.Origin(&b.Origin); ok {
		out.Origin, out.OriginHost = o.Name, o.Host
	}
	if !d.Enabled {
		out.Ends = "match: the distribution is disabled"
		return out
	}
	policy, ok := s.CachePolicy(b)
	if !ok {
		out.Ends = "key: the cache policy is not available"
		return out
	}
	out.CachePolicy = policy.ID
	q.header.Set("Host", q.host)
	if s.HidesEncoding(&b.Origin) {
		q.header.Del("Accept-Encoding")
	}
	key, forward := policy.Key.Build(cachekey.Parts{Distribution: d.ID, Method: q.method, Path: q.path, Query: q.query, Header: q.header})
	out.KeyHex, out.KeyQuery, out.KeyCookie = hex.EncodeToString([]byte(key)), forward.Query, forward.Cookie
	for _, f := range forward.Header {
		out.KeyHeaders = append(out.KeyHeaders, f.Name+": "+f.Value)
	}
	for _, class := range forward.Encoding.Candidates() {
		if o, ok := objects.Peek(key.WithEncoding(class)); ok {
			out.Stored = append(out.Stored, describe(o, !objects.Alive(o), now))
		}
	}
	return out
}

func describe(o *store.Object, dead bool, now time.Time) object {
	age := httpcache.Age(o.InitialAge, o.ResponseTime, now)
	return object{
		Status: o.Status, Bytes: o.Size, ETag: o.Header.Get("ETag"),
		AgeSeconds: age.Seconds(), LifetimeSeconds: o.Lifetime.Seconds(), Fresh: age < o.Lifetime,
		HitForMiss: o.HitForMiss, Revision: o.Stamp.Moment().Revision, Dead: dead, Tags: o.Tags,
	}
}
