// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// under returns what lies under a prefix.
func under(t *testing.T, kv clientv3.KV, prefix string) *clientv3.GetResponse {
	t.Helper()
	res, err := kv.Get(t.Context(), prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func idOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func (r replica) listInvalidations(t *testing.T, parent string, size int32) []*configv1.Invalidation {
	t.Helper()
	var out []*configv1.Invalidation
	for token := ""; ; {
		res, err := r.ListInvalidations(t.Context(), &configv1.ListInvalidationsRequest{Parent: parent, PageSize: size, PageToken: token})
		if err != nil {
			t.Fatalf("list: %v", body(err))
		}
		out = append(out, res.GetInvalidations()...)
		if token = res.GetNextPageToken(); token == "" {
			return out
		}
	}
}

func TestListInvalidations(t *testing.T) {
	t.Parallel()
	client := etcdtest.Client(t)
	r := serve(t, client)
	d, other := r.mustCreate(t, simple("one")), r.mustCreate(t, simple("two"))
	const many = 150
	var want []string
	for i := range many {
		want = append(want, r.mustInvalidate(t, d.GetName(), fmt.Sprint(i), "/a").GetName())
	}
	slices.Reverse(want)
	r.mustInvalidate(t, other.GetName(), "x", "/a")
	r.wait(t, want[0], time.Minute)
	join(t, client, "a") // from here on nothing completes
	r.settle(t)
	fresh := r.mustInvalidate(t, d.GetName(), "last", "/a")
	want = append([]string{fresh.GetName()}, want...)
	for _, size := range []int32{0, 7, 1000} {
		page := r.listInvalidations(t, d.GetName(), size)
		var got []string
		for i, inv := range page {
			got = append(got, inv.GetName())
			if (inv.GetState() == completed) != (i > 0) || inv.GetRevision() == 0 || inv.GetUid() == "" {
				t.Fatalf("invalidation %d: %v", i, inv)
			}
		}
		// Those of one microsecond may stand in any order.
		slices.SortStableFunc(page, func(a, b *configv1.Invalidation) int {
			return int(b.GetCreateTime().AsTime().UnixMicro() - a.GetCreateTime().AsTime().UnixMicro())
		})
		for i, inv := range page {
			if inv.GetName() != got[i] {
				t.Fatalf("C3.25: page size %d: %s at %d, which is not newest first", size, got[i], i)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Fatalf("page size %d: %d invalidations, want %d", size, len(got), len(want))
		}
	}
	first, err := r.ListInvalidations(t.Context(), &configv1.ListInvalidationsRequest{Parent: d.GetName(), PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ListInvalidations(t.Context(), &configv1.ListInvalidationsRequest{Parent: other.GetName(), PageToken: first.GetNextPageToken()})
	wantError(t, "C3.25: another distribution's token", err, codes.InvalidArgument, "INVALID_ARGUMENT")
	_, err = r.ListInvalidations(t.Context(), &configv1.ListInvalidationsRequest{Parent: "distributions/ENONE"})
	wantError(t, "C2.188", err, codes.NotFound, "NO_SUCH_DISTRIBUTION")
}

// TestInvalidationAtTwoReplicas: both see each invalidation completed once, for ever,
// and what one says after the other never goes back.
func TestInvalidationAtTwoReplicas(t *testing.T) {
	t.Parallel()
	space := etcdtest.New(t)
	client := space.Client(t)
	one, two := serve(t, client), serve(t, space.Client(t))
	d := one.mustCreate(t, simple("one"))
	for _, id := range []string{"a", "b", "c"} {
		join(t, client, id)
	}
	one.settle(t)
	two.settle(t)
	const rounds = 20
	var all []string
	for i := range rounds {
		inv := one.mustInvalidate(t, d.GetName(), fmt.Sprint(i), "/a")
		all = append(all, inv.GetName())
		for _, id := range []string{"a", "b", "c"} {
			obey(t, client, id, inv.GetRevision())
		}
		// Whoever is asked first: the other one agrees at once.
		first, second := one, two
		if i%2 == 1 {
			first, second = two, one
		}
		first.wait(t, inv.GetName(), time.Minute)
		obey(t, client, "b", 1) // and an edge that loses its table does not matter
		for _, r := range []replica{second, first} {
			if got := r.getInvalidation(t, inv.GetName()); got.GetState() != completed || names(got.GetAcks()) != "a b c" {
				t.Fatalf("round %d: %v", i, got)
			}
		}
		obey(t, client, "b", inv.GetRevision())
	}
	for _, name := range all {
		key := keys.Completion(strings.TrimPrefix(d.GetName(), "distributions/"), idOf(name))
		res, err := client.Get(t.Context(), key)
		if err != nil || len(res.Kvs) != 1 || res.Kvs[0].Version != 1 {
			t.Errorf("design 3.5: %s was written %v times, %v", key, res.Kvs, err)
		}
	}
	// A replica that starts now knows it as well, and completes nothing anew.
	three := serve(t, space.Client(t))
	if got := three.getInvalidation(t, all[0]); got.GetState() != completed || names(got.GetAcks()) != "a b c" {
		t.Errorf("a third replica: %v", got)
	}
}

// TestInvalidationExpires: everything of an invalidation is under one lease, which is
// shared with others of its server and hour.
func TestInvalidationExpires(t *testing.T) {
	t.Parallel()
	space := etcdtest.New(t)
	client := space.Client(t)
	r := serve(t, client)
	d := r.mustCreate(t, simple("one"))
	id := strings.TrimPrefix(d.GetName(), "distributions/")
	first := r.mustInvalidate(t, d.GetName(), "1", "/a")
	second := r.mustInvalidate(t, d.GetName(), "2", "/a")
	foreign := serve(t, space.Client(t)).mustInvalidate(t, d.GetName(), "3", "/a")
	for _, inv := range []*configv1.Invalidation{first, second, foreign} {
		r.wait(t, inv.GetName(), time.Minute)
	}
	lease := func(key string) clientv3.LeaseID {
		res, err := client.Get(t.Context(), key)
		if err != nil || len(res.Kvs) != 1 || res.Kvs[0].Lease == 0 {
			t.Fatalf("%s: %v, %v", key, res, err)
		}
		return clientv3.LeaseID(res.Kvs[0].Lease)
	}
	ours := lease(keys.Invalidation(id, idOf(first.GetName())))
	for _, key := range []string{
		keys.Completion(id, idOf(first.GetName())), keys.InvalidationReference(id, "1"), keys.Invalidation(id, idOf(second.GetName())),
	} {
		if got := lease(key); got != ours {
			t.Errorf("C8.34, C9.51: %s has lease %x, want %x", key, got, ours)
		}
	}
	if lease(keys.Invalidation(id, idOf(foreign.GetName()))) == ours {
		t.Error("two servers share a lease")
	}
	ttl, err := client.TimeToLive(t.Context(), ours)
	if week := int64(7 * 24 * 3600); err != nil || ttl.GrantedTTL < week || ttl.GrantedTTL > week+3600 {
		t.Errorf("C8.28: lease of %d s, %v", ttl.GrantedTTL, err)
	}

	if _, err := client.Revoke(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	_, err = r.GetInvalidation(t.Context(), &configv1.GetInvalidationRequest{Name: first.GetName()})
	wantError(t, "C8.71", err, codes.NotFound, "NO_SUCH_INVALIDATION")
	_, err = r.WaitInvalidation(t.Context(), &configv1.WaitInvalidationRequest{Name: first.GetName()})
	wantError(t, "C8.71: wait", err, codes.NotFound, "NO_SUCH_INVALIDATION")
	if left := under(t, client, keys.CompletionsOf(id)); len(left.Kvs) != 1 {
		t.Errorf("completions left: %v", left.Kvs)
	}
	// The server takes another lease, and the caller reference is free.
	again := r.mustInvalidate(t, d.GetName(), "1", "/other")
	if again.GetName() == first.GetName() || lease(keys.Invalidation(id, idOf(again.GetName()))) == ours {
		t.Errorf("C8.34: a replay names what has expired: %v", again)
	}
	if got := len(r.listInvalidations(t, d.GetName(), 0)); got != 2 {
		t.Errorf("%d invalidations are listed, want 2", got)
	}
}

// TestDeleteDistributionDuringInvalidation is the race of C2.366.
func TestDeleteDistributionDuringInvalidation(t *testing.T) {
	t.Parallel()
	space := etcdtest.New(t)
	client := space.Client(t)
	one, two := serve(t, client), serve(t, space.Client(t))
	made, refused := 0, 0
	for i := range 100 {
		d := one.mustCreate(t, simple(fmt.Sprint("race-", i)))
		d = one.disable(t, d)
		var err1, err2 error
		var race sync.WaitGroup
		race.Go(func() { err1 = one.delete(t.Context(), d.GetName(), d.GetEtag()) })
		race.Go(func() {
			_, err2 = two.invalidate(t.Context(), d.GetName(), "r", "/*")
		})
		race.Wait()
		if err1 != nil {
			t.Fatalf("delete: %v", body(err1))
		}
		if err2 == nil {
			made++
		} else {
			refused++
			wantError(t, "create", err2, codes.NotFound, "NO_SUCH_DISTRIBUTION")
		}
		id := strings.TrimPrefix(d.GetName(), "distributions/")
		two.settle(t) // the latchers have seen all of it
		for _, prefix := range []string{keys.InvalidationsOf(id), keys.InvalidationReferencesOf(id), keys.CompletionsOf(id)} {
			if left := under(t, client, prefix); len(left.Kvs) > 0 {
				t.Fatalf("round %d: orphan key %s", i, left.Kvs[0].Key)
			}
		}
	}
	t.Logf("%d invalidations came first, %d second", made, refused)
}

// TestInvalidationAfterCompaction: neither listings nor completions need the history.
func TestInvalidationAfterCompaction(t *testing.T) {
	t.Parallel()
	client := etcdtest.Start(t).Client(t)
	r := serve(t, client)
	d := r.mustCreate(t, simple("one"))
	join(t, client, "a")
	r.settle(t)
	inv := r.mustInvalidate(t, d.GetName(), "1", "/a")
	r.mustInvalidate(t, d.GetName(), "2", "/a")
	page, err := r.ListInvalidations(t.Context(), &configv1.ListInvalidationsRequest{Parent: d.GetName(), PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	putOrigin(t, client, "later", httpEndpoint())
	if _, err := client.Compact(t.Context(), now(t, client)); err != nil {
		t.Fatal(err)
	}
	rest, err := r.ListInvalidations(t.Context(), &configv1.ListInvalidationsRequest{Parent: d.GetName(), PageToken: page.GetNextPageToken()})
	if err != nil || len(rest.GetInvalidations()) != 1 || rest.GetInvalidations()[0].GetName() != inv.GetName() {
		t.Errorf("C3.25: after a compaction: %v, %v", rest, err)
	}
	late := serve(t, client) // one that has seen nothing of it
	obey(t, client, "a", now(t, client))
	for _, r := range []replica{r, late} {
		if got := r.wait(t, inv.GetName(), time.Minute); got.GetState() != completed || names(got.GetAcks()) != "a" {
			t.Errorf("after a compaction: %v", got)
		}
	}
}

// TestWaitInvalidation: waits end with the completion, the deadline, the end of the
// distribution.
func TestWaitInvalidation(t *testing.T) {
	t.Parallel()
	client := etcdtest.Client(t)
	r := serve(t, client)
	d := r.mustCreate(t, simple("one"))
	join(t, client, "a")
	r.settle(t)
	inv := r.mustInvalidate(t, d.GetName(), "1", "/a")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	res, err := r.WaitInvalidation(ctx, &configv1.WaitInvalidationRequest{Name: inv.GetName()})
	if err != nil || res.GetInvalidation().GetState() != inProgress {
		t.Errorf("C3.34: before the caller's own deadline: %v, %v", res, err)
	}
	d = r.disable(t, d)
	obey(t, client, "a", inv.GetRevision()-1) // serves the newest, and obeys less
	r.settle(t)
	ended := make(chan error, 1)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	waiting.Go(func() {
		_, err := r.WaitInvalidation(t.Context(), &configv1.WaitInvalidationRequest{Name: inv.GetName()})
		ended <- err
	})
	if err := r.delete(t.Context(), d.GetName(), d.GetEtag()); err != nil {
		t.Fatalf("delete: %v", body(err))
	}
	wantError(t, "the distribution is deleted", <-ended, codes.NotFound, "NO_SUCH_DISTRIBUTION")
}
