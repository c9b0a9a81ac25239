// SPDX-License-Identifier: Apache-2.0

// Package records reads and writes resources in etcd: one key, and in it one
// envelope (seafront.store.v1.Record) around the resource's own message. It makes
// envelopes, reads records one by one and page by page, and finds out what became of
// a write whose answer was lost. It is the one package beside pkg/cdn that knows the
// envelope; which resources there are, and which conditions a write has, it does not
// know.
//
// Errors are ready for callers: *apierr.Error, or that of the caller's context.
package records

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// callTimeout bounds one call to etcd, so that a caller learns that the store does
// not answer before its own deadline of 10 s (C6.20, C8.103).
const callTimeout = 5 * time.Second

// Version is one state of a record.
type Version struct {
	// ModRevision is the etcd revision of the write, which transactions compare
	// (C8.46). 0 stands for a record that does not exist.
	ModRevision int64
	// WriteID is the random number of the write; the etag is made of it (C3.11).
	WriteID uint64
	// Generation counts the accepted writes, from 1.
	Generation int64
}

// ETag is the version as clients see it.
func (v Version) ETag() string { return keys.ETag(v.WriteID) }

// Get reads the record at key into m. found is false when there is none.
func Get(ctx context.Context, kv clientv3.KV, key string, m proto.Message) (v Version, found bool, err error) {
	return GetAt(ctx, kv, key, 0, m)
}

// GetAt is Get at a revision of the store; 0 is the newest.
func GetAt(ctx context.Context, kv clientv3.KV, key string, revision int64, m proto.Message) (v Version, found bool, err error) {
	res, err := read(ctx, kv, key, clientv3.WithRev(revision))
	if err != nil {
		return Version{}, false, err
	}
	if len(res.Kvs) == 0 {
		return Version{}, false, nil
	}
	v, err = Decode(res.Kvs[0], m)
	return v, err == nil, err
}

// Decode reads a record that is at hand into m.
func Decode(pair *mvccpb.KeyValue, m proto.Message) (Version, error) {
	i, err := item(pair)
	if err != nil {
		return Version{}, err
	}
	return i.Version, i.Into(m)
}

// item takes the envelope off a record.
func item(pair *mvccpb.KeyValue) (Item, error) {
	var rec storev1.Record
	if err := keys.Decode(pair.Value, &rec); err != nil {
		return Item{}, damaged(pair.Key, err)
	}
	v := Version{pair.ModRevision, rec.GetWriteId(), rec.GetGeneration()}
	return Item{string(pair.Key), v, rec.GetResource(), rec.GetPrincipal(), rec.GetTraceparent(), rec.GetSecrets()}, nil
}

// damaged is the error for bytes that this release cannot read. The key goes to the
// log only.
func damaged(key []byte, err error) error {
	e := apierr.New(apierr.Internal, apierr.ReasonInternal, "a stored record cannot be read")
	e.Cause = fmt.Errorf("record %s: %w", key, err)
	return e
}

// read is one range read with a bound of its own.
func read(ctx context.Context, kv clientv3.KV, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	inner, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := kv.Get(inner, key, opts...)
	if err != nil {
		return nil, fault(ctx, fmt.Errorf("read %s: %w", key, err))
	}
	return res, nil
}

// fault maps the error of a call that had callTimeout below ctx: if the caller still
// waits, a deadline that passed was ours, and the store did not answer.
func fault(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		e := apierr.New(apierr.Unavailable, apierr.ReasonStoreUnavailable, "the store does not answer; try again")
		e.Cause = err
		return e
	}
	return etcd.Fault(err)
}
