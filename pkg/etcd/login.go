// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// login keeps a token of etcd. Etcd's own client logs in before it is made, so that no
// program could start without etcd; this one does when it first has something to ask,
// and again whenever a token has run out or rights have changed.
type login struct {
	user, file string

	mu    sync.Mutex // guards the rest
	asked bool       // whether token is the answer of a login
	token string     // empty: etcd demands none
}

const authenticate = "/etcdserverpb.Auth/Authenticate"

func (l *login) password() (string, error) {
	b, err := os.ReadFile(l.file)
	if err != nil {
		return "", fmt.Errorf("--etcd-password-file: %w", err)
	}
	password := strings.TrimRight(string(b), "\r\n")
	if password == "" {
		return "", fmt.Errorf("--etcd-password-file: %s is empty", l.file)
	}
	return password, nil
}

// with is ctx with the token; old is one that does not do any more.
func (l *login) with(ctx context.Context, cc *grpc.ClientConn, old string, anew bool) (_ context.Context, token string, err error) {
	l.mu.Lock()
	token, asked := l.token, l.asked
	l.mu.Unlock()
	if !asked || anew && token == old {
		if token, err = l.fetch(ctx, cc); err != nil {
			return nil, "", err
		}
		l.mu.Lock()
		l.token, l.asked = token, true
		l.mu.Unlock()
	}
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, token)
	}
	return ctx, token, nil
}

func (l *login) fetch(ctx context.Context, cc *grpc.ClientConn) (string, error) {
	password, err := l.password()
	if err != nil {
		return "", err
	}
	res, err := etcdserverpb.NewAuthClient(cc).Authenticate(ctx, &etcdserverpb.AuthenticateRequest{Name: l.user, Password: password})
	if errors.Is(rpctypes.Error(err), rpctypes.ErrAuthNotEnabled) {
		return "", nil
	}
	if err != nil {
		return "", err // as gRPC made it: the client maps it
	}
	return res.GetToken(), nil
}

// outdated says that a request was refused, before anything was done, because of its
// token.
func outdated(err error) bool {
	e := rpctypes.Error(err)
	return errors.Is(e, rpctypes.ErrInvalidAuthToken) || errors.Is(e, rpctypes.ErrAuthOldRevision) || errors.Is(e, rpctypes.ErrUserEmpty)
}

// unary is the interceptor of requests.
func (l *login) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if method == authenticate {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	known, token, err := l.with(ctx, cc, "", false)
	if err != nil {
		return err
	}
	if err = invoke(known, method, req, reply, cc, opts...); !outdated(err) {
		return err
	}
	if known, _, err = l.with(ctx, cc, token, true); err != nil {
		return err
	}
	return invoke(known, method, req, reply, cc, opts...)
}

// stream is the interceptor of streams. A stream that is refused because of its token
// is begun again by its owner: each begins with a login of its own.
func (l *login) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, begin grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	l.mu.Lock()
	old := l.token
	l.mu.Unlock()
	known, _, err := l.with(ctx, cc, old, true)
	if err != nil {
		return nil, err
	}
	return begin(known, desc, cc, method, opts...)
}
