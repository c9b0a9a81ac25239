// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/caller"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// maxTraceState is how much of a caller's tracestate is kept: what W3C Trace Context
// §3.3.1.5 asks to propagate. A longer one is dropped whole, the trace goes on.
const maxTraceState = 512

// Next makes the envelope of the write that follows prev; the zero Version stands
// before the first. It has a fresh write id, and the trace context of the span in
// ctx, which edges join when they apply the record (design 3.10).
func Next(ctx context.Context, prev Version) *storev1.Record {
	trace := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, trace)
	rec := &storev1.Record{
		WriteId:     keys.NewWriteID(),
		Generation:  prev.Generation + 1,
		Principal:   caller.From(ctx).Name,
		Traceparent: trace.Get("traceparent"),
	}
	if s := trace.Get("tracestate"); len(s) <= maxTraceState {
		rec.Tracestate = s
	}
	return rec
}

// Put adds to tx the write of the resource m in the envelope rec, with options of the
// write, for example a lease. m holds no computed fields, and its secrets have been
// through Seal.
func Put(tx *etcd.Tx, key string, rec *storev1.Record, m proto.Message, opts ...clientv3.OpOption) error {
	if err := sealed(rec, m); err != nil {
		return unwritable(err)
	}
	resource, err := proto.Marshal(m)
	if err != nil {
		return unwritable(err)
	}
	rec.Resource = resource
	value, err := keys.Encode(rec)
	if err != nil {
		return unwritable(err)
	}
	tx.Put(key, value, opts...)
	return nil
}

func unwritable(err error) error {
	e := apierr.New(apierr.Internal, apierr.ReasonInternal, "the resource cannot be stored")
	e.Cause = err
	return e
}

// Commit sends tx, in which Put wrote rec at key, and returns the version that it
// made. The error is an *etcd.Conflict when a condition did not hold. When the answer
// is lost, the record is read again: if it carries rec's write id, the write took
// place (C8.65). If not, it may still take place, and the error says that the store
// is unavailable.
func Commit(ctx context.Context, kv clientv3.KV, tx *etcd.Tx, key string, rec *storev1.Record) (Version, error) {
	made := Version{WriteID: rec.GetWriteId(), Generation: rec.GetGeneration()}
	revision, lost, err := commit(ctx, tx)
	if !lost {
		made.ModRevision = revision
		return made, err
	}
	res, readErr := read(ctx, kv, key)
	if readErr != nil || len(res.Kvs) == 0 {
		return Version{}, err
	}
	found, readErr := item(res.Kvs[0])
	if readErr != nil || found.WriteID != made.WriteID {
		return Version{}, err
	}
	return found.Version, nil
}

// Check looks at the conditions of tx and writes nothing. The error is an
// *etcd.Conflict when one does not hold.
func Check(ctx context.Context, tx *etcd.Tx) error {
	inner, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := tx.Check(inner)
	if conflict, ok := errors.AsType[*etcd.Conflict](err); ok {
		return conflict
	}
	return fault(ctx, err)
}

// CommitDelete is Commit for a transaction that deletes key. When the answer is lost
// and the key is gone, it took place.
func CommitDelete(ctx context.Context, kv clientv3.KV, tx *etcd.Tx, key string) error {
	_, lost, err := commit(ctx, tx)
	if !lost {
		return err
	}
	if res, readErr := read(ctx, kv, key, clientv3.WithKeysOnly()); readErr == nil && len(res.Kvs) == 0 {
		return nil
	}
	return err
}

// commit sends tx. lost says that the write may have taken place although err is
// not nil, and that the caller still waits for the truth.
func commit(ctx context.Context, tx *etcd.Tx) (revision int64, lost bool, err error) {
	inner, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	revision, err = tx.Commit(inner)
	if err == nil {
		return revision, false, nil
	}
	if conflict, ok := errors.AsType[*etcd.Conflict](err); ok {
		return 0, false, conflict
	}
	return 0, ctx.Err() == nil, fault(ctx, err)
}

// attempts is how often a write is tried in all when what it read has moved on and
// the client did not name the version: C3.12 allows three repetitions.
const attempts = 4

// Pauses between attempts (C8.64).
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = 80 * time.Millisecond
)

// Retry runs attempt until it no longer says again, at most four times, with pauses
// of random length. It returns the error of the last one.
func Retry(ctx context.Context, attempt func() (again bool, err error)) error {
	for n := 1; ; n++ {
		again, err := attempt()
		if !again || n == attempts {
			return err
		}
		pause := time.NewTimer(shortestPause + rand.N(longestPause-shortestPause))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}
