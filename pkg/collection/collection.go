// SPDX-License-Identifier: Apache-2.0

// Package collection is the life of resources that are one record each: created,
// read, listed, updated and deleted, with unique names, references, quotas, etags,
// idempotency keys and checks without a write. A Kind says what is particular to one
// collection; the services translate its methods to their messages.
//
// It promises, with any number of replicas: two resources never have one name; a
// reference never points to nothing; what is referred to is not deleted; a write is
// based on the version that its caller named; and a request with an idempotency key
// has one effect. Every such promise is a condition of the transaction that writes.
// It looks at things in the order of C2.1 and reports all bad fields together (C2.2).
//
// It knows no resource, and nothing of what edges do with one.
package collection

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// Resource is a message with the fields that every resource has: name, uid, etag,
// create_time and update_time (C6.14).
type Resource interface {
	proto.Message
	GetName() string
	GetUid() string
	GetEtag() string
}

// Kind is what is particular to one collection. Functions must not keep what they get.
type Kind[M Resource] struct {
	Collection keys.Collection
	// Field is the field of requests that holds the resource, for example key_group;
	// Noun names it to people: key group.
	Field, Noun string
	// Missing, Taken, Held and TooMany are the reasons of errors: no such resource, the
	// name is taken, others refer to it, the quota is reached.
	Missing, Taken, Held, TooMany string
	// Most is how many there may be, managed ones not counted; 0 is no limit. It is
	// soft: creators at the same moment may pass it by their number (C8.63).
	Most int64

	// NewID chooses the id of a new resource. Nil: the client does, and the id, which is
	// unique by itself, is given to Create.
	NewID func() string
	// Key is where a resource lies; nil means keys.Resource.
	Key func(id string) string
	// Name is the unique name for people, in NameField (usually display_name). Nil: there is none.
	Name      func(M) string
	NameField string
	// Reference is the caller reference by which a repeated create is recognised
	// (C3.14). Nil: there is none.
	Reference func(M) string

	// Default fills what a caller left out. Check returns all that is wrong with a
	// resource by itself, after Default; field paths begin at the resource. Warn gives
	// advice. Default and Warn may be nil.
	Default func(M)
	Check   func(M) []rules.Violation
	Warn    func(M) []string
	// Refs are the resources that one refers to. Nil: none.
	Refs func(M) []Ref
	// Updatable are the fields that an update may write, Immutable those that it may
	// name but not change; all others are the server's. Immovable is the reason of a
	// changed immutable field, ILLEGAL_UPDATE when empty.
	Updatable, Immutable []protoreflect.Name
	Immovable            string
	// Join checks a resource in the company of what it refers to or what refers to it.
	// It returns violations with paths from the resource. Nil: nothing to check. See
	// Company.
	Join func(ctx context.Context, m M, c *Company) ([]rules.Violation, error)
	// Add lets a kind put more conditions and writes into the transaction that brings
	// old (nil at creation) to now (nil at deletion). Nil: nothing.
	Add func(ctx context.Context, tx *Write, old, now M) error
	// Show fills computed fields and removes secrets of what is returned to callers.
	// Nil: nothing. stored is false for what only would be stored.
	Show func(ctx context.Context, m M, v records.Version) error
	// Managed are resources that are part of the program: read-only. id to resource, in the order of ids.
	Managed []M
	// Seal moves the secrets of what is about to be written at key into its envelope; nil
	// for kinds without secrets (C8.102).
	Seal func(rec *storev1.Record, key string, now M) error
}

// Ref is one reference of a resource.
type Ref struct {
	Collection keys.Collection
	ID         string
	// Field is the path from the resource; Reason of the error when there is no such
	// resource, which is FAILED_PRECONDITION (C2.173 b).
	Field, Reason string
	// Managed says that the target is part of the program: nothing to look for.
	Managed bool
	// Check looks at the target's record, at the revision that the write is then based
	// on (C8.48): nil when its existence is enough. It returns the violation's text.
	Check func(records.Item) (problem string, err error)
}

func (r Ref) key() string { return keys.Resource(r.Collection, r.ID) }

// Collection serves one kind from etcd. It is safe for concurrent use.
type Collection[M Resource] struct {
	kind     Kind[M]
	kv       clientv3.KV
	requests *records.Requests
	counter  *records.Counter
}

// New makes a collection. requests remembers idempotency keys; collections of one
// service share it.
func New[M Resource](kv clientv3.KV, requests *records.Requests, kind Kind[M]) *Collection[M] {
	if kind.Key == nil {
		c := kind.Collection
		kind.Key = func(id string) string { return keys.Resource(c, id) }
	}
	return &Collection[M]{kind, kv, requests, records.NewCounter(kv, prefixOf(kind.Key))}
}
