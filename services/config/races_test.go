// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// rounds is how often each race is run (C2.366).
const rounds = 100

// pair is two config servers, each with its own connection to one etcd.
type pair struct {
	a, b replica
	kv   *clientv3.Client
	rand *rand.Rand
}

func newPair(t *testing.T) pair {
	t.Helper()
	space, seed := etcdtest.New(t), rand.Uint64()
	t.Logf("seed %d", seed)
	return pair{serve(t, space.Client(t)), serve(t, space.Client(t)), space.Client(t), rand.New(rand.NewPCG(seed, 0))}
}

// race runs both at about the same moment.
func (p pair) race(one, other func() error) (errOne, errOther error) {
	before := [2]time.Duration{}
	before[p.rand.IntN(2)] = time.Duration(p.rand.IntN(600)) * time.Microsecond
	var running sync.WaitGroup
	running.Go(func() {
		time.Sleep(before[0])
		errOne = one()
	})
	running.Go(func() {
		time.Sleep(before[1])
		errOther = other()
	})
	running.Wait()
	return errOne, errOther
}

// exactlyOne demands that one of two succeeded and the other got this error.
func exactlyOne(t *testing.T, round int, one, other error, code codes.Code, want string) {
	t.Helper()
	switch {
	case one == nil && other == nil:
		t.Fatalf("round %d: both succeeded", round)
	case one != nil && other != nil:
		t.Fatalf("round %d: none succeeded: %v; %v", round, one, other)
	case one == nil:
		one = other
	}
	if c, r := reason(one); c != code || r != want {
		t.Fatalf("round %d: the loser got %s", round, body(one))
	}
}

func TestRaceForAlias(t *testing.T) {
	p := newPair(t)
	for i := range rounds {
		alias := fmt.Sprintf("www%d.example.com", i)
		create := func(r replica, ref string) func() error {
			return func() error {
				_, err := r.create(t.Context(), simple(fmt.Sprint(ref, i), "own-"+ref+alias, alias))
				return err
			}
		}
		one, other := p.race(create(p.a, "a"), create(p.b, "b"))
		exactlyOne(t, i, one, other, codes.AlreadyExists, "CNAME_ALREADY_EXISTS")
		checkKeys(t, p.kv)
	}
}

func TestRaceForCallerReference(t *testing.T) {
	p := newPair(t)
	for i := range rounds {
		create := func(r replica) func() error {
			return func() error {
				_, err := r.create(t.Context(), simple(fmt.Sprint("ref-", i)))
				return err
			}
		}
		one, other := p.race(create(p.a), create(p.b))
		exactlyOne(t, i, one, other, codes.AlreadyExists, "DISTRIBUTION_ALREADY_EXISTS")
		checkKeys(t, p.kv)
	}
}

func TestRaceOnETag(t *testing.T) {
	p := newPair(t)
	d := p.a.mustCreate(t, simple("ref"))
	for i := range rounds {
		update := func(r replica, who string) func() error {
			return func() error {
				_, err := r.update(t.Context(), &configv1.Distribution{
					Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{Aliases: []string{fmt.Sprintf("%s%d.example.com", who, i)}},
				}, "config.aliases")
				return err
			}
		}
		one, other := p.race(update(p.a, "a"), update(p.b, "b"))
		exactlyOne(t, i, one, other, codes.Aborted, "PRECONDITION_FAILED")
		checkKeys(t, p.kv)
		d = p.b.get(t, d.GetName())
	}
}

// Deleting an origin against attaching it: never both (C8.51).
func TestRaceDeleteOriginAgainstCreate(t *testing.T) {
	p := newPair(t)
	wins := 0
	for i := range rounds {
		origin := fmt.Sprintf("o%d", i)
		putOrigin(t, p.kv, origin, httpEndpoint())
		created, deleted := p.race(
			func() error {
				_, err := p.a.create(t.Context(), referring(fmt.Sprint("ref-", i), origin))
				return err
			},
			func() error {
				// The delete skips the look-ahead of the registry: its transaction alone counts.
				time.Sleep(time.Duration(p.rand.IntN(2500)) * time.Microsecond)
				return deleteOrigin(t.Context(), p.kv, origin)
			},
		)
		switch {
		case created == nil && isConflict(deleted):
			wins++
		case created != nil && deleted == nil:
			wantError(t, fmt.Sprint("round ", i), created, codes.FailedPrecondition, "ENTITY_NOT_FOUND")
		default:
			t.Fatalf("round %d: create %v, delete %v", i, created, deleted)
		}
		checkKeys(t, p.kv)
	}
	t.Logf("attached first in %d of %d rounds", wins, rounds)
}

// Deleting an origin against an update that attaches it: never both.
func TestRaceDeleteOriginAgainstUpdate(t *testing.T) {
	p := newPair(t)
	d := p.a.mustCreate(t, simple("ref"))
	for i := range rounds {
		origin := fmt.Sprintf("o%d", i)
		putOrigin(t, p.kv, origin, httpEndpoint())
		config := referring("", origin).GetConfig()
		updated, deleted := p.race(
			func() error {
				_, err := p.a.update(t.Context(), &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: config})
				return err
			},
			func() error {
				time.Sleep(time.Duration(p.rand.IntN(2500)) * time.Microsecond)
				return deleteOrigin(t.Context(), p.kv, origin)
			},
		)
		if (updated == nil) == (deleted == nil) {
			t.Fatalf("round %d: update %v, delete %v", i, updated, deleted)
		}
		if updated != nil {
			wantError(t, fmt.Sprint("round ", i), updated, codes.FailedPrecondition, "ENTITY_NOT_FOUND")
		}
		checkKeys(t, p.kv)
		d = p.b.get(t, d.GetName())
	}
}

// Deleting a distribution against changing it: one of them, and no orphan.
func TestRaceDeleteAgainstUpdate(t *testing.T) {
	p := newPair(t)
	for i := range rounds {
		d := simple(fmt.Sprint("ref-", i), fmt.Sprintf("old%d.example.com", i))
		d.Config.Enabled = false
		d = p.a.mustCreate(t, d)
		deleted, updated := p.race(
			func() error { return p.a.delete(t.Context(), d.GetName(), d.GetEtag()) },
			func() error {
				_, err := p.b.update(t.Context(), &configv1.Distribution{
					Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{Aliases: []string{fmt.Sprintf("new%d.example.com", i)}},
				}, "config.aliases")
				return err
			},
		)
		if (deleted == nil) == (updated == nil) {
			t.Fatalf("round %d: delete %v, update %v", i, deleted, updated)
		}
		if code, want := reason(updated); updated != nil && (code != codes.NotFound || want != "NO_SUCH_DISTRIBUTION") {
			t.Fatalf("round %d: update of the deleted: %s", i, body(updated))
		}
		if code, want := reason(deleted); deleted != nil && (code != codes.Aborted || want != "PRECONDITION_FAILED") {
			t.Fatalf("round %d: delete of the changed: %s", i, body(deleted))
		}
		checkKeys(t, p.kv)
	}
}

// Origins that change all the time hold a create up, but do not make it fail with
// what the client has not named (C8.64).
func TestCreateWhileTheOriginChanges(t *testing.T) {
	p := newPair(t)
	putOrigin(t, p.kv, "web", httpEndpoint())
	ctx, cancel := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	changing.Go(func() {
		for ctx.Err() == nil {
			putOrigin(t, p.kv, "web", httpEndpoint())
			time.Sleep(2 * time.Millisecond)
		}
	})
	made, busy := 0, 0
	for i := range 20 {
		_, err := p.a.create(t.Context(), referring(fmt.Sprint("ref-", i), "web"))
		if err == nil {
			made++
			continue
		}
		wantError(t, "C8.64", err, codes.Unavailable, "SERVICE_UNAVAILABLE")
		busy++
	}
	cancel()
	changing.Wait()
	t.Logf("%d created, %d told to try again", made, busy)
	checkKeys(t, p.kv)
}
