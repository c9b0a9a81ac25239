// SPDX-License-Identifier: Apache-2.0

package collection_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/caller"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

type policies = collection.Collection[*configv1.CachePolicy]

const managedID = "00000000-0000-4000-8000-000000000001"

// kind is a collection of cache policies that refer to an origin, which their comment
// names.
func kind(change ...func(*collection.Kind[*configv1.CachePolicy])) collection.Kind[*configv1.CachePolicy] {
	k := collection.Kind[*configv1.CachePolicy]{
		Collection: keys.CachePolicies, Field: "cache_policy", Noun: "cache policy",
		Missing: "NO_SUCH", Taken: "TAKEN", Held: "HELD", TooMany: "TOO_MANY",
		NewID: uuid.NewString, Name: (*configv1.CachePolicy).GetDisplayName, NameField: "display_name",
		Default: func(p *configv1.CachePolicy) {
			if p.GetSemantics() == 0 {
				p.Semantics = configv1.CacheSemantics_CACHE_SEMANTICS_CLOUDFRONT
			}
		},
		Check: func(p *configv1.CachePolicy) (bad []rules.Violation) {
			if p.GetDisplayName() == "" {
				bad = append(bad, rules.Violation{Field: "display_name", Reason: rules.ReasonInvalid, Description: "is empty"})
			}
			if len(p.GetComment()) > 20 {
				bad = append(bad, rules.Violation{Field: "comment", Reason: rules.ReasonInvalid, Description: "is long"})
			}
			return bad
		},
		Refs: func(p *configv1.CachePolicy) []collection.Ref {
			if p.GetComment() == "" {
				return nil
			}
			return []collection.Ref{{Collection: keys.Origins, ID: p.GetComment(), Field: "comment", Reason: "NO_ORIGIN"}}
		},
		Updatable: []protoreflect.Name{"display_name", "comment", "semantics", "min_ttl"},
		Managed:   []*configv1.CachePolicy{{Name: "cachePolicies/" + managedID, Uid: managedID, DisplayName: "managed"}},
	}
	for _, f := range change {
		f(&k)
	}
	return k
}

func open(kv *clientv3.Client, change ...func(*collection.Kind[*configv1.CachePolicy])) *policies {
	return collection.New(kv, records.NewRequests(kv), kind(change...))
}

func create(t *testing.T, c *policies, p *configv1.CachePolicy, o collection.Options) (*configv1.CachePolicy, error) {
	t.Helper()
	o.Request, o.Method = p, "Create"
	made, _, err := c.Create(t.Context(), p, "", o)
	return made, err
}

func reason(err error) string {
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		return e.Reason
	}
	return fmt.Sprint(err)
}

func named(name string) *configv1.CachePolicy { return &configv1.CachePolicy{DisplayName: name} }

func put(t *testing.T, kv *clientv3.Client, key string) {
	t.Helper()
	if _, err := kv.Put(t.Context(), key, "\x01"); err != nil {
		t.Fatal(err)
	}
}

// everything is all that is stored, but for the idempotency keys.
func everything(t *testing.T, kv *clientv3.Client) string {
	t.Helper()
	res, err := kv.Get(t.Context(), keys.Root, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, pair := range res.Kvs {
		out = append(out, strings.TrimPrefix(string(pair.Key), keys.Root))
	}
	return strings.Join(out, " ")
}

func TestLife(t *testing.T) {
	kv := etcdtest.Client(t)
	c := open(kv)
	put(t, kv, keys.Resource(keys.Origins, "web"))
	made, err := create(t, c, &configv1.CachePolicy{
		Name: "nonsense", Uid: "nonsense", DisplayName: "one", Comment: "web", Type: configv1.CachePolicy_TYPE_MANAGED,
	}, collection.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if made.GetType() != 0 || made.GetUid() == "nonsense" || made.GetCreateTime() == nil || made.GetSemantics() == 0 || made.GetEtag() == "" {
		t.Errorf("C6.16: created %v", made)
	}
	got, err := c.Get(t.Context(), made.GetName())
	if err != nil || !proto.Equal(got, made) {
		t.Errorf("get = %v, %v, want %v", got, err, made)
	}
	id := strings.TrimPrefix(made.GetName(), "cachePolicies/")
	want := "c/names/cachePolicies/one c/refs/origins/web/cachePolicies/" + id + " r/cachePolicies/" + id + " r/origins/web"
	if got := everything(t, kv); got != want {
		t.Errorf("stored %s\nwant %s", got, want)
	}
	change := proto.CloneOf(made)
	change.DisplayName, change.Comment = "two", ""
	changed, _, err := c.Update(t.Context(), change, &fieldmaskpb.FieldMask{Paths: []string{"*"}}, collection.Options{})
	if err != nil || changed.GetDisplayName() != "two" || changed.GetEtag() == made.GetEtag() {
		t.Fatalf("C8.60: renamed %v, %v", changed, err)
	}
	if got, want := everything(t, kv), "c/names/cachePolicies/two r/cachePolicies/"+id+" r/origins/web"; got != want {
		t.Errorf("after the update stored %s\nwant %s", got, want)
	}
	if _, _, err := c.Update(t.Context(), change, nil, collection.Options{}); reason(err) != collection.ReasonStale {
		t.Errorf("C3.6: stale etag: %v", err)
	}
	if err := c.Delete(t.Context(), made.GetName(), "!", false, collection.Options{}); reason(err) != collection.ReasonInvalidIfMatch {
		t.Errorf("C3.6: no etag: %v", err)
	}
	put(t, kv, keys.Ref(keys.CachePolicies, id, keys.Distributions, "E1"))
	err = c.Delete(t.Context(), made.GetName(), "", false, collection.Options{})
	if e, _ := errors.AsType[*apierr.Error](err); e == nil || e.Reason != "HELD" || e.Metadata["referrers"] != "distributions/E1" {
		t.Errorf("C8.51: held: %v", err)
	}
	if _, err := kv.Delete(t.Context(), keys.Ref(keys.CachePolicies, id, keys.Distributions, "E1")); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), made.GetName(), changed.GetEtag(), false, collection.Options{}); err != nil {
		t.Fatal(err)
	}
	if got := everything(t, kv); got != "r/origins/web" {
		t.Errorf("after the deletion stored %s", got)
	}
	if err := c.Delete(t.Context(), made.GetName(), "", false, collection.Options{}); reason(err) != "NO_SUCH" {
		t.Errorf("deleted twice: %v", err)
	}
	if err := c.Delete(t.Context(), made.GetName(), "", true, collection.Options{}); err != nil {
		t.Errorf("allow_missing: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	kv := etcdtest.Client(t)
	c := open(kv, func(k *collection.Kind[*configv1.CachePolicy]) { k.Most = 1 })
	for _, tt := range []struct {
		name, want string
		call       func() error
	}{
		{"C2.2: all fields at once", "INVALID_ARGUMENT", func() error {
			_, err := create(t, c, &configv1.CachePolicy{Comment: strings.Repeat("x", 21)}, collection.Options{RequestID: "no uuid"})
			if e, ok := errors.AsType[*apierr.Error](err); ok && len(e.Violations) != 3 {
				t.Errorf("violations %v", e.Violations)
			}
			return err
		}},
		{"C2.173: a reference to nothing", "NO_ORIGIN", func() error {
			_, err := create(t, c, &configv1.CachePolicy{DisplayName: "a", Comment: "gone"}, collection.Options{})
			return err
		}},
		{"C2.8: a name that is taken", "TAKEN", func() error {
			if _, err := create(t, open(kv), named("a"), collection.Options{}); err != nil {
				t.Fatal(err)
			}
			_, err := create(t, open(kv), named("a"), collection.Options{})
			return err
		}},
		{"C8.63: quota", "TOO_MANY", func() error {
			_, err := create(t, c, named("b"), collection.Options{})
			return err
		}},
		{"C1.71: managed is not changed", "ILLEGAL_UPDATE", func() error {
			_, _, err := c.Update(t.Context(), &configv1.CachePolicy{Name: "cachePolicies/" + managedID}, nil, collection.Options{})
			return err
		}},
		{"C1.71: managed is not deleted", "ILLEGAL_DELETE", func() error {
			return c.Delete(t.Context(), "cachePolicies/"+managedID, "", false, collection.Options{})
		}},
		{"C2.1: what does not exist", "NO_SUCH", func() error {
			_, err := c.Get(t.Context(), "cachePolicies/"+uuid.NewString())
			return err
		}},
		{"no resource", "INVALID_ARGUMENT", func() error {
			_, _, err := c.Create(t.Context(), nil, "", collection.Options{})
			return err
		}},
	} {
		if got := reason(tt.call()); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestValidateOnly(t *testing.T) {
	kv := etcdtest.Client(t)
	c := open(kv)
	dry := collection.Options{ValidateOnly: true, RequestID: uuid.NewString()}
	made, err := create(t, c, named("a"), dry)
	if err != nil || made.GetName() != "" || made.GetEtag() != "" || made.GetDisplayName() != "a" || everything(t, kv) != "" {
		t.Fatalf("C6.18: create = %v, %v; stored %s", made, err, everything(t, kv))
	}
	made, err = create(t, c, named("a"), collection.Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := everything(t, kv)
	if _, err := create(t, c, named("a"), dry); reason(err) != "TAKEN" {
		t.Errorf("C6.18: uniqueness is checked: %v", err)
	}
	change := proto.CloneOf(made)
	change.DisplayName = "b"
	got, _, err := c.Update(t.Context(), change, nil, dry)
	if err != nil || got.GetDisplayName() != "b" || got.GetEtag() != "" || got.GetName() != made.GetName() {
		t.Errorf("C6.18: update = %v, %v", got, err)
	}
	if err := c.Delete(t.Context(), made.GetName(), "", false, dry); err != nil {
		t.Errorf("C6.18: delete: %v", err)
	}
	if after := everything(t, kv); after != before {
		t.Errorf("C6.18: stored %s, was %s", after, before)
	}
}

func TestRequestID(t *testing.T) {
	kv := etcdtest.Client(t)
	c := open(kv)
	once := collection.Options{RequestID: uuid.NewString()}
	first, err := create(t, c, named("a"), once)
	if err != nil {
		t.Fatal(err)
	}
	again, err := create(t, c, named("a"), once)
	if err != nil || !proto.Equal(first, again) {
		t.Errorf("C3.17: again = %v, %v", again, err)
	}
	if _, err := create(t, c, named("b"), once); reason(err) != records.ReasonRequestIDReused {
		t.Errorf("C3.17: another request: %v", err)
	}
	ctx := caller.With(t.Context(), caller.Caller{Name: "somebody else"})
	once.Request, once.Method = named("b"), "Create"
	if _, _, err := c.Create(ctx, named("b"), "", once); err != nil {
		t.Errorf("C8.35: another caller: %v", err)
	}
	gone := collection.Options{RequestID: uuid.NewString(), Method: "Delete", Request: named("x")}
	for range 2 {
		if err := c.Delete(t.Context(), first.GetName(), "", false, gone); err != nil {
			t.Errorf("C3.17: delete: %v", err)
		}
	}
}

// TestRequestIDAtOnce: many servers get one request at the same moment, and one
// resource is made.
func TestRequestIDAtOnce(t *testing.T) {
	kv := etcdtest.Client(t)
	for range 20 {
		id, p := uuid.NewString(), named(uuid.NewString())
		names := make([]string, 4)
		var all sync.WaitGroup
		for i := range names {
			c := open(kv)
			all.Go(func() {
				made, _, err := c.Create(context.WithoutCancel(t.Context()), p, "", collection.Options{RequestID: id, Request: p, Method: "Create"})
				if err != nil {
					t.Error(err)
				}
				names[i] = made.GetName()
			})
		}
		all.Wait()
		for _, n := range names {
			if n != names[0] {
				t.Fatalf("C3.17: made %v", names)
			}
		}
	}
}

func TestCallerReference(t *testing.T) {
	kv := etcdtest.Client(t)
	c := open(kv, func(k *collection.Kind[*configv1.CachePolicy]) {
		k.Name, k.Refs = nil, nil
		k.Reference = (*configv1.CachePolicy).GetComment
	})
	p := &configv1.CachePolicy{DisplayName: "a", Comment: "ref"}
	first, err := create(t, c, p, collection.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := create(t, c, p, collection.Options{}); err != nil || again.GetName() != first.GetName() {
		t.Errorf("C3.14: the same again = %v, %v", again, err)
	}
	if _, err := create(t, c, &configv1.CachePolicy{DisplayName: "b", Comment: "ref"}, collection.Options{}); reason(err) != "TAKEN" {
		t.Errorf("C3.14: other content: %v", err)
	}
	if err := c.Delete(t.Context(), first.GetName(), "", false, collection.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := create(t, c, p, collection.Options{}); reason(err) != "TAKEN" {
		t.Errorf("C8.58: after the deletion: %v", err)
	}
}

func TestList(t *testing.T) {
	kv := etcdtest.Client(t)
	c := open(kv)
	for i := range 5 {
		if _, err := create(t, c, named(fmt.Sprint(i)), collection.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		only collection.Origin
		size int32
		want int
	}{
		{collection.All, 0, 6}, {collection.All, 1, 6}, {collection.All, 2, 6},
		{collection.Managed, 1, 1}, {collection.Custom, 2, 5}, {collection.Custom, 5, 5},
	} {
		req := collection.ListRequest[*configv1.CachePolicy]{Method: "List", PageSize: tt.size, Only: tt.only}
		seen := map[string]bool{}
		for pages := 0; ; pages++ {
			page, next, err := c.List(t.Context(), req)
			if err != nil || pages > 10 {
				t.Fatal(err, pages)
			}
			for _, p := range page {
				seen[p.GetDisplayName()] = true
			}
			if req.Token = next; next == "" {
				break
			}
			if tt.size > 0 && len(page) > int(tt.size) {
				t.Errorf("page of %d", len(page))
			}
			other := req
			other.Filter = "other"
			if _, _, err := c.List(t.Context(), other); reason(err) != rules.ReasonInvalid {
				t.Errorf("C3.25: token with another filter: %v", err)
			}
		}
		if len(seen) != tt.want {
			t.Errorf("C3.26: only %d, pages of %d: listed %d, want %d", tt.only, tt.size, len(seen), tt.want)
		}
	}
	match := collection.ListRequest[*configv1.CachePolicy]{Method: "List", Match: func(p *configv1.CachePolicy) bool { return p.GetDisplayName() == "3" }}
	if page, _, err := c.List(t.Context(), match); err != nil || len(page) != 1 {
		t.Errorf("filtered: %v, %v", page, err)
	}
}

// TestRaces: of two who want one thing exactly one gets it (C2.366).
func TestRaces(t *testing.T) {
	kv := etcdtest.Client(t)
	put(t, kv, keys.Resource(keys.Origins, "web"))
	a, b := open(kv), open(kv)
	both := func(f, g func() error) (failed int) {
		var one, two error
		var all sync.WaitGroup
		all.Go(func() { one = f() })
		all.Go(func() { two = g() })
		all.Wait()
		for _, err := range []error{one, two} {
			if err != nil {
				failed++
				if r := reason(err); r != "TAKEN" && r != collection.ReasonStale {
					t.Error(err)
				}
			}
		}
		return failed
	}
	for i := range 100 {
		p := named(fmt.Sprint(i))
		call := func(c *policies) func() error {
			return func() error {
				_, _, err := c.Create(context.WithoutCancel(t.Context()), p, "", collection.Options{})
				return err
			}
		}
		if n := both(call(a), call(b)); n != 1 {
			t.Fatalf("C2.366: create and create with one name: %d failed", n)
		}
		stored, err := create(t, a, named("u"+fmt.Sprint(i)), collection.Options{})
		if err != nil {
			t.Fatal(err)
		}
		update := func(c *policies, comment string) func() error {
			return func() error {
				change := proto.CloneOf(stored)
				change.Comment = comment
				_, _, err := c.Update(context.WithoutCancel(t.Context()), change, nil, collection.Options{})
				return err
			}
		}
		if n := both(update(a, "web"), update(b, "web")); n != 1 {
			t.Fatalf("C2.366: update and update with one etag: %d failed", n)
		}
	}
}
