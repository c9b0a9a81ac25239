// SPDX-License-Identifier: Apache-2.0

// Package realtime holds what real-time log configurations may be, and the fields that
// records can have. It is pure and writes no log.
package realtime

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Limits of configurations (C2.137); those without a number of CloudFront's are ours.
const (
	maxEndpoints = 10
	maxBrokers   = 16
	maxTopic     = 249 // Kafka's own
	maxURL       = 2048
	maxFileName  = 255
	maxARN       = 2048
	maxHost      = 253
)

// CheckID checks the name that a client chooses, at realtime_log_config_id (C2.9).
func CheckID(id string) []rules.Violation {
	_, vs := rules.ParseName("realtime_log_config_id", keys.RealtimeLogConfigs, keys.RealtimeLogConfigs.Name(id))
	return vs
}

// CheckConfig returns all that is wrong with a configuration by itself.
func CheckConfig(c *configv1.RealtimeLogConfig) []rules.Violation {
	var f rules.Findings
	f.Join(rules.CheckLabels("labels", c.GetLabels()))
	if n := c.GetSamplingRate(); n < 1 || n > 100 {
		f.Add("sampling_rate", rules.ReasonInvalid, "is %d; want 1 to 100", n)
	}
	known := Fields()
	if len(c.GetFields()) == 0 {
		f.Add("fields", rules.ReasonInvalid, "is empty; want at least one field")
	}
	for i, name := range c.GetFields()[:f.Count("fields", rules.ReasonInvalid, len(c.GetFields()), len(known))] {
		at := fmt.Sprintf("fields[%d]", i)
		if !slices.Contains(known, name) {
			f.Add(at, rules.ReasonInvalid, "is %.100q, which is no field of real-time logs", name)
		} else if first := slices.Index(c.GetFields(), name); first < i {
			f.Add(at, rules.ReasonInvalid, "is the same as fields[%d]; want each field once", first)
		}
	}
	if len(c.GetEndpoints()) == 0 {
		f.Add("endpoints", rules.ReasonInvalid, "is empty; want at least one")
	}
	for i, e := range c.GetEndpoints()[:f.Count("endpoints", rules.ReasonInvalid, len(c.GetEndpoints()), maxEndpoints)] {
		checkEndpoint(&f, fmt.Sprintf("endpoints[%d]", i), e)
	}
	return f.Found()
}

func checkEndpoint(f *rules.Findings, at string, e *configv1.RealtimeLogConfig_Endpoint) {
	add := func(field string, err error) {
		if err != nil {
			f.Add(at+field, rules.ReasonInvalid, "%v", err)
		}
	}
	switch kind := e.GetKind().(type) {
	case *configv1.RealtimeLogConfig_Endpoint_Kafka_:
		brokers := kind.Kafka.GetBrokers()
		if len(brokers) == 0 {
			f.Add(at+".kafka.brokers", rules.ReasonInvalid, "is empty; want 1 to %d servers as host:port", maxBrokers)
		}
		for i, b := range brokers[:f.Count(at+".kafka.brokers", rules.ReasonInvalid, len(brokers), maxBrokers)] {
			add(fmt.Sprintf(".kafka.brokers[%d]", i), checkBroker(b))
			if first := slices.Index(brokers, b); first < i {
				f.Add(fmt.Sprintf("%s.kafka.brokers[%d]", at, i), rules.ReasonInvalid, "is the same as brokers[%d]", first)
			}
		}
		if t := kind.Kafka.GetTopic(); !plain(t, "._-", maxTopic) || t == "." || t == ".." {
			f.Add(at+".kafka.topic", rules.ReasonInvalid, "is %.100q; want 1 to %d characters of [A-Za-z0-9._-]", t, maxTopic)
		}
	case *configv1.RealtimeLogConfig_Endpoint_Http_:
		add(".http.url", checkURL(kind.Http.GetUrl()))
	case *configv1.RealtimeLogConfig_Endpoint_File_:
		if n := kind.File.GetName(); !plain(n, "._-", maxFileName) || !plain(n[:1], "", 1) {
			f.Add(at+".file.name", rules.ReasonInvalid, "is %.100q; want the name of a file: 1 to %d characters of [A-Za-z0-9._-], the first a letter or digit", n, maxFileName)
		}
	case *configv1.RealtimeLogConfig_Endpoint_Kinesis_:
		add(".kinesis.stream_arn", checkARN(kind.Kinesis.GetStreamArn(), "kinesis", "stream/"))
		add(".kinesis.role_arn", checkARN(kind.Kinesis.GetRoleArn(), "iam", "role/"))
	default:
		f.Add(at, rules.ReasonInvalid, "has no kind; want one of kafka, http, file, kinesis")
	}
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// plain says whether s is 1 to most characters of [A-Za-z0-9] and others.
func plain(s, others string, most int) bool {
	return s != "" && len(s) <= most && strings.Trim(s, alphanumeric+others) == ""
}

func checkBroker(b string) error {
	host, port, _ := strings.Cut(b, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || !plain(host, ".-", maxHost) || !plain(host[:1], "", 1) {
		return fmt.Errorf("is %.100q; want host:port", b)
	}
	return nil
}

// checkURL refuses credentials in a URL: they would be readable by everyone who may
// read configurations. The error does not repeat the URL for the same reason.
func checkURL(text string) error {
	const want = "want an http or https URL with a host, without user, password and fragment"
	if len(text) > maxURL {
		return fmt.Errorf("has %d bytes; want at most %d", len(text), maxURL)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Opaque != "":
		return fmt.Errorf("is no such URL; %s", want)
	case u.User != nil:
		return fmt.Errorf("holds a user; %s", want)
	case u.Fragment != "" || strings.Contains(text, "#"):
		return fmt.Errorf("holds a fragment; %s", want)
	}
	return nil
}

func checkARN(arn, service, kind string) error {
	parts := strings.SplitN(arn, ":", 6)
	if len(arn) > maxARN || len(parts) != 6 || parts[0] != "arn" || parts[2] != service || !strings.HasPrefix(parts[5], kind) || len(parts[5]) == len(kind) {
		return fmt.Errorf("is %.100q; want arn:aws:%s:…:%s…", arn, service, kind)
	}
	return nil
}
