// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seafront-cdn/seafront/pkg/apierr"
)

// probeOps is how many conditions Probe sends: more than etcd's default allows, and
// about what the largest write needs (C8.61).
const probeOps = 1000

// probeKey is looked at by Probe. Nothing is ever stored there.
const probeKey = "c/probe"

// Unavailable says that err means "not now": no connection, no leader, no quorum,
// a time-out within etcd, too many requests, or no space left (C8.20, C8.103). A
// write may have taken place all the same (C8.9, C8.65). Errors of the caller's own
// context are not meant.
func Unavailable(err error) bool {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		// These two share their code with a request over the client's own size
		// limit, which no waiting mends.
		return e.Code() == codes.Unavailable ||
			errors.Is(e, rpctypes.ErrNoSpace) || errors.Is(e, rpctypes.ErrTooManyRequests)
	}
	s, ok := status.FromError(err) // of the connection itself, as gRPC made it
	return ok && s.Code() == codes.Unavailable
}

// Fault turns an error of etcd into what a service answers: STORE_UNAVAILABLE when
// etcd cannot answer now (C2.333), an internal error otherwise. What is an
// *apierr.Error already, the end of the caller's context, and nil stay as they are.
func Fault(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ok := errors.AsType[*apierr.Error](err); ok {
		return err
	}
	if Unavailable(err) {
		e := apierr.New(apierr.Unavailable, apierr.ReasonStoreUnavailable, "the store cannot answer now; try again")
		e.Cause = err
		return e
	}
	e := apierr.New(apierr.Internal, apierr.ReasonInternal, "internal error")
	e.Cause = err
	return e
}

// Probe finds out whether etcd takes transactions as large as Seafront needs, by
// one that looks at much and writes nothing (C8.61). The error says what to change
// when it does not; any other error, for which Unavailable may hold, says nothing
// about the limit.
func Probe(ctx context.Context, kv clientv3.KV) error {
	cmps := make([]clientv3.Cmp, probeOps)
	for i := range cmps {
		cmps[i] = clientv3.Compare(clientv3.Version(probeKey), "=", 0)
	}
	_, err := kv.Txn(ctx).If(cmps...).Commit()
	switch {
	case errors.Is(err, rpctypes.ErrTooManyOps):
		return fmt.Errorf("etcd refuses transactions of %d operations: start every member with --max-txn-ops=%d", probeOps, MaxOps)
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return nil // size is judged before rights, and the key is nobody's
	case err != nil:
		return fmt.Errorf("probe etcd: %w", err)
	}
	return nil
}
