// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/secretfield"
	"github.com/seafront-cdn/seafront/pkg/secret"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// ReasonSecrets is the reason of a write that has secrets when they cannot be
// encrypted, or those that are stored not be read: there is no cluster key, or not the
// right one.
const ReasonSecrets = "SECRETS_UNAVAILABLE"

// Secrets are the sealed secrets of a record, as they lie in it (C8.102). Nil is none.
//
// A service that stores a resource with fields marked debug_redact writes it so:
//
//	old, sealed, v, found, err := …GetWithSecrets(ctx, kv, key, old) // nil on create
//	m := merge(old, request)
//	check(m, records.Kept(old, sealed)) // an absent value is as long as the kept one
//	rec := records.Next(ctx, v)
//	err = records.Seal(keyring, rec, key, m, sealed) // m has no secrets from here on
//	err = records.Put(tx, key, rec, m)
//
// and reads it like any other: what Get and List return has none. Put refuses a
// resource that Seal has not seen.
type Secrets = *storev1.Secrets

// GetWithSecrets is Get for a resource that is to be changed: it also returns what is
// sealed beside it, for Seal to keep.
func GetWithSecrets(ctx context.Context, kv clientv3.KV, key string, m proto.Message) (v Version, sealed Secrets, found bool, err error) {
	res, err := read(ctx, kv, key)
	if err != nil || len(res.Kvs) == 0 {
		return Version{}, nil, false, err
	}
	i, err := item(res.Kvs[0])
	if err == nil {
		err = i.Into(m)
	}
	return i.Version, i.Secrets, err == nil, err
}

// Kept returns, by place, how long the secret is that is stored for each place in m,
// which is as it is stored: what a change that leaves a value out will have there. No
// key is needed.
func Kept(m proto.Message, sealed Secrets) map[string]int {
	out := map[string]int{}
	for place := range secretfield.Values(m) {
		out[place] = secret.Length(sealed.GetValues()[place])
	}
	return out
}

// Seal moves the secrets of m, which is about to be written at key, into rec. A place
// without a value keeps what old has for it, unless m says clear; what m has no place
// for is gone. Afterwards m holds no secrets and no clear. A write that brings no new
// secret needs no key, so what has secrets can be disabled without one.
//
// key is that of the resource in r/, also when a copy of rec lies elsewhere. The error
// is FAILED_PRECONDITION, SECRETS_UNAVAILABLE.
func Seal(keyring *secret.Keyring, rec *storev1.Record, key string, m proto.Message, old Secrets) error {
	places := secretfield.Values(m)
	if len(places) == 0 {
		return nil
	}
	cleared := secretfield.Cleared(m)
	secretfield.Strip(m)
	rec.Secrets = &storev1.Secrets{}
	fresh, kept := map[string]string{}, map[string][]byte{}
	for place, value := range places {
		switch stored, ok := old.GetValues()[place]; {
		case value != "":
			fresh[place] = value
		case ok && !cleared[place]:
			kept[place] = stored
		}
	}
	switch {
	case len(fresh) == 0 && len(kept) == 0:
		return nil
	case len(fresh) == 0:
		rec.Secrets = &storev1.Secrets{KeyId: old.GetKeyId(), DataKey: old.GetDataKey(), Values: kept}
		return nil
	}
	opened, err := keyring.Open(key, &secret.Sealed{KeyID: old.GetKeyId(), DataKey: old.GetDataKey(), Values: kept})
	if err != nil {
		return unavailable("the stored secrets, which the change keeps, cannot be read: %v", err)
	}
	for place, value := range opened {
		fresh[place] = value
	}
	sealed, err := keyring.Seal(key, fresh)
	if err != nil {
		return unavailable("secrets cannot be stored: %v", err)
	}
	rec.Secrets = &storev1.Secrets{KeyId: sealed.KeyID, DataKey: sealed.DataKey, Values: sealed.Values}
	return nil
}

// Reseal returns secrets that are sealed for the resource at one key in r/ sealed for
// that at another, which is to get a copy of it. Errors are those of Seal.
func Reseal(keyring *secret.Keyring, from, to string, sealed Secrets) (Secrets, error) {
	if len(sealed.GetValues()) == 0 {
		return sealed, nil
	}
	values, err := Open(keyring, from, sealed)
	if err != nil {
		return nil, unavailable("the secrets to copy cannot be read: %v", err)
	}
	s, err := keyring.Seal(to, values)
	if err != nil {
		return nil, unavailable("secrets cannot be stored: %v", err)
	}
	return &storev1.Secrets{KeyId: s.KeyID, DataKey: s.DataKey, Values: s.Values}, nil
}

// Open returns the secrets of the record at key in clear, by place. It is for edges.
func Open(keyring *secret.Keyring, key string, sealed Secrets) (map[string]string, error) {
	return keyring.Open(key, &secret.Sealed{KeyID: sealed.GetKeyId(), DataKey: sealed.GetDataKey(), Values: sealed.GetValues()})
}

func unavailable(format string, err error) error {
	e := apierr.New(apierr.Precondition, ReasonSecrets, format, err)
	e.Cause = err
	return e
}

// errInClear is what stops a service that forgot Seal.
var errInClear = errors.New("a resource with secrets was not sealed")

// sealed says whether m may be written in rec: it has no secrets, or Seal has been at
// work. Nothing secret gets into the store by mistake, and none is lost by mistake.
func sealed(rec *storev1.Record, m proto.Message) error {
	places := secretfield.Values(m)
	if len(places) > 0 && rec.GetSecrets() == nil {
		return errInClear
	}
	for place, value := range places {
		if value != "" {
			return fmt.Errorf("%w: %s", errInClear, place)
		}
	}
	return nil
}
