// SPDX-License-Identifier: Apache-2.0

package keyvaluestore

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/script"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// GetEntry returns one entry.
func (s *Server) GetEntry(ctx context.Context, req *configv1.GetEntryRequest) (*configv1.GetEntryResponse, error) {
	id, vs := rules.ParseName("name", keys.KeyValueStores, req.GetName())
	if err := collection.BadFields("", append(vs, script.CheckKey("key", req.GetKey())...)); err != nil {
		return nil, err
	}
	if _, err := s.c.Get(ctx, req.GetName()); err != nil {
		return nil, err
	}
	var e configv1.KeyValueEntry
	_, found, err := records.Get(ctx, s.kv, keys.Entry(id, req.GetKey()), &e)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, apierr.New(apierr.NotFound, reasonNoEntry, "%s has no entry with the key %q", req.GetName(), req.GetKey()).
			With("resource", req.GetName()).With("key", req.GetKey())
	}
	return &configv1.GetEntryResponse{Entry: &e}, nil
}

// ListEntries returns a page of entries, by key.
func (s *Server) ListEntries(ctx context.Context, req *configv1.ListEntriesRequest) (*configv1.ListEntriesResponse, error) {
	id, vs := rules.ParseName("name", keys.KeyValueStores, req.GetName())
	size, bad := rules.PageSize(req.GetPageSize())
	listing := records.ListRequest{
		Method: "ListEntries", Prefix: keys.EntriesOf(id), PageSize: size, Token: req.GetPageToken(), Filter: id,
	}
	vs = append(vs, bad...)
	if id != "" { // a token is of one store
		for _, v := range listing.Check() {
			vs = append(vs, rules.Violation(v))
		}
	}
	if err := collection.BadFields("", vs); err != nil {
		return nil, err
	}
	if _, err := s.c.Get(ctx, req.GetName()); err != nil {
		return nil, err
	}
	page, next, err := records.List(ctx, s.kv, listing, func(item records.Item) (*configv1.KeyValueEntry, error) {
		e := &configv1.KeyValueEntry{}
		return e, item.Into(e)
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListEntriesResponse{Entries: page, NextPageToken: next}, nil
}

// BatchUpdateEntries writes and removes entries, all or none (C2.152).
func (s *Server) BatchUpdateEntries(ctx context.Context, req *configv1.BatchUpdateEntriesRequest) (*configv1.BatchUpdateEntriesResponse, error) {
	made, err := s.c.Change(ctx, req.GetName(), req.GetEtag(), collection.Of(req, script.CheckBatch(req.GetPuts(), req.GetDeletes())...), func(ctx context.Context, tx *collection.Write, m *configv1.KeyValueStore) error {
		return s.batch(ctx, tx, m, req)
	})
	if err != nil {
		return nil, err
	}
	return &configv1.BatchUpdateEntriesResponse{KeyValueStore: made}, nil
}

// batch adds the entries to tx and counts them in m. What is read of the entries goes
// with the record for as long as tx can succeed: each batch writes the record. What was
// read after another batch makes no limit be reached.
func (s *Server) batch(ctx context.Context, tx *collection.Write, m *configv1.KeyValueStore, req *configv1.BatchUpdateEntriesRequest) error {
	var touched []string
	for _, e := range req.GetPuts() {
		touched = append(touched, keys.Entry(tx.ID, e.GetKey()))
	}
	for _, key := range req.GetDeletes() {
		touched = append(touched, keys.Entry(tx.ID, key))
	}
	err := records.Each(ctx, s.kv, touched, 0, func(item records.Item) error {
		var old configv1.KeyValueEntry
		if err := item.Into(&old); err != nil {
			return err
		}
		m.EntryCount--
		m.TotalBytes -= size(&old)
		return nil
	})
	if err != nil {
		return fmt.Errorf("entries of %s: %w", tx.Name, err)
	}
	for _, e := range req.GetPuts() {
		m.EntryCount++
		m.TotalBytes += size(e)
		// Who wrote it, and in which trace, says the record of the store.
		rec := &storev1.Record{WriteId: tx.Record.GetWriteId(), Generation: tx.Record.GetGeneration()}
		if err := records.Put(tx.Tx, keys.Entry(tx.ID, e.GetKey()), rec, proto.CloneOf(e)); err != nil {
			return err
		}
	}
	for _, key := range req.GetDeletes() {
		tx.Delete(keys.Entry(tx.ID, key))
	}
	switch {
	case m.GetTotalBytes() > s.bytes:
		return tx.Still(ctx, tooLarge(tx.Name, "bytes of keys and values", m.GetTotalBytes(), s.bytes))
	case m.GetEntryCount() > script.MaxEntries:
		return tx.Still(ctx, tooLarge(tx.Name, "entries", m.GetEntryCount(), script.MaxEntries))
	}
	return nil
}

func size(e *configv1.KeyValueEntry) int64 { return int64(len(e.GetKey()) + len(e.GetValue())) }

func tooLarge(name, what string, actual, limit int64) error {
	return apierr.New(apierr.Invalid, script.ReasonTooLarge, "%s would have %d %s; want at most %d", name, actual, what, limit).
		At("puts").With("resource", name).With("limit", strconv.FormatInt(limit, 10)).With("actual", strconv.FormatInt(actual, 10))
}
