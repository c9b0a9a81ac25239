// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// explanations are what an operator has to mend, by what errors are or say.
func explanation(err error) string {
	for _, x := range []struct {
		is   error
		says string
		then string
	}{
		{rpctypes.ErrAuthFailed, "authentication failed, invalid user ID or password", "etcd refuses the name or the password of --etcd-user"},
		{rpctypes.ErrUserEmpty, "user name is empty", "etcd demands a user: set --etcd-user and --etcd-password-file, or --etcd-cert with the user as its common name"},
		{rpctypes.ErrPermissionDenied, "etcdserver: permission denied", "the etcd user lacks rights; `seafront etcd-roles` gives each program what it needs"},
		{nil, "certificate signed by unknown authority", "etcd's certificate is not signed by an authority of --etcd-ca"},
		{nil, "certificate is valid for", "etcd's certificate does not name the host of --etcd-endpoints"},
		{nil, "cannot validate certificate", "etcd's certificate does not name the host of --etcd-endpoints"},
		{nil, "certificate required", "etcd demands a client certificate: set --etcd-cert and --etcd-key"},
		{nil, "tls: unknown certificate authority", "etcd does not trust the authority of --etcd-cert"},
		{nil, "tls: bad certificate", "etcd does not accept --etcd-cert"},
		{nil, "authentication handshake failed: EOF", "etcd hangs up on TLS; perhaps it speaks none at --etcd-endpoints"},
		{nil, "first record does not look like a TLS handshake", "etcd speaks no TLS at --etcd-endpoints, and --etcd-ca or --etcd-cert is set"},
	} {
		if x.is != nil && errors.Is(err, x.is) || strings.Contains(err.Error(), x.says) {
			return x.then
		}
	}
	return ""
}

// Explain puts before an error of etcd what an operator has to mend, where that is
// known. Nil stays nil.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	if then := explanation(err); then != "" {
		return fmt.Errorf("%s: %w", then, err)
	}
	return err
}

// greeting bounds Greet.
const greeting = 3 * time.Second

// Greet asks etcd at the start of a program whether it will ever do: the error says
// that a name, password, certificate or limit is wrong. That etcd is away is no error.
func Greet(ctx context.Context, kv clientv3.KV) error {
	ctx, cancel := context.WithTimeout(ctx, greeting)
	defer cancel()
	err := Probe(ctx, kv)
	// With TLS 1.3 a member may hang up on a client certificate before it is heard why.
	for err != nil && explanation(err) == "" && strings.Contains(err.Error(), "broken pipe") && ctx.Err() == nil {
		err = Probe(ctx, kv)
	}
	if err == nil || explanation(err) == "" && (Unavailable(err) || ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
		return nil
	}
	return Explain(err)
}
