// SPDX-License-Identifier: Apache-2.0

package records

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/caller"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/secretfield"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// How long a request is remembered, and for how long the memories of one server share
// a lease: one lease for each would not scale (C8.35, C9.51).
const (
	memory = 24 * time.Hour
	bucket = 10 * time.Minute
)

// Reasons of bad idempotency keys.
const (
	ReasonRequestIDReused = "REQUEST_ID_REUSED" // C3.17
	requestIDField        = "request_id"
)

// ConditionRequest is the name of the condition that Remember adds: a request with
// the same key has been made since. It is then to be recalled.
const ConditionRequest = "request id"

// Requests remembers the requests of clients that gave an idempotency key (C3.17), so
// that one that is repeated has its effect once. It is safe for concurrent use.
type Requests struct {
	kv    clientv3.KV
	lease *SharedLease
}

// NewRequests makes a memory in etcd. Services of one process share it.
func NewRequests(client *clientv3.Client) *Requests {
	return &Requests{kv: client, lease: NewSharedLease(client, memory, bucket)}
}

// Request is one request with an idempotency key. Nil is one without.
type Request struct {
	key   string
	hash  []byte
	lease clientv3.LeaseID
}

// CheckRequestID says what is wrong with an idempotency key: it is empty or a UUID of
// 36 characters.
func CheckRequestID(id string) []apierr.Violation {
	if id == "" {
		return nil
	}
	if _, err := uuid.Parse(id); err != nil || len(id) != 36 {
		return []apierr.Violation{{
			Field: requestIDField, Reason: apierr.ReasonInvalid,
			Description: "is not a UUID of 36 characters",
		}}
	}
	return nil
}

// Recall looks a request up by its idempotency key. done is the name of the resource
// that it was about when it has been made before: its answer is then read anew, and
// nothing is done. Otherwise r is remembered together with the effect by Remember.
// For an empty id r is nil. An id that was used for another request is an error.
func (s *Requests) Recall(ctx context.Context, method, id string, req proto.Message) (r *Request, done string, err error) {
	if id == "" {
		return nil, "", nil
	}
	if e := apierr.BadFields(CheckRequestID(id)); e != nil {
		return nil, "", e
	}
	r = &Request{key: keys.RequestID(caller.From(ctx).Name, method, id), hash: requestHash(req)}
	res, err := read(ctx, s.kv, r.key)
	if err != nil {
		return nil, "", err
	}
	if len(res.Kvs) > 0 {
		var was storev1.RequestMemory
		if err := keys.Decode(res.Kvs[0].Value, &was); err != nil {
			return nil, "", damaged(res.Kvs[0].Key, err)
		}
		if !bytes.Equal(was.GetHash(), r.hash) {
			return nil, "", apierr.New(apierr.Invalid, ReasonRequestIDReused,
				"%s was used for another request within the last 24 hours; a new request needs a new one", requestIDField).At(requestIDField)
		}
		return r, was.GetName(), nil
	}
	r.lease, err = s.lease.Current(ctx)
	return r, "", err
}

// Remember adds to the transaction that has the effect of r on the resource name that
// r has been made, and the condition that it had not been.
func (r *Request) Remember(tx *etcd.Tx, name string) error {
	if r == nil {
		return nil
	}
	value, err := keys.Encode(&storev1.RequestMemory{Name: name, Hash: r.hash})
	if err != nil {
		return unwritable(err)
	}
	tx.Absent(ConditionRequest, r.key)
	tx.Put(r.key, value, clientv3.WithLease(r.lease))
	return nil
}

// Lost says whether err means that the lease of what is remembered is gone: the next
// attempt has another.
func (s *Requests) Lost(err error) bool { return s.lease.Lost(err) }

// requestHash is the same for the same request: its own key does not count, and of
// secrets only which of them are given or cleared.
func requestHash(req proto.Message) []byte {
	bare := proto.Clone(req)
	if fd := bare.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(requestIDField)); fd != nil {
		bare.ProtoReflect().Clear(fd)
	}
	about := secretfield.Cleared(bare)
	for place, value := range secretfield.Values(bare) {
		if value != "" {
			about["+"+place] = true
		}
	}
	// A hash that lies in the store would let whoever reads it try short secrets out.
	secretfield.Strip(bare)
	h := sha256.New()
	h.Write(Digest(bare))
	for _, place := range slices.Sorted(maps.Keys(about)) {
		_, _ = fmt.Fprintf(h, "%d:%s", len(place), place)
	}
	return h.Sum(nil)
}
