// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

// code is a function that returns v.
func code(v string) []byte { return []byte("function handler(event) { return '" + v + "'; }") }

type functions struct {
	configv1.FunctionServiceClient
	configv1.KeyValueStoreServiceClient
}

func (r replica) functions() functions {
	return functions{configv1.NewFunctionServiceClient(r.conn), configv1.NewKeyValueStoreServiceClient(r.conn)}
}

func (f functions) create(ctx context.Context, id string, text []byte, stores ...string) (*configv1.Function, error) {
	res, err := f.CreateFunction(ctx, &configv1.CreateFunctionRequest{FunctionId: id, Function: &configv1.Function{
		Runtime: configv1.Function_RUNTIME_CLOUDFRONT_JS_2_0, Code: text, KeyValueStores: stores,
	}})
	return res.GetFunction(), err
}

func (f functions) publish(ctx context.Context, name, etag string) (*configv1.Function, error) {
	res, err := f.PublishFunction(ctx, &configv1.PublishFunctionRequest{Name: name, Etag: etag})
	return res.GetFunction(), err
}

func (f functions) store(ctx context.Context, id string) (*configv1.KeyValueStore, error) {
	res, err := f.CreateKeyValueStore(ctx, &configv1.CreateKeyValueStoreRequest{KeyValueStoreId: id, KeyValueStore: &configv1.KeyValueStore{}})
	return res.GetKeyValueStore(), err
}

func (f functions) stages(t *testing.T, stage configv1.Function_Stage) string {
	t.Helper()
	res, err := f.ListFunctions(t.Context(), &configv1.ListFunctionsRequest{Stage: stage})
	if err != nil {
		t.Fatal(body(err))
	}
	var out []string
	for _, row := range res.GetFunctions() {
		if len(row.GetCode()) > 0 {
			t.Error("C6.51: a listing holds code")
		}
		out = append(out, fmt.Sprint(strings.TrimPrefix(row.GetName(), "functions/"), " ", row.GetStage().String()[6:], " ", row.GetStatus().String()[7:]))
	}
	return strings.Join(out, ", ")
}

func TestFunctions(t *testing.T) {
	kv := etcdtest.Client(t)
	f := serve(t, kv).functions()
	all := configv1.Function_STAGE_UNSPECIFIED
	made := must[*configv1.Function](t)(f.create(t.Context(), "one", code("1")))
	if made.GetName() != "functions/one" || made.GetStage() != configv1.Function_STAGE_DEVELOPMENT || len(made.GetCode()) > 0 || len(made.GetCodeSha256()) != 64 {
		t.Errorf("C6.51: %v", made)
	}
	if got := f.stages(t, all); got != "one DEVELOPMENT UNPUBLISHED" {
		t.Errorf("C1.77: %s", got)
	}
	_, err := f.create(t.Context(), "one", code("1"))
	wantError(t, "C2.217: name taken", err, codes.AlreadyExists, "FUNCTION_ALREADY_EXISTS")
	_, err = f.create(t.Context(), "two", []byte("function handler( {"))
	wantError(t, "C2.150: a syntax error", err, codes.InvalidArgument, "INVALID_ARGUMENT")
	if !strings.Contains(body(err), "field function.code") || !strings.Contains(body(err), "1:") {
		t.Errorf("C2.150: %s", body(err))
	}
	live := &configv1.GetFunctionRequest{Name: "functions/one", Stage: configv1.Function_STAGE_LIVE}
	_, err = f.GetFunction(t.Context(), live)
	wantError(t, "C2.202: no LIVE stage yet", err, codes.NotFound, "NO_SUCH_FUNCTION_EXISTS")

	_, err = f.publish(t.Context(), "functions/one", "")
	wantError(t, "C6.15: publish without etag", err, codes.InvalidArgument, "ETAG_REQUIRED")
	_, err = f.publish(t.Context(), "functions/two", made.GetEtag())
	wantError(t, "C2.202: publish what is not there", err, codes.NotFound, "NO_SUCH_FUNCTION_EXISTS")
	dry, err := f.PublishFunction(t.Context(), &configv1.PublishFunctionRequest{Name: "functions/one", Etag: made.GetEtag(), ValidateOnly: true})
	if err != nil || dry.GetFunction().GetEtag() != "" || f.stages(t, all) != "one DEVELOPMENT UNPUBLISHED" {
		t.Errorf("C6.18: publish as a check: %v, %v", dry, err)
	}
	once := &configv1.PublishFunctionRequest{Name: "functions/one", Etag: made.GetEtag(), RequestId: uuid.NewString()}
	published := must[*configv1.PublishFunctionResponse](t)(f.PublishFunction(t.Context(), once)).GetFunction()
	if published.GetStage() != configv1.Function_STAGE_LIVE || published.GetEtag() == made.GetEtag() || published.GetStatus() != configv1.Function_STATUS_UNASSOCIATED {
		t.Errorf("C3.9, C3.63: %v", published)
	}
	if again := must[*configv1.PublishFunctionResponse](t)(f.PublishFunction(t.Context(), once)).GetFunction(); again.GetEtag() != published.GetEtag() {
		t.Errorf("C3.17: the same again published %v", again)
	}
	changed, err := f.UpdateFunction(t.Context(), &configv1.UpdateFunctionRequest{
		Function: &configv1.Function{Name: "functions/one", Etag: made.GetEtag(), Code: code("2")}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"code"}},
	})
	if err != nil {
		t.Fatal(body(err))
	}
	if got := changed.GetFunction(); got.GetLiveEtag() != published.GetEtag() || got.GetEtag() == made.GetEtag() || got.GetCodeSha256() == made.GetCodeSha256() {
		t.Errorf("C1.78: %v", got)
	}
	read := func(stage configv1.Function_Stage) string {
		t.Helper()
		res, err := f.GetFunctionCode(t.Context(), &configv1.GetFunctionCodeRequest{Name: "functions/one", Stage: stage})
		return string(must[*configv1.GetFunctionCodeResponse](t)(res, err).GetCode())
	}
	if dev, live := read(configv1.Function_STAGE_DEVELOPMENT), read(configv1.Function_STAGE_LIVE); dev != string(code("2")) || live != string(code("1")) {
		t.Errorf("C1.77: DEVELOPMENT %q, LIVE %q", dev, live)
	}
	_, err = f.publish(t.Context(), "functions/one", made.GetEtag())
	wantError(t, "C3.8: publish with an old etag", err, codes.Aborted, "PRECONDITION_FAILED")
	_, err = f.publish(t.Context(), "functions/one", published.GetEtag())
	wantError(t, "C3.8: publish with the etag of LIVE", err, codes.Aborted, "PRECONDITION_FAILED")
	if got := f.stages(t, all); got != "one DEVELOPMENT UNASSOCIATED, one LIVE UNASSOCIATED" {
		t.Errorf("C3.26: %s", got)
	}
	// A behavior that refers to it, as it will.
	held := keys.Ref(keys.Functions, "one", keys.Distributions, "E1")
	if _, err := kv.Put(t.Context(), held, ""); err != nil {
		t.Fatal(err)
	}
	if got := f.stages(t, configv1.Function_STAGE_LIVE); got != "one LIVE ASSOCIATED" {
		t.Errorf("C1.77: %s", got)
	}
	_, err = f.DeleteFunction(t.Context(), &configv1.DeleteFunctionRequest{Name: "functions/one"})
	wantError(t, "C1.61: delete in use", err, codes.FailedPrecondition, "FUNCTION_IN_USE")
	if _, err := kv.Delete(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	if _, err := f.DeleteFunction(t.Context(), &configv1.DeleteFunctionRequest{Name: "functions/one", Etag: changed.GetFunction().GetEtag()}); err != nil {
		t.Fatal(body(err))
	}
	_, err = f.GetFunction(t.Context(), live)
	wantError(t, "C1.61: both stages go", err, codes.NotFound, "NO_SUCH_FUNCTION_EXISTS")
	sound(t, kv)
}

// TestStoresOfStages: each stage holds the store that its own code reads.
func TestStoresOfStages(t *testing.T) {
	kv := etcdtest.Client(t)
	f := serve(t, kv).functions()
	_, err := f.create(t.Context(), "f", code("1"), "keyValueStores/a")
	wantError(t, "C1.48: no such store", err, codes.FailedPrecondition, "ENTITY_NOT_FOUND")
	must[*configv1.KeyValueStore](t)(f.store(t.Context(), "a"))
	must[*configv1.KeyValueStore](t)(f.store(t.Context(), "b"))
	drop := func(id string) error {
		_, err := f.DeleteKeyValueStore(t.Context(), &configv1.DeleteKeyValueStoreRequest{Name: "keyValueStores/" + id})
		return err
	}
	made := must[*configv1.Function](t)(f.create(t.Context(), "f", code("1"), "keyValueStores/a"))
	must[*configv1.Function](t)(f.publish(t.Context(), "functions/f", made.GetEtag()))
	sound(t, kv)
	res, err := f.UpdateFunction(t.Context(), &configv1.UpdateFunctionRequest{Function: &configv1.Function{Name: "functions/f", KeyValueStores: []string{"keyValueStores/b"}}})
	changed := must[*configv1.UpdateFunctionResponse](t)(res, err).GetFunction()
	sound(t, kv)
	err = drop("a")
	wantError(t, "C1.62: LIVE still reads it", err, codes.FailedPrecondition, "CANNOT_DELETE_ENTITY_WHILE_IN_USE")
	if !strings.Contains(body(err), "functions/f/stages/live") {
		t.Errorf("C6.11: %s", body(err))
	}
	wantError(t, "C1.62: DEVELOPMENT reads it", drop("b"), codes.FailedPrecondition, "CANNOT_DELETE_ENTITY_WHILE_IN_USE")
	must[*configv1.Function](t)(f.publish(t.Context(), "functions/f", changed.GetEtag()))
	sound(t, kv)
	if err := drop("a"); err != nil {
		t.Errorf("C1.62: a store that nobody reads: %s", body(err))
	}
	if _, err := f.DeleteFunction(t.Context(), &configv1.DeleteFunctionRequest{Name: "functions/f"}); err != nil {
		t.Fatal(body(err))
	}
	if err := drop("b"); err != nil {
		t.Errorf("C8.51: the stores of a deleted function: %s", body(err))
	}
	sound(t, kv)
}

func TestFunctionQuotas(t *testing.T) {
	c := config.Config{Etcd: etcdtest.Client(t), Limits: config.Limits{Functions: 1, FunctionBytes: 100, KeyValueStores: 1, KeyValueStoreBytes: 10}}
	f := start(t, c).functions()
	_, err := f.create(t.Context(), "f", code(strings.Repeat("x", 100)))
	wantError(t, "C4.49: code", err, codes.InvalidArgument, "FUNCTION_SIZE_LIMIT_EXCEEDED")
	must[*configv1.Function](t)(f.create(t.Context(), "f", code("")))
	_, err = f.create(t.Context(), "g", code(""))
	wantError(t, "C4.48: functions", err, codes.ResourceExhausted, "TOO_MANY_FUNCTIONS")
	must[*configv1.KeyValueStore](t)(f.store(t.Context(), "a"))
	_, err = f.store(t.Context(), "b")
	wantError(t, "C2.312: stores", err, codes.ResourceExhausted, "ENTITY_LIMIT_EXCEEDED")
	batch := func(value string) error {
		_, err := f.BatchUpdateEntries(t.Context(), &configv1.BatchUpdateEntriesRequest{Name: "keyValueStores/a", Puts: []*configv1.KeyValueEntry{{Key: "k", Value: value}}})
		return err
	}
	if err := batch("123456789"); err != nil {
		t.Fatal(body(err))
	}
	wantError(t, "C4.53: bytes of a store", batch("1234567890"), codes.InvalidArgument, "ENTITY_SIZE_LIMIT_EXCEEDED")
}

func TestKeyValueStores(t *testing.T) {
	kv := etcdtest.Client(t)
	f := serve(t, kv).functions()
	const name = "keyValueStores/s"
	made := must[*configv1.KeyValueStore](t)(f.store(t.Context(), "s"))
	if made.GetStatus() != configv1.KeyValueStore_STATUS_READY || made.GetEntryCount() != 0 {
		t.Errorf("C1.15: %v", made)
	}
	_, err := f.store(t.Context(), "s")
	wantError(t, "C2.220: name taken", err, codes.AlreadyExists, "ENTITY_ALREADY_EXISTS")
	batch := func(req *configv1.BatchUpdateEntriesRequest) (*configv1.KeyValueStore, error) {
		req.Name = name
		res, err := f.BatchUpdateEntries(t.Context(), req)
		return res.GetKeyValueStore(), err
	}
	put := func(pairs ...string) (out []*configv1.KeyValueEntry) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, &configv1.KeyValueEntry{Key: pairs[i], Value: pairs[i+1]})
		}
		return out
	}
	first := must[*configv1.KeyValueStore](t)(batch(&configv1.BatchUpdateEntriesRequest{Etag: made.GetEtag(), Puts: put("a/b", "1", "c", "22", "ä", "")}))
	if first.GetEntryCount() != 3 || first.GetTotalBytes() != 3+1+1+2+2 || first.GetEtag() == made.GetEtag() {
		t.Errorf("C2.152: %v", first)
	}
	_, err = batch(&configv1.BatchUpdateEntriesRequest{Etag: made.GetEtag(), Puts: put("x", "")})
	wantError(t, "C3.3: stale etag", err, codes.Aborted, "PRECONDITION_FAILED")
	dry := must[*configv1.KeyValueStore](t)(batch(&configv1.BatchUpdateEntriesRequest{Puts: put("x", "1"), ValidateOnly: true}))
	if dry.GetEntryCount() != 4 || dry.GetEtag() != "" {
		t.Errorf("C6.18: %v", dry)
	}
	id := uuid.NewString()
	for range 2 {
		got := must[*configv1.KeyValueStore](t)(batch(&configv1.BatchUpdateEntriesRequest{Puts: put("c", "3", "d", "4"), Deletes: []string{"a/b", "none"}, RequestId: id}))
		if got.GetEntryCount() != 3 || got.GetTotalBytes() != 2+2+2 {
			t.Errorf("C2.152, C3.17: %v", got)
		}
	}
	var listed []string
	token := ""
	for {
		res, err := f.ListEntries(t.Context(), &configv1.ListEntriesRequest{Name: name, PageSize: 2, PageToken: token})
		page := must[*configv1.ListEntriesResponse](t)(res, err)
		for _, e := range page.GetEntries() {
			listed = append(listed, e.GetKey()+"="+e.GetValue())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	slices.Sort(listed)
	if !slices.Equal(listed, []string{"c=3", "d=4", "ä="}) {
		t.Errorf("C6.26: %q", listed)
	}
	one := must[*configv1.GetEntryResponse](t)(f.GetEntry(t.Context(), &configv1.GetEntryRequest{Name: name, Key: "d"}))
	if one.GetEntry().GetValue() != "4" {
		t.Errorf("C6.26: %v", one)
	}
	_, err = f.GetEntry(t.Context(), &configv1.GetEntryRequest{Name: name, Key: "a/b"})
	wantError(t, "C6.26: no such key", err, codes.NotFound, "NO_SUCH_RESOURCE")
	_, err = f.GetEntry(t.Context(), &configv1.GetEntryRequest{Name: name + "x", Key: "a"})
	wantError(t, "C2.152: no such store", err, codes.NotFound, "ENTITY_NOT_FOUND")
	res, err := f.UpdateKeyValueStore(t.Context(), &configv1.UpdateKeyValueStoreRequest{KeyValueStore: &configv1.KeyValueStore{Name: name, Comment: "x", EntryCount: 99}})
	if got := must[*configv1.UpdateKeyValueStoreResponse](t)(res, err).GetKeyValueStore(); got.GetEntryCount() != 3 || got.GetComment() != "x" {
		t.Errorf("C6.16: %v", got)
	}
	if _, err := f.DeleteKeyValueStore(t.Context(), &configv1.DeleteKeyValueStoreRequest{Name: name}); err != nil {
		t.Fatal(body(err))
	}
	must[*configv1.KeyValueStore](t)(f.store(t.Context(), "s"))
	_, err = f.GetEntry(t.Context(), &configv1.GetEntryRequest{Name: name, Key: "d"})
	wantError(t, "C8.51: entries go with their store", err, codes.NotFound, "NO_SUCH_RESOURCE")
	sound(t, kv)
}

// TestRaceBatches: batches of one store through two servers; the sizes add up.
func TestRaceBatches(t *testing.T) {
	p := newPair(t)
	a, b := p.a.functions(), p.b.functions()
	s := must[*configv1.KeyValueStore](t)(a.store(t.Context(), "s"))
	etag := s.GetEtag()
	for i := range rounds {
		batch := func(f functions, key string) func() error {
			return func() error {
				_, err := f.BatchUpdateEntries(t.Context(), &configv1.BatchUpdateEntriesRequest{Name: s.GetName(), Etag: etag, Puts: []*configv1.KeyValueEntry{{Key: key}}})
				return err
			}
		}
		one, other := p.race(batch(a, fmt.Sprint("a", i%7)), batch(b, fmt.Sprint("b", i%5)))
		exactlyOne(t, i, one, other, codes.Aborted, "PRECONDITION_FAILED")
		res, err := a.GetKeyValueStore(t.Context(), &configv1.GetKeyValueStoreRequest{Name: s.GetName()})
		now := must[*configv1.GetKeyValueStoreResponse](t)(res, err).GetKeyValueStore()
		entries, err := b.ListEntries(t.Context(), &configv1.ListEntriesRequest{Name: s.GetName()})
		if n := len(must[*configv1.ListEntriesResponse](t)(entries, err).GetEntries()); int64(n) != now.GetEntryCount() || now.GetTotalBytes() != 2*int64(n) {
			t.Fatalf("round %d: %d entries, and the store says %v", i, n, now)
		}
		etag = now.GetEtag()
	}
}

// TestRacePublish: a publication and a deletion through two servers.
func TestRacePublish(t *testing.T) {
	p := newPair(t)
	a, b := p.a.functions(), p.b.functions()
	must[*configv1.KeyValueStore](t)(a.store(t.Context(), "s"))
	for i := range rounds {
		f := must[*configv1.Function](t)(a.create(t.Context(), "f", code("1"), "keyValueStores/s"))
		one, other := p.race(func() error {
			_, err := a.DeleteFunction(t.Context(), &configv1.DeleteFunctionRequest{Name: f.GetName()})
			return err
		}, func() error {
			_, err := b.publish(t.Context(), f.GetName(), f.GetEtag())
			return err
		})
		if one != nil {
			t.Fatalf("round %d: delete: %s", i, body(one))
		}
		if other != nil { // the deletion came first
			wantError(t, "C8.57: publish", other, codes.NotFound, "NO_SUCH_FUNCTION_EXISTS")
		}
		sound(t, p.kv)
	}
	if _, err := b.DeleteKeyValueStore(t.Context(), &configv1.DeleteKeyValueStoreRequest{Name: "keyValueStores/s"}); err != nil {
		t.Errorf("C8.51: nothing reads the store: %s", body(err))
	}
}
