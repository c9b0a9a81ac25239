// SPDX-License-Identifier: Apache-2.0

package realtime

import (
	"slices"
	"strings"
	"testing"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

type endpoint = configv1.RealtimeLogConfig_Endpoint

func file(name string) *endpoint {
	return &endpoint{Kind: &configv1.RealtimeLogConfig_Endpoint_File_{File: &configv1.RealtimeLogConfig_Endpoint_File{Name: name}}}
}

func posted(url string) *endpoint {
	return &endpoint{Kind: &configv1.RealtimeLogConfig_Endpoint_Http_{Http: &configv1.RealtimeLogConfig_Endpoint_Http{Url: url}}}
}

func kafka(topic string, brokers ...string) *endpoint {
	return &endpoint{Kind: &configv1.RealtimeLogConfig_Endpoint_Kafka_{Kafka: &configv1.RealtimeLogConfig_Endpoint_Kafka{Topic: topic, Brokers: brokers}}}
}

func kinesis(stream, role string) *endpoint {
	return &endpoint{Kind: &configv1.RealtimeLogConfig_Endpoint_Kinesis_{Kinesis: &configv1.RealtimeLogConfig_Endpoint_Kinesis{StreamArn: stream, RoleArn: role}}}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name      string
		rate      int32
		fields    []string
		endpoints []*endpoint
		want      string
	}{
		{"C2.137: smallest", 1, []string{"asn"}, []*endpoint{file("a.log")}, ""},
		{"C2.137: every field", 100, Fields(), []*endpoint{posted("https://logs.example.net/x?y=1"), kafka("t", "kafka:9092", "b.example.net:9093")}, ""},
		{"C2.137: nothing", 0, nil, nil, "sampling_rate fields endpoints"},
		{"C2.137: 101", 101, []string{"asn"}, []*endpoint{file("a")}, "sampling_rate"},
		{"C2.138: an unknown field", 1, []string{"asn", "bsn"}, []*endpoint{file("a")}, "fields[1]"},
		{"C2.137: a field twice", 1, []string{"asn", "c-ip", "asn"}, []*endpoint{file("a")}, "fields[2]"},
		{"C6.54: no kind", 1, []string{"asn"}, []*endpoint{{}}, "endpoints[0]"},
		{"C6.54: a path", 1, []string{"asn"}, []*endpoint{file("../a"), file(".a"), file("")}, "endpoints[0].file.name endpoints[1].file.name endpoints[2].file.name"},
		{"C6.54: a user in the URL", 1, []string{"asn"}, []*endpoint{posted("https://u:secret@h/")}, "endpoints[0].http.url"},
		{"C6.54: no URL", 1, []string{"asn"}, []*endpoint{posted("ftp://h/"), posted("http:///x"), posted("https://h/#a"), posted("")}, "endpoints[0].http.url endpoints[1].http.url endpoints[2].http.url endpoints[3].http.url"},
		{"C6.54: brokers", 1, []string{"asn"}, []*endpoint{kafka("t"), kafka("t", "a", "a:0", "b:1", "b:1", ":1")}, "endpoints[0].kafka.brokers endpoints[1].kafka.brokers[0] endpoints[1].kafka.brokers[1] endpoints[1].kafka.brokers[3] endpoints[1].kafka.brokers[4]"},
		{"C6.54: topics", 1, []string{"asn"}, []*endpoint{kafka("..", "a:1"), kafka("a b", "a:1")}, "endpoints[0].kafka.topic endpoints[1].kafka.topic"},
		{"C6.54: a stream", 1, []string{"asn"}, []*endpoint{kinesis("arn:aws:kinesis:eu-west-1:000000000000:stream/s", "arn:aws:iam::000000000000:role/r")}, ""},
		{"C6.54: no stream", 1, []string{"asn"}, []*endpoint{kinesis("s", "arn:aws:iam::000000000000:role/")}, "endpoints[0].kinesis.stream_arn endpoints[0].kinesis.role_arn"},
		{"C2.137: eleven endpoints", 1, []string{"asn"}, slices.Repeat([]*endpoint{file("a")}, 11), "endpoints"},
	} {
		var got []string
		for _, v := range CheckConfig(&configv1.RealtimeLogConfig{SamplingRate: tt.rate, Fields: tt.fields, Endpoints: tt.endpoints}) {
			got = append(got, v.Field)
			if strings.Contains(v.Description, "secret") {
				t.Errorf("%s: repeats a password: %s", tt.name, v.Description)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: violations at %q, want %q", tt.name, got, tt.want)
		}
	}
	seen := map[string]bool{}
	for _, f := range Fields() {
		if seen[f] {
			t.Errorf("C2.138: %s twice", f)
		}
		seen[f] = true
	}
}
