// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The protocols that spans can be sent by.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// environment is what the standard variables say about traces. The rest of them
// (headers, certificates, compression, time-outs, batches) is read by the exporter
// and the batcher themselves.
type environment struct {
	send     bool
	protocol string
	sampler  sdktrace.Sampler
}

func readEnv() (environment, error) {
	endpoint := firstOf("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if endpoint == "" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return environment{}, nil
	}
	switch kind := firstOf("OTEL_TRACES_EXPORTER"); kind {
	case "", "otlp":
	case "none":
		return environment{}, nil
	default:
		return environment{}, fmt.Errorf("OTEL_TRACES_EXPORTER %q: want otlp or none", kind)
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return environment{}, fmt.Errorf("OTLP endpoint %q: want a URL such as http://collector:4317", endpoint)
	}
	protocol := cmp.Or(firstOf("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"), protocolGRPC)
	if protocol != protocolGRPC && protocol != protocolHTTP {
		return environment{}, fmt.Errorf("OTLP protocol %q: want %s or %s", protocol, protocolGRPC, protocolHTTP)
	}
	sampler, err := samplerOf(firstOf("OTEL_TRACES_SAMPLER"), firstOf("OTEL_TRACES_SAMPLER_ARG"))
	if err != nil {
		return environment{}, err
	}
	return environment{send: true, protocol: protocol, sampler: sampler}, nil
}

// firstOf is the value of the first variable that has one.
func firstOf(names ...string) string {
	for _, name := range names {
		if v := strings.TrimSpace(os.Getenv(name)); v != "" {
			return v
		}
	}
	return ""
}

func samplerOf(name, arg string) (sdktrace.Sampler, error) {
	base, followsParent := strings.CutPrefix(cmp.Or(strings.ToLower(name), "parentbased_always_on"), "parentbased_")
	var s sdktrace.Sampler
	switch base {
	case "always_on":
		s = sdktrace.AlwaysSample()
	case "always_off":
		s = sdktrace.NeverSample()
	case "traceidratio":
		share, err := strconv.ParseFloat(cmp.Or(arg, "1"), 64)
		if err != nil || !(share >= 0 && share <= 1) { // written so that NaN is refused
			return nil, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG %q: want a share between 0 and 1", arg)
		}
		s = sdktrace.TraceIDRatioBased(share)
	default:
		return nil, fmt.Errorf("OTEL_TRACES_SAMPLER %q: want always_on, always_off or traceidratio, alone or after parentbased_", name)
	}
	if followsParent {
		s = sdktrace.ParentBased(s)
	}
	return s, nil
}
