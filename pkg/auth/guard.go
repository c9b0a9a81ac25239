// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/caller"
	"github.com/seafront-cdn/seafront/pkg/reload"
)

// Rule says who may call a method.
type Rule struct {
	// Public methods are open to everybody, without a look at credentials.
	Public bool
	// Least is the least role; Edge is none that may be least.
	Least Role
	// Own, when set, is a collection such as "edges/": a caller in the role Edge may
	// call the method, too, when the request's field name is Own and its own name.
	Own string
}

// Config is how callers are known. What is empty is not used.
type Config struct {
	Tokens  []*reload.Value[*Tokens]
	JWT     *Bearers
	Clients *Clients
	// Open lets callers without credentials do everything, as caller.Anonymous. It is
	// for servers that nobody else can reach.
	Open bool
	// Rule is the rule of a method, /package.Service/Method; ok is false when there
	// is none, and then nobody may call it.
	Rule func(method string) (rule Rule, ok bool)
	// Meter gets the count of refused calls. Nil: nobody does.
	Meter metric.MeterProvider
}

// Guard admits callers to methods.
type Guard struct {
	cfg     Config
	refused metric.Int64Counter
}

// New makes a guard.
func New(cfg Config) (*Guard, error) {
	if cfg.Meter == nil {
		cfg.Meter = noop.NewMeterProvider()
	}
	refused, err := cfg.Meter.Meter("seafront/auth").Int64Counter("seafront.auth.refused",
		metric.WithDescription("Calls that were refused because of who made them, by cause."))
	if err != nil {
		return nil, fmt.Errorf("make metrics of authentication: %w", err)
	}
	return &Guard{cfg, refused}, nil
}

// Admit says who makes the call of ctx and whether they may. req is the request, or
// nil for a stream. The returned context carries the caller, for refused calls as well.
// The error is UNAUTHENTICATED with UNAUTHENTICATED_CALLER (C2.330) or
// PERMISSION_DENIED with ACCESS_DENIED (C2.177). It comes before every other check of
// the request (C2.1).
func (g *Guard) Admit(ctx context.Context, method string, req any) (context.Context, Identity, error) {
	rule, known := g.cfg.Rule(method)
	if known && rule.Public {
		return ctx, Identity{Name: caller.Anonymous}, nil
	}
	id, err := g.identify(ctx, time.Now())
	if err == nil {
		err = permit(id, method, rule, known, req)
	}
	if id.Name == "" {
		id.Name = caller.Anonymous
	}
	if err != nil {
		g.refused.Add(ctx, 1, metric.WithAttributes(attribute.String("cause", causeOf(err))))
	}
	return caller.With(ctx, caller.Caller{Name: id.Name, Role: id.Role.String()}), id, err
}

// identify takes the token, when one is sent, and never goes on to something else
// when that is wrong: who sends credentials wants to be known by them.
func (g *Guard) identify(ctx context.Context, now time.Time) (Identity, error) {
	p, _ := peer.FromContext(ctx)
	if p == nil {
		p = &peer.Peer{}
	}
	if inside, ok := p.AuthInfo.(Inside); ok {
		return Identity(inside), nil
	}
	sent := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(sent) > 0 && !g.cfg.Open {
		return g.bearer(sent)
	}
	if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && g.cfg.Clients != nil && len(info.State.PeerCertificates) > 0 {
		return g.cfg.Clients.identify(info.State, now)
	}
	if g.cfg.Open {
		return Identity{Name: caller.Anonymous, Role: Admin}, nil
	}
	return Identity{}, refuse("none", "the call has no credentials; "+g.wanted())
}

// wanted says what would do.
func (g *Guard) wanted() string {
	var ways []string
	if len(g.cfg.Tokens) > 0 || g.cfg.JWT != nil {
		ways = append(ways, `send the header "authorization: Bearer TOKEN"`)
	}
	if g.cfg.Clients != nil {
		ways = append(ways, "use a client certificate")
	}
	return strings.Join(ways, " or ")
}

func (g *Guard) bearer(sent []string) (Identity, error) {
	if len(sent) > 1 {
		return Identity{}, refuse("form", "the call has several authorization headers")
	}
	scheme, token, _ := strings.Cut(sent[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "bearer") || token == "" {
		return Identity{}, refuse("form", `the authorization header is not "Bearer TOKEN"`)
	}
	if len(token) > mostToken {
		return Identity{}, refuse("form", fmt.Sprintf("the token is longer than %d bytes", mostToken))
	}
	for _, tokens := range g.cfg.Tokens {
		if id, ok := tokens.Get().find(token); ok {
			return id, nil
		}
	}
	if g.cfg.JWT != nil {
		return g.cfg.JWT.identify(token)
	}
	return Identity{}, refuse("token", "the token is not known here")
}

// permit says whether id may call a method.
func permit(id Identity, method string, rule Rule, known bool, req any) error {
	method = strings.TrimPrefix(method, "/")
	if !known {
		return deny("method", "%s is nothing that anybody may call here", method).With("method", method)
	}
	if rule.Least >= Reader && id.Role >= rule.Least {
		return nil
	}
	if id.Role == Edge && rule.Own != "" {
		if nameIn(req) == rule.Own+id.Name {
			return nil
		}
		return deny("edge", "an edge may ask about itself only").With("method", method)
	}
	return deny("role", "%s needs the role %s; %s has the role %s", method, rule.Least, id.Name, id.Role).
		With("method", method).With("required", rule.Least.String()).With("actual", id.Role.String())
}

// nameIn is the field name of a request.
func nameIn(req any) string {
	m, ok := req.(proto.Message)
	if !ok {
		return ""
	}
	r := m.ProtoReflect()
	f := r.Descriptor().Fields().ByName("name")
	if f == nil || f.Kind() != protoreflect.StringKind || f.IsList() {
		return ""
	}
	return r.Get(f).String()
}

// Inside is the caller at the other end of a connection within the process. Only the
// listener in memory can make one: nothing that arrives over a network is of this type.
type Inside Identity

// AuthType is part of credentials.AuthInfo.
func (Inside) AuthType() string { return InProcess.String() }

// refuse is the error for callers that are not known.
func refuse(cause, text string) error {
	return apierr.New(apierr.Unauthenticated, apierr.ReasonUnauthenticated, "%s", text).With("cause", cause)
}

// deny is the error for callers that may not.
func deny(cause, format string, args ...any) *apierr.Error {
	return apierr.New(apierr.Denied, apierr.ReasonAccessDenied, format, args...).With("cause", cause)
}

// causeOf is the cause of a refusal: one of a few words.
func causeOf(err error) string {
	if e, ok := err.(*apierr.Error); ok { //nolint:errorlint // Admit's errors are bare
		return e.Metadata["cause"]
	}
	return "unknown"
}
