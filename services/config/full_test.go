// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"github.com/seafront-cdn/seafront/pkg/etcd/embedded"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// TestNoSpace fills etcd up: writes are refused as unavailable, reads go on, and once
// there is space again so does all else (C8.9, C8.103).
func TestNoSpace(t *testing.T) {
	m := etcdtest.Start(t, func(c *embedded.Config) { c.Quota = 4 << 20 })
	client := m.Client(t)
	r := serve(t, m.Client(t))
	d := r.mustCreate(t, simple("before"))
	junk := strings.Repeat("x", 512<<10)
	for i := 0; ; i++ {
		if _, err := client.Put(t.Context(), fmt.Sprint("junk/", i), junk); errors.Is(err, rpctypes.ErrNoSpace) {
			break
		} else if err != nil || i > 100 {
			t.Fatalf("write %d: %v", i, err)
		}
	}
	_, err := r.create(t.Context(), simple("full"))
	wantError(t, "C8.103: create", err, codes.Unavailable, "STORE_UNAVAILABLE")
	_, err = r.update(t.Context(), &configv1.Distribution{Name: d.GetName(), Etag: d.GetEtag(), Config: &configv1.DistributionConfig{}}, "config.enabled")
	wantError(t, "C8.103: update", err, codes.Unavailable, "STORE_UNAVAILABLE")
	if got := r.get(t, d.GetName()); got.GetEtag() != d.GetEtag() {
		t.Errorf("read while there is no space: %v", got)
	}
	if _, err := r.ListDistributions(t.Context(), &configv1.ListDistributionsRequest{}); err != nil {
		t.Errorf("list while there is no space: %v", err)
	}

	// What docs/operations.md says to do.
	ctx := t.Context()
	gone, err := client.Delete(ctx, "junk/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(ctx, gone.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Defragment(ctx, m.Endpoint()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		t.Fatal(err)
	}
	off := r.disable(t, d)
	if off.GetConfig().GetEnabled() || r.mustCreate(t, simple("full")).GetName() == d.GetName() {
		t.Errorf("after space was made: %v", off)
	}
	checkKeys(t, client)
}

// TestCompaction compacts all history over and over while everything goes on: what was
// acknowledged is there, listings go on with old tokens, and the index follows (C8.89,
// C9.44).
func TestCompaction(t *testing.T) {
	m := etcdtest.Start(t)
	client := m.Client(t)
	r := serve(t, m.Client(t))
	compact := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		res, err := client.Get(ctx, "x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Compact(ctx, res.Header.Revision); err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
			t.Fatal(err)
		}
	}
	for i := range 30 {
		d := r.mustCreate(t, simple(fmt.Sprint("ref-", i)))
		if i%3 == 0 {
			m.Cut() // a watch that begins again finds its place compacted
			await(t, r, client)
		}
		compact()
		if got := r.get(t, d.GetName()); got.GetDeployment().GetTargetRevision() == 0 {
			t.Errorf("distribution %d: %v", i, got)
		}
	}
	seen := map[string]bool{}
	for token := ""; ; {
		res, err := r.ListDistributions(t.Context(), &configv1.ListDistributionsRequest{PageSize: 4, PageToken: token})
		if err != nil {
			t.Fatal(body(err))
		}
		for _, d := range res.GetDistributions() {
			seen[d.GetName()] = true
		}
		r.disable(t, res.GetDistributions()[0]) // the revision of the token
		compact()                               // is history
		if token = res.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(seen) != 30 {
		t.Errorf("%d distributions listed, want 30", len(seen))
	}
	checkKeys(t, client)
}

// await returns when server and test reach etcd again.
func await(t *testing.T, r replica, client *clientv3.Client) {
	t.Helper()
	for {
		_, one := r.ListDistributions(t.Context(), &configv1.ListDistributionsRequest{PageSize: 1})
		_, other := client.Get(t.Context(), "x")
		if one == nil && other == nil {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal(one, other)
		}
	}
}
