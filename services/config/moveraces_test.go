// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Two moves of one alias from the same version of its holder: exactly one (C2.366).
func TestRaceMoveAlias(t *testing.T) {
	p := newPair(t)
	names := []string{
		p.a.mustCreate(t, simple("ref-a", "www.example.com")).GetName(), p.a.mustCreate(t, simple("ref-b")).GetName(), p.a.mustCreate(t, simple("ref-c")).GetName(),
	}
	for i := range rounds {
		from := p.a.get(t, names[0])
		move := func(r replica, target string) func() error {
			return func() error {
				_, err := r.MoveAlias(t.Context(), &configv1.MoveAliasRequest{Alias: "www.example.com", Target: target, SourceEtag: from.GetEtag()})
				return err
			}
		}
		one, other := p.race(move(p.a, names[1]), move(p.b, names[2]))
		exactlyOne(t, i, one, other, codes.Aborted, "PRECONDITION_FAILED")
		checkKeys(t, p.kv)
		if one != nil { // the holder is first again
			names[1], names[2] = names[2], names[1]
		}
		names[0], names[1] = names[1], names[0]
		if got := p.b.get(t, names[0]).GetConfig().GetAliases(); !slices.Equal(got, []string{"www.example.com"}) {
			t.Fatalf("round %d: the winner has %v", i, got)
		}
	}
}

// Moves that name no version both have their effect, one after the other; a create or
// an update that wants the alias loses.
func TestRaceMoveAliasWithoutVersions(t *testing.T) {
	p := newPair(t)
	b, c := p.a.mustCreate(t, simple("ref-b")), p.a.mustCreate(t, simple("ref-c"))
	for i := range rounds {
		alias := fmt.Sprintf("www%d.example.com", i)
		p.a.mustCreate(t, simple(fmt.Sprint("ref-", i), alias))
		move := func(r replica, target string) func() error {
			return func() error {
				_, err := r.MoveAlias(t.Context(), &configv1.MoveAliasRequest{Alias: alias, Target: target})
				return err
			}
		}
		one, other := p.race(move(p.a, b.GetName()), move(p.b, c.GetName()))
		if one != nil || other != nil {
			t.Fatalf("round %d: %v; %v", i, one, other)
		}
		_, err := p.b.create(t.Context(), simple(fmt.Sprint("other-", i), alias))
		wantError(t, "C3.43", err, codes.AlreadyExists, "CNAME_ALREADY_EXISTS")
		if holders := p.a.listed(t, "alias = "+alias, 0); len(holders) != 1 {
			t.Fatalf("round %d: %s is with %v", i, alias, holders)
		}
		checkKeys(t, p.kv)
		for _, d := range []*configv1.Distribution{b, c} { // make room
			d = p.a.get(t, d.GetName())
			p.a.mustUpdate(t, &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{}}, "config.aliases")
		}
	}
}

// An alias that nobody has, given to one and created with another: it has one owner.
func TestRaceAddAlias(t *testing.T) {
	p := newPair(t)
	to := p.a.mustCreate(t, simple("ref-to"))
	for i := range rounds {
		alias := fmt.Sprintf("www%d.example.com", i)
		one, other := p.race(func() error {
			_, err := p.a.MoveAlias(t.Context(), &configv1.MoveAliasRequest{Alias: alias, Target: to.GetName()})
			return err
		}, func() error {
			_, err := p.b.create(t.Context(), simple(fmt.Sprint("ref-", i), alias))
			return err
		})
		if one != nil {
			t.Fatalf("round %d: move: %v", i, body(one))
		}
		if other != nil {
			wantError(t, "C3.43", other, codes.AlreadyExists, "CNAME_ALREADY_EXISTS")
		}
		checkKeys(t, p.kv)
		now := p.a.get(t, to.GetName())
		p.a.mustUpdate(t, &configv1.Distribution{Name: to.GetName(), Etag: now.GetEtag(), Config: &configv1.DistributionConfig{}}, "config.aliases")
	}
}

// An alias that is given away by one, while another takes it away or writes something
// else of its holder: exactly one (C8.54).
func TestRaceMoveAliasAgainstUpdate(t *testing.T) {
	p := newPair(t)
	to := p.a.mustCreate(t, simple("ref-to"))
	for i := range rounds {
		alias := fmt.Sprintf("www%d.example.com", i)
		from := p.a.mustCreate(t, simple(fmt.Sprint("ref-", i), alias))
		to = p.a.get(t, to.GetName())
		one, other := p.race(func() error {
			_, err := p.a.MoveAlias(t.Context(), &configv1.MoveAliasRequest{Alias: alias, Target: to.GetName(), TargetEtag: to.GetEtag(), SourceEtag: from.GetEtag()})
			return err
		}, func() error {
			_, err := p.b.update(t.Context(), &configv1.Distribution{Name: from.GetName(), Etag: from.GetEtag(), Config: &configv1.DistributionConfig{Comment: "x"}},
				[]string{"config.aliases", "config.comment"}[i%2])
			return err
		})
		exactlyOne(t, i, one, other, codes.Aborted, "PRECONDITION_FAILED")
		checkKeys(t, p.kv)
		if i%20 == 0 { // make room
			now := p.a.get(t, to.GetName())
			p.a.mustUpdate(t, &configv1.Distribution{Name: to.GetName(), Etag: now.GetEtag(), Config: &configv1.DistributionConfig{}}, "config.aliases")
		}
	}
}

// A promotion against a change of the primary, and of the staging distribution: exactly
// one of those that name the version that both have seen (C8.55).
func TestRacePromote(t *testing.T) {
	p := newPair(t)
	primary := p.a.mustCreate(t, simple("ref-p", "www.example.com"))
	staging := p.a.stage(t, primary, "ref-s")
	for i := range rounds {
		changed := primary
		if i%2 == 1 {
			changed = staging
		}
		update := func() error {
			_, err := p.b.update(t.Context(), &configv1.Distribution{
				Name: changed.GetName(), Etag: changed.GetEtag(), Config: &configv1.DistributionConfig{Comment: fmt.Sprint("round ", i)},
			}, "config.comment")
			return err
		}
		promote := func() error {
			_, err := p.a.promote(t, primary, staging)
			return err
		}
		one, two := p.race(promote, update)
		if i%2 == 0 {
			exactlyOne(t, i, one, two, codes.Aborted, "PRECONDITION_FAILED")
		} else if two != nil { // the promotion does not write the staging distribution
			t.Fatalf("round %d: update: %v", i, body(two))
		} else if one != nil {
			wantError(t, "C3.7", one, codes.Aborted, "PRECONDITION_FAILED")
		}
		primary, staging = p.a.get(t, primary.GetName()), p.b.get(t, staging.GetName())
		if i%2 == 1 && one == nil && primary.GetDeployment().GetTargetRevision() > staging.GetDeployment().GetTargetRevision() {
			t.Fatalf("round %d: promoted after the change, what was before it", i)
		}
		checkKeys(t, p.kv)
	}
}

// A restore against an update from the same version: exactly one.
func TestRaceRestore(t *testing.T) {
	p := newPair(t)
	d := p.a.mustCreate(t, simple("ref", "www.example.com"))
	for i := range rounds {
		number := d.GetVersion()
		one, other := p.race(func() error {
			_, err := p.a.restore(t, d, number)
			return err
		}, func() error {
			_, err := p.b.update(t.Context(), &configv1.Distribution{
				Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{Aliases: []string{fmt.Sprintf("www%d.example.com", i)}},
			}, "config.aliases")
			return err
		})
		exactlyOne(t, i, one, other, codes.Aborted, "PRECONDITION_FAILED")
		d = p.b.get(t, d.GetName())
		if d.GetVersion() != number+1 {
			t.Fatalf("round %d: version %d after %d", i, d.GetVersion(), number)
		}
		checkKeys(t, p.kv)
	}
}

// One request by two servers at once has its effect once (C3.17).
func TestRaceRequestID(t *testing.T) {
	p := newPair(t)
	for i := range rounds {
		req := &configv1.CreateDistributionRequest{Distribution: simple(fmt.Sprint("ref-", i)), RequestId: uuid.NewString()}
		var made [2]*configv1.Distribution
		create := func(n int, r replica) func() error {
			return func() error {
				res, err := r.CreateDistribution(t.Context(), req)
				made[n] = res.GetDistribution()
				return err
			}
		}
		one, other := p.race(create(0, p.a), create(1, p.b))
		if one != nil || other != nil || made[0].GetEtag() != made[1].GetEtag() || made[0].GetName() != made[1].GetName() {
			t.Fatalf("round %d: %v %v; %v %v", i, made[0].GetName(), one, made[1].GetName(), other)
		}
		checkKeys(t, p.kv)
	}
}
