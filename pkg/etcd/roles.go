// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Grant is a right of a role: to read a range of keys, and to write if so said. To is
// empty for one key.
type Grant struct {
	From, To string
	Write    bool
}

// SetRole makes a role of etcd have exactly these rights, and gives it to the user of
// the same name, who is made without a password if absent: the common name of a client
// certificate is enough then. It can be repeated.
func SetRole(ctx context.Context, auth clientv3.Auth, name string, grants []Grant) error {
	if _, err := auth.RoleAdd(ctx, name); err != nil && !errors.Is(err, rpctypes.ErrRoleAlreadyExist) {
		return fmt.Errorf("make role %s: %w", name, err)
	}
	wanted := map[[2]string]bool{}
	for _, g := range grants {
		wanted[[2]string{g.From, g.To}] = true
		kind := clientv3.PermissionType(clientv3.PermRead)
		if g.Write {
			kind = clientv3.PermissionType(clientv3.PermReadWrite)
		}
		if _, err := auth.RoleGrantPermission(ctx, name, g.From, g.To, kind); err != nil {
			return fmt.Errorf("grant %s to role %s: %w", g.From, name, err)
		}
	}
	has, err := auth.RoleGet(ctx, name)
	if err != nil {
		return fmt.Errorf("read role %s: %w", name, err)
	}
	for _, p := range has.Perm {
		if from, to := string(p.Key), string(p.RangeEnd); !wanted[[2]string{from, to}] {
			if _, err := auth.RoleRevokePermission(ctx, name, from, to); err != nil {
				return fmt.Errorf("take %s from role %s: %w", from, name, err)
			}
		}
	}
	if _, err := auth.UserAddWithOptions(ctx, name, "", &clientv3.UserAddOptions{NoPassword: true}); err != nil && !errors.Is(err, rpctypes.ErrUserAlreadyExist) {
		return fmt.Errorf("make user %s: %w", name, err)
	}
	if _, err := auth.UserGrantRole(ctx, name, name); err != nil {
		return fmt.Errorf("give role %s to user %s: %w", name, name, err)
	}
	return nil
}

// DemandUsers makes the user root, who may do everything, has no password and so is
// known by a certificate, and has etcd ask everybody from then on who they are. It
// can be repeated, by root.
func DemandUsers(ctx context.Context, auth clientv3.Auth) error {
	const root = "root"
	if _, err := auth.UserAddWithOptions(ctx, root, "", &clientv3.UserAddOptions{NoPassword: true}); err != nil && !errors.Is(err, rpctypes.ErrUserAlreadyExist) {
		return fmt.Errorf("make user root: %w", err)
	}
	if _, err := auth.UserGrantRole(ctx, root, root); err != nil {
		return fmt.Errorf("give role root to user root: %w", err)
	}
	if _, err := auth.AuthEnable(ctx); err != nil {
		return fmt.Errorf("demand users: %w", err)
	}
	return nil
}
