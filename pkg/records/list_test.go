// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

var request = records.ListRequest{Method: "List", Prefix: keys.Origins.Prefix(), PageSize: 100}

func build(i records.Item) (*originv1.Origin, error) {
	var o originv1.Origin
	if err := proto.Unmarshal(i.Resource, &o); err != nil {
		return nil, err
	}
	o.Name, o.Etag = i.Key, i.ETag()
	return &o, nil
}

// pages lists everything and calls between before each page but the first.
func pages(t *testing.T, kv clientv3.KV, req records.ListRequest, between func()) (sizes []int, texts []string) {
	t.Helper()
	for {
		page, next, err := records.List(t.Context(), kv, req, build)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page))
		for _, o := range page {
			texts = append(texts, o.GetDisplayName())
		}
		if next == "" {
			return sizes, texts
		}
		between()
		req.Token = next
	}
}

func TestPages(t *testing.T) {
	kv := etcdtest.Client(t)
	if sizes, _ := pages(t, kv, request, func() {}); !slices.Equal(sizes, []int{0}) {
		t.Errorf("empty listing: pages of %v", sizes)
	}
	var want []string
	for i := range 250 {
		want = append(want, fmt.Sprintf("o%03d", i))
		put(t, kv, want[i], want[i], records.Version{})
	}
	if _, err := kv.Put(t.Context(), strings.TrimSuffix(keys.Origins.Prefix(), "/")+"X/a", "beside"); err != nil {
		t.Fatal(err)
	}
	sizes, got := pages(t, kv, request, func() { put(t, kv, "o249a", "late", records.Version{}); deleteKey(t, kv, "o249a") })
	if !slices.Equal(sizes, []int{100, 100, 50}) || !slices.Equal(got, want) {
		t.Errorf("C3.25: pages of %v: %v", sizes, got)
	}
	// Exactly one page: no token to an empty one.
	req := request
	req.PageSize = 250
	if sizes, _ := pages(t, kv, req, func() {}); !slices.Equal(sizes, []int{250}) {
		t.Errorf("C6.17: pages of %v, want one of 250", sizes)
	}
}

func deleteKey(t *testing.T, kv clientv3.KV, id string) {
	t.Helper()
	if _, err := kv.Delete(t.Context(), keys.Resource(keys.Origins, id)); err != nil {
		t.Fatal(err)
	}
}

func TestPagesReadOneRevision(t *testing.T) {
	for _, tt := range []struct {
		name    string
		compact bool
		want    []string
	}{
		{"C3.25: pinned", false, []string{"a", "b", "c", "d"}},
		{"C3.25: compacted, goes on at the newest", true, []string{"a", "b", "c2", "e"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kv := etcdtest.Client(t)
			for _, id := range []string{"a", "b", "d"} {
				put(t, kv, id, id, records.Version{})
			}
			c := put(t, kv, "c", "c", records.Version{})
			req := request
			req.PageSize = 2
			changed := false
			_, got := pages(t, kv, req, func() {
				if changed {
					return
				}
				changed = true
				deleteKey(t, kv, "d")
				put(t, kv, "e", "e", records.Version{})
				last := put(t, kv, "c", "c2", c)
				if tt.compact {
					if _, err := kv.Compact(t.Context(), last.ModRevision); err != nil {
						t.Fatal(err)
					}
				}
			})
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPageHasAtMost3MiB(t *testing.T) {
	kv := etcdtest.Client(t)
	text := strings.Repeat("x", 1<<20)
	for i := range 5 {
		put(t, kv, fmt.Sprint("o", i), text, records.Version{})
	}
	sizes, _ := pages(t, kv, request, func() {})
	if !slices.Equal(sizes, []int{2, 2, 1}) {
		t.Errorf("C6.20: pages of %v records of 1 MiB and a little", sizes)
	}
	huge := func(i records.Item) (*originv1.Origin, error) {
		return &originv1.Origin{DisplayName: strings.Repeat("y", 4<<20)}, nil
	}
	page, next, err := records.List(t.Context(), kv, request, huge)
	if len(page) != 1 || next == "" || err != nil {
		t.Errorf("a page makes progress: %d records, token %q, %v", len(page), next, err)
	}
}

func TestPageTokens(t *testing.T) {
	kv := etcdtest.Client(t)
	put(t, kv, "a", "a", records.Version{})
	token := func(edit func(*storev1.PageToken)) string {
		at := &storev1.PageToken{Method: "List", After: keys.Origins.Prefix() + "a", Revision: 1 << 40}
		edit(at)
		b, err := proto.Marshal(at)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	for name, bad := range map[string]string{
		"not base64":     "!",
		"padded":         "CgRMaXN0=",
		"not a message":  base64.RawURLEncoding.EncodeToString([]byte{0xff}),
		"other method":   token(func(at *storev1.PageToken) { at.Method = "ListOther" }),
		"other filter":   token(func(at *storev1.PageToken) { at.Filter = "x" }),
		"other prefix":   token(func(at *storev1.PageToken) { at.After = keys.Distributions.Prefix() + "a" }),
		"no revision":    token(func(at *storev1.PageToken) { at.Revision = 0 }),
		"below zero":     token(func(at *storev1.PageToken) { at.Revision = -1 }),
		"of the future":  token(func(*storev1.PageToken) {}),
		"of other store": token(func(at *storev1.PageToken) { at.Revision = 1 << 60 }),
	} {
		t.Run("C3.25: "+name, func(t *testing.T) {
			req := request
			req.Token = bad
			_, _, err := records.List(t.Context(), kv, req, build)
			e, ok := errors.AsType[*apierr.Error](err)
			if !ok || e.Kind != apierr.Invalid || len(e.Violations) != 1 || e.Violations[0].Field != "page_token" {
				t.Errorf("err = %v, want INVALID_ARGUMENT at page_token", err)
			}
		})
	}
}

func FuzzPageToken(f *testing.F) {
	f.Add("")
	f.Add("CgRMaXN0EgFh")
	f.Fuzz(func(t *testing.T, token string) {
		req := request
		req.Token = token
		at, err := records.ParseToken(req)
		if err != nil {
			return
		}
		if at.GetMethod() != req.Method || at.GetAfter() != "" && !strings.HasPrefix(at.GetAfter(), req.Prefix) {
			t.Errorf("token %q led outside the listing: %v", token, at)
		}
	})
}
