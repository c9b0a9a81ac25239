// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// MaxOps is how many conditions, writes or reads one transaction may have; etcd
// runs with --max-txn-ops of it (C8.61, C8.100).
const MaxOps = 1024

// failedKeys is how many keys of a violated range condition a Conflict holds.
const failedKeys = 20

// Tx is one transaction in the making. A write is accepted only if every condition
// holds at the moment of commit; one that does not is reported by the name that it
// was given. A Tx is used once, by one goroutine.
type Tx struct {
	kv         clientv3.KV
	conditions []condition
	writes     map[string]clientv3.Op // by key: etcd refuses a key twice (C8.3)
	order      []string
}

type condition struct {
	name string
	cmp  clientv3.Cmp
	read clientv3.Op // what is looked at when the transaction is refused
	// holds judges what read found, as cmp did in the same moment.
	holds func(found []*mvccpb.KeyValue) bool
}

// Conflict is the error of a transaction of which at least one condition did not
// hold. Nothing was written.
type Conflict struct {
	// Failed are the names of those conditions, in the order in which they were
	// added, each once.
	Failed []string
	// Keys are the first keys found by each failed condition, by its name, at most
	// 20: what is there instead of nothing, or the key that has another version.
	// What should exist and does not has none.
	Keys map[string][]string
	// Revision is the store's revision at which the conditions were looked at.
	Revision int64
}

// Error names the failed conditions.
func (c *Conflict) Error() string { return fmt.Sprintf("transaction refused: %v", c.Failed) }

// NewTx begins a transaction.
func NewTx(kv clientv3.KV) *Tx {
	return &Tx{kv: kv, writes: map[string]clientv3.Op{}}
}

// Absent demands that no such key exists.
func (t *Tx) Absent(name, key string) {
	t.require(name, clientv3.Compare(clientv3.CreateRevision(key), "=", 0), clientv3.OpGet(key, clientv3.WithKeysOnly()), none)
}

// Exists demands that the key exists.
func (t *Tx) Exists(name, key string) {
	some := func(found []*mvccpb.KeyValue) bool { return len(found) > 0 }
	t.require(name, clientv3.Compare(clientv3.CreateRevision(key), ">", 0), clientv3.OpGet(key, clientv3.WithKeysOnly()), some)
}

// AtRevision demands that the key was last written at that revision (C8.46); 0 is
// the revision of a key that does not exist.
func (t *Tx) AtRevision(name, key string, modRevision int64) {
	same := func(found []*mvccpb.KeyValue) bool {
		if len(found) == 0 {
			return modRevision == 0
		}
		return found[0].ModRevision == modRevision
	}
	t.require(name, clientv3.Compare(clientv3.ModRevision(key), "=", modRevision), clientv3.OpGet(key, clientv3.WithKeysOnly()), same)
}

// NoneUnder demands that no key has the prefix (C8.4).
func (t *Tx) NoneUnder(name, prefix string) {
	read := clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(failedKeys))
	t.require(name, clientv3.Compare(clientv3.Version(prefix).WithPrefix(), "=", 0), read, none)
}

// NoneNewerUnder demands that no key with the prefix was written after revision;
// it holds when there is none at all (C8.53).
func (t *Tx) NoneNewerUnder(name, prefix string, revision int64) {
	read := clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(failedKeys), clientv3.WithMinModRev(revision+1))
	t.require(name, clientv3.Compare(clientv3.ModRevision(prefix).WithPrefix(), "<", revision+1), read, none)
}

// NoneCreatedUnder demands that no key with the prefix was created after revision:
// keys may have been written again or be gone, but none has come.
func (t *Tx) NoneCreatedUnder(name, prefix string, revision int64) {
	read := clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(failedKeys), clientv3.WithMinCreateRev(revision+1))
	t.require(name, clientv3.Compare(clientv3.CreateRevision(prefix).WithPrefix(), "<", revision+1), read, none)
}

func none(found []*mvccpb.KeyValue) bool { return len(found) == 0 }

func (t *Tx) require(name string, cmp clientv3.Cmp, read clientv3.Op, holds func([]*mvccpb.KeyValue) bool) {
	t.conditions = append(t.conditions, condition{name, cmp, read, holds})
}

// Put writes a key. Of several writes of one key the last counts (C8.3).
func (t *Tx) Put(key string, value []byte, opts ...clientv3.OpOption) {
	t.write(key, clientv3.OpPut(key, string(value), opts...))
}

// Copy writes to a key what this transaction has put to another.
func (t *Tx) Copy(from, to string) { t.Put(to, t.writes[from].ValueBytes()) }

// Delete removes a key.
func (t *Tx) Delete(key string) { t.write(key, clientv3.OpDelete(key)) }

// DeletePrefix removes every key with the prefix. No Put of the same transaction
// may lie below it (C8.3).
func (t *Tx) DeletePrefix(prefix string) {
	t.write(prefix, clientv3.OpDelete(prefix, clientv3.WithPrefix()))
}

// DeleteRange removes every key of [from, to). No Put of the same transaction may lie
// in it (C8.3).
func (t *Tx) DeleteRange(from, to string) {
	t.write(from, clientv3.OpDelete(from, clientv3.WithRange(to)))
}

func (t *Tx) write(key string, op clientv3.Op) {
	if _, ok := t.writes[key]; !ok {
		t.order = append(t.order, key)
	}
	t.writes[key] = op
}

// Ops is the size that etcd limits: the greater of conditions and writes (C8.2).
func (t *Tx) Ops() int { return max(len(t.conditions), len(t.order)) }

// Commit sends the transaction and returns the revision of its writes. The error is
// a *Conflict when a condition did not hold; any other error may mean that the
// write took place (C8.65).
func (t *Tx) Commit(ctx context.Context) (revision int64, err error) {
	ctx, span := trace.SpanFromContext(ctx).TracerProvider().Tracer("seafront/etcd").Start(ctx, "etcd txn",
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.Int("conditions", len(t.conditions)), attribute.Int("writes", len(t.order))))
	defer func() { end(span, revision, err) }()
	var cmps []clientv3.Cmp
	var then, otherwise []clientv3.Op
	for _, c := range t.conditions {
		cmps, otherwise = append(cmps, c.cmp), append(otherwise, c.read)
	}
	for _, key := range t.order {
		then = append(then, t.writes[key])
	}
	res, err := t.kv.Txn(ctx).If(cmps...).Then(then...).Else(otherwise...).Commit()
	if err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	if res.Succeeded {
		return res.Header.Revision, nil
	}
	return 0, t.conflict(res)
}

// Check looks at the conditions and writes nothing. The error is a *Conflict when one
// does not hold.
func (t *Tx) Check(ctx context.Context) error {
	dry := &Tx{kv: t.kv, conditions: t.conditions}
	_, err := dry.Commit(ctx)
	return err
}

// end closes the span of a transaction. A refusal is an answer, not a failure.
func end(span trace.Span, revision int64, err error) {
	if refused, ok := errors.AsType[*Conflict](err); ok {
		span.SetAttributes(attribute.StringSlice("refused_by", refused.Failed))
	} else if err != nil {
		span.SetStatus(codes.Error, err.Error())
	} else {
		span.SetAttributes(attribute.Int64("revision", revision))
	}
	span.End()
}

// conflict finds out which conditions failed from the keys as they were in the same
// moment.
func (t *Tx) conflict(res *clientv3.TxnResponse) *Conflict {
	out := &Conflict{Keys: map[string][]string{}, Revision: res.Header.Revision}
	for i, c := range t.conditions {
		kvs := res.Responses[i].GetResponseRange().GetKvs()
		if c.holds(kvs) {
			continue
		}
		if !slices.Contains(out.Failed, c.name) {
			out.Failed = append(out.Failed, c.name)
		}
		for _, kv := range kvs {
			out.Keys[c.name] = append(out.Keys[c.name], string(kv.Key))
		}
	}
	return out
}
