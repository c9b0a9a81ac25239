// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/records"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// kept is where a write takes the secrets from that the new state leaves out: a stored
// distribution and what is sealed beside it (C9.42). The zero value has none.
type kept struct {
	d      *configv1.Distribution
	sealed records.Secrets
}

// keeps makes the write keep secrets of d: the same distribution, now or as it was.
func (w *write) keeps(d *configv1.Distribution, sealed records.Secrets) *write {
	w.kept = kept{d, sealed}
	return w
}

// keepsThoseOf makes the write keep secrets of another distribution. They are sealed
// anew, for they are bound to the one that they belong to.
func (w *write) keepsThoseOf(source *stored) error {
	if source == nil {
		return nil
	}
	sealed, err := records.Reseal(w.keyring, keys.Resource(keys.Distributions, source.id), w.key(), source.secrets)
	if err != nil {
		return err
	}
	w.keeps(source.d, sealed)
	return nil
}

// limits are l with what is known of the secrets that the new state leaves out.
func (w *write) limits(l rules.Limits) rules.Limits {
	if w.kept.d != nil {
		l.Kept = records.Kept(w.kept.d, w.kept.sealed)
	}
	return l
}
