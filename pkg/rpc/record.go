// SPDX-License-Identifier: Apache-2.0

package rpc

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/audit"
	"github.com/seafront-cdn/seafront/pkg/caller"
)

// record writes the call into the audit log. Health checks are left out: they say
// nothing about anybody and come every few seconds.
func (s *server) record(ctx context.Context, c *call, out *status.Status) {
	if s.audit == nil || strings.HasPrefix(c.method, "/grpc.health.") {
		return
	}
	line := audit.Line{
		Time: c.began.UTC(), Principal: c.who.Name, Role: c.who.Role.String(), Authentication: c.who.Kind.String(),
		Method: strings.TrimPrefix(c.method, "/"), Resources: c.names.resources, ETag: c.names.etag, ValidateOnly: c.names.validateOnly,
		Code: out.Code().String(), Reason: apierr.Reason(out),
		Milliseconds: float64(time.Since(c.began).Microseconds()) / 1000,
	}
	if line.Principal == "" {
		line.Principal = caller.Anonymous
	}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		line.Peer = p.Addr.String()
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		line.TraceID = span.TraceID().String()
	}
	s.audit.Write(ctx, line)
}

// Bounds of what a line of the audit log names: a stranger may have written it.
const (
	mostNames     = 20
	mostNameBytes = 256
)

// names is what a call is about, in the words of the API's conventions: resources have
// a field name, collections a field parent, ids to be are fields that end with _id.
type names struct {
	resources    []string
	etag         string
	validateOnly bool
}

// request notes what a request names.
func (n *names) request(req any) {
	m, ok := req.(proto.Message)
	if !ok {
		return
	}
	r := m.ProtoReflect()
	r.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(f.Name())
		switch {
		case name == "validate_only" && f.Kind() == protoreflect.BoolKind:
			n.validateOnly = v.Bool()
		case name == "names" && f.IsList() && f.Kind() == protoreflect.StringKind:
			for i := range v.List().Len() {
				n.add(v.List().Get(i).String())
			}
		case f.IsList() || f.IsMap():
		case f.Kind() == protoreflect.MessageKind:
			n.add(text(v.Message(), "name"))
		case f.Kind() == protoreflect.StringKind && (name == "name" || name == "parent" || strings.HasSuffix(name, "_id") && name != "request_id"):
			n.add(v.String())
		}
		return true
	})
}

// answer notes the resource that an answer holds.
func (n *names) answer(res any) {
	m, ok := res.(proto.Message)
	if !ok {
		return
	}
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Kind() == protoreflect.MessageKind && !f.IsList() && !f.IsMap() {
			n.add(text(v.Message(), "name"))
			if etag := text(v.Message(), "etag"); len(etag) <= mostNameBytes {
				n.etag = etag
			}
		}
		return true
	})
}

func (n *names) add(name string) {
	if len(name) > mostNameBytes {
		name = strings.ToValidUTF8(name[:mostNameBytes], "") + "…"
	}
	if name == "" || len(n.resources) == mostNames || slices.Contains(n.resources, name) {
		return
	}
	n.resources = append(n.resources, name)
}

// text is a field of a message when it is a single string.
func text(m protoreflect.Message, field protoreflect.Name) string {
	f := m.Descriptor().Fields().ByName(field)
	if f == nil || f.Kind() != protoreflect.StringKind || f.IsList() {
		return ""
	}
	return m.Get(f).String()
}
