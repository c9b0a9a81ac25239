// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

const optimized = "cachePolicies/658327ea-f89d-4fab-a63d-7e88639e58f6"

func endpoint(host string) *originv1.OriginEndpoint {
	return &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_Http{Http: &originv1.HttpEndpoint{
		Host: host, ProtocolPolicy: originv1.OriginProtocolPolicy_ORIGIN_PROTOCOL_POLICY_HTTP_ONLY,
	}}}
}

func distribution(id, host, policy string, aliases ...string) *configv1.Distribution {
	return &configv1.Distribution{Name: "distributions/" + id, DomainName: "d" + id + ".cdn.test", Config: &configv1.DistributionConfig{
		Enabled: true, Aliases: aliases,
		Origins: []*configv1.Origin{{Id: "web", Source: &configv1.Origin_Endpoint{Endpoint: endpoint(host)}}},
		DefaultCacheBehavior: &configv1.CacheBehavior{
			TargetOriginId: "web", ViewerProtocolPolicy: configv1.ViewerProtocolPolicy_VIEWER_PROTOCOL_POLICY_ALLOW_ALL,
			Caching: &configv1.CacheBehavior_CachePolicy{CachePolicy: policy},
		},
	}}
}

func record(t testing.TB, c keys.Collection, id string, rev int64, m proto.Message) Change {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	v, err := keys.Encode(&storev1.Record{WriteId: 1, Traceparent: fmt.Sprint("trace-", rev), Resource: b})
	if err != nil {
		t.Fatal(err)
	}
	return Change{Key: keys.Resource(c, id), Value: v, ModRevision: rev}
}

func owner(s *Snapshot, host string) string {
	d, ok := s.Match(host)
	if !ok {
		return ""
	}
	return d.ID
}

func TestMatch(t *testing.T) {
	off := distribution("2", "o", optimized, "www.example.com")
	off.Config.Enabled = false
	s, _ := Empty().Apply(3, []Change{
		record(t, keys.Distributions, "1", 1, distribution("1", "o", optimized, "*.example.com")),
		record(t, keys.Distributions, "2", 2, off),
		record(t, keys.Distributions, "3", 3, distribution("3", "o", optimized, "*.b.example.com")),
	})
	for host, want := range map[string]string{
		"x.example.com": "1", "a.x.example.com": "1", "www.example.com": "2", "a.www.example.com": "1",
		"q.b.example.com": "3", "b.example.com": "1", "example.com": "", "d1.cdn.test": "1", "other": "",
	} {
		if got := owner(s, host); got != want {
			t.Errorf("C2.346: %s is answered by %q, want %q", host, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { s.Match("q.b.example.com") }); n != 0 {
		t.Errorf("design 3.2: Match allocates %v times", n)
	}
}

func TestAliasMovesInOneRevision(t *testing.T) {
	s, _ := Empty().Apply(1, []Change{record(t, keys.Distributions, "1", 1, distribution("1", "o", optimized, "www.x.test"))})
	before := s
	s, _ = s.Apply(2, []Change{
		record(t, keys.Distributions, "2", 2, distribution("2", "o", optimized, "www.x.test")),
		record(t, keys.Distributions, "1", 2, distribution("1", "o", optimized)),
	})
	if owner(s, "www.x.test") != "2" || owner(before, "www.x.test") != "1" {
		t.Errorf("C9.47: after the move %q, in the old snapshot %q", owner(s, "www.x.test"), owner(before, "www.x.test"))
	}
	s, _ = s.Apply(3, []Change{{Key: keys.Resource(keys.Distributions, "2"), Deleted: true, ModRevision: 3}})
	if owner(s, "www.x.test") != "" || s.Counts()[keys.Distributions] != 1 {
		t.Error("a deleted distribution still answers")
	}
}

func TestOneChangeCompilesOne(t *testing.T) {
	policy := &configv1.CachePolicy{MinTtl: durationpb.New(time.Second)}
	all := []Change{record(t, keys.CachePolicies, "p", 1, policy)}
	for i := range 1000 {
		all = append(all, record(t, keys.Distributions, fmt.Sprint(i), int64(i+2), distribution(fmt.Sprint(i), "o", "cachePolicies/p")))
	}
	s, report := Empty().Replace(2000, all)
	if report.Compiled != 1000 {
		t.Fatalf("load compiled %d", report.Compiled)
	}
	s, report = s.Apply(2001, []Change{record(t, keys.Distributions, "7", 2001, distribution("7", "other", "cachePolicies/p"))})
	if report.Compiled != 1 || report.Applied[0].Traceparent != "trace-2001" {
		t.Errorf("design 3.2: a changed origin: %+v", report)
	}
	policy.MinTtl = durationpb.New(time.Minute)
	s, report = s.Apply(2002, []Change{record(t, keys.CachePolicies, "p", 2002, policy)})
	d, _ := s.Match("d9.cdn.test")
	p, ok := s.CachePolicy(d.Behavior("/x"))
	if report.Compiled != 0 || !ok || p.Min != time.Minute {
		t.Errorf("design 3.2: a changed policy compiled %d distributions, in service: %+v", report.Compiled, p)
	}
	if _, report = s.Replace(2003, all); report.Compiled != 1 {
		t.Errorf("a full list compiled %d, want only the one that differs", report.Compiled)
	}
}

func TestRejectedRecordKeepsTheOldVersion(t *testing.T) {
	s, _ := Empty().Apply(1, []Change{record(t, keys.Distributions, "1", 1, distribution("1", "o", optimized, "a.x.test"))})
	bad := distribution("1", "o", optimized, "b.x.test")
	bad.Config.DefaultCacheBehavior.ViewerProtocolPolicy = 99
	s, report := s.Apply(2, []Change{
		record(t, keys.Distributions, "1", 2, bad),
		record(t, keys.Distributions, "2", 2, distribution("2", "o", optimized, "c.x.test")),
		{Key: keys.Resource(keys.Origins, "torn"), Value: []byte{9}, ModRevision: 2},
	})
	r := s.Rejections()
	if len(r) != 2 || r[0].Resource != "distributions/1" || r[0].Reason != ReasonUnknownEnum || r[0].Revision != 2 || r[1].Reason != ReasonUnreadable {
		t.Errorf("C6.60, C8.76: %+v", r)
	}
	if owner(s, "a.x.test") != "1" || owner(s, "b.x.test") != "" || owner(s, "c.x.test") != "2" || len(report.Applied) != 3 {
		t.Error("C8.76: a rejected record changed or held up something")
	}
	s, _ = s.Apply(3, []Change{record(t, keys.Distributions, "1", 3, distribution("1", "o", optimized, "b.x.test"))})
	if owner(s, "a.x.test") != "" || owner(s, "b.x.test") != "1" || len(s.Rejections()) != 1 {
		t.Error("a mended record is not in service")
	}
}

// TestStaging: C3.57: a staging distribution is in the snapshot, and no host leads to it.
func TestStaging(t *testing.T) {
	d := distribution("1", "o", optimized)
	d.Staging = true
	s, report := Empty().Apply(1, []Change{record(t, keys.Distributions, "1", 1, d)})
	if owner(s, d.GetDomainName()) != "" || len(s.Rejections()) != 0 || report.Compiled != 1 || s.Counts()[keys.Distributions] != 1 {
		t.Errorf("C3.57: %s leads to %q; %+v", d.GetDomainName(), owner(s, d.GetDomainName()), s.Rejections())
	}
	for held := range s.Distributions() {
		if len(held.Hosts()) != 0 {
			t.Errorf("C3.57: answers for %v", held.Hosts())
		}
	}
}

func TestUnbuiltFieldIsRejected(t *testing.T) {
	d := distribution("1", "o", optimized)
	d.Config.DefaultCacheBehavior.Compress = true
	s, _ := Empty().Apply(1, []Change{record(t, keys.Distributions, "1", 1, d)})
	if r := s.Rejections(); len(r) != 1 || r[0].Reason != ReasonUnsupported {
		t.Errorf("C2.185: %+v", r)
	}
}

func TestOrigins(t *testing.T) {
	ref := distribution("1", "", optimized)
	ref.Config.Origins[0].Source = &configv1.Origin_OriginRef{OriginRef: "origins/shop"}
	ref.Config.Origins[0].ReadTimeout = durationpb.New(7 * time.Second)
	s3 := &originv1.OriginEndpoint{Kind: &originv1.OriginEndpoint_S3{S3: &originv1.S3Endpoint{EndpointUrl: "http://store.test:9000", Bucket: "b"}}}
	s, _ := Empty().Apply(2, []Change{
		record(t, keys.Distributions, "1", 1, ref),
		record(t, keys.Origins, "shop", 2, &originv1.Origin{Endpoint: s3}),
	})
	d, _ := s.Match("d1.cdn.test")
	o, ok := s.Origin(d.Behavior("/").Origin)
	if !ok || o.Host != "b.store.test" || o.HTTPPort != 9000 || o.Scheme != HTTP || o.ReadTimeout != 7*time.Second || o.Attempts != 3 {
		t.Errorf("C5.8, C5.33: %+v", o)
	}
	s3.GetS3().PathStyle = true
	if o, err := CompileOrigin("x", &originv1.Origin{Endpoint: s3}); err != nil || o.Host != "store.test" || o.PathPrefix != "/b" {
		t.Errorf("C5.8: path style %+v, %v", o, err)
	}
	if s.Replace(3, nil); s.Counts()[keys.Origins] != 1 {
		t.Error("an old snapshot changed")
	}
}

// TestKeys: a list deletes what is gone (C8.82), and that can only be found among Keys.
func TestKeys(t *testing.T) {
	at := func(id string) string { return keys.Resource(keys.Distributions, id) }
	all := []Change{
		record(t, keys.Distributions, "1", 1, distribution("1", "o", optimized)),
		{Key: at("torn"), Value: []byte{9}, ModRevision: 2},
		{Key: keys.Epoch, Value: []byte("one"), ModRevision: 3},
		record(t, keys.Origins, "o", 4, &originv1.Origin{Endpoint: endpoint("o.test")}),
		{Key: keys.Resource(keys.Origins, "torn"), Value: []byte{9}, ModRevision: 5},
	}
	s, _ := Empty().Apply(5, all)
	s, _ = s.Apply(6, []Change{{Key: at("1"), Value: []byte{9}, ModRevision: 6}})
	var want []string
	for _, c := range all {
		want = append(want, c.Key)
	}
	slices.Sort(want)
	if got := slices.Sorted(s.Keys()); !slices.Equal(got, want) {
		t.Errorf("C8.82: keys %q, want %q", got, want)
	}
	if _, report := s.Apply(7, []Change{all[1], {Key: at("1"), Value: []byte{9}, ModRevision: 6}}); len(report.Applied) != 0 {
		t.Errorf("a rejected version that was seen is compiled again: %+v", report.Applied)
	}
	if s, _ = s.Replace(8, nil); len(slices.Collect(s.Keys())) != 0 || len(s.Rejections()) != 0 || s.Counts()[keys.Distributions] != 0 {
		t.Errorf("left after everything is gone: %q, %v", slices.Collect(s.Keys()), s.Rejections())
	}
}
