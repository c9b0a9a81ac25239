// SPDX-License-Identifier: Apache-2.0

package distribution

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/etcd"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// The names of conditions in transactions. A client has named the first three in its
// request, so it hears of them; what fails of the others is tried again (C8.64).
const (
	conditionVersion   = "version"          // the etag that the client gave
	conditionReference = "caller reference" // is free
	conditionAlias     = "alias "           // and the alias: is free
	conditionID        = "id"               // is free
	conditionLabel     = "label"            // is free
	conditionPin       = "dependency"       // is as it was when it was checked
	conditionStaging   = "staging"          // is what is promoted
	conditionSource    = "source"           // has the alias, and is what was read
	conditionHost      = "host"             // is claimed as it was
	conditionReferrers = "referrers"        // there are none
)

// write is one transaction on a distribution, under construction.
type write struct {
	tx      *etcd.Tx
	id      string
	keyring *secret.Keyring
	kept    kept
	err     error // the first one
}

func (s *Server) write(id string) *write {
	return &write{tx: etcd.NewTx(s.kv), id: id, keyring: s.secrets}
}

// of is a write of another distribution in the same transaction.
func (w *write) of(id string) *write { return &write{tx: w.tx, id: id, keyring: w.keyring} }

func (w *write) key() string { return keys.Resource(keys.Distributions, w.id) }

// claim puts the key that says that the distribution holds something.
func (w *write) claim(key string, tombstone bool) {
	value, err := keys.Encode(&storev1.Claim{Distribution: w.id, Tombstone: tombstone})
	if err != nil {
		w.err = cmp.Or(w.err, internal(err))
	}
	w.tx.Put(key, value)
}

// aliases claims the host names that are in after only, and frees those that are in
// before only. What is in both needs no condition: the key is ours by induction.
func (w *write) aliases(before, after []string) {
	for _, a := range after {
		if !slices.Contains(before, a) {
			w.tx.Absent(conditionAlias+a, keys.Host(a))
			w.claim(keys.Host(a), false)
		}
	}
	for _, a := range before {
		if !slices.Contains(after, a) {
			w.tx.Delete(keys.Host(a))
		}
	}
}

// pins demands that everything the check has read is as it was, and writes the
// references to it, old ones as well (C8.53).
func (w *write) pins(pins []pin) {
	for _, p := range pins {
		w.tx.AtRevision(conditionPin, keys.Resource(p.collection, p.id), p.revision)
		w.tx.Put(w.ref(p.collection, p.id), nil)
	}
}

// release removes the references of before that are not among after.
func (w *write) release(before, after []rules.Ref) {
	for _, t := range before {
		if !slices.Contains(after, t) {
			w.tx.Delete(w.ref(t.Collection, t.ID))
		}
	}
}

func (w *write) ref(c keys.Collection, id string) string {
	return keys.Ref(c, id, keys.Distributions, w.id)
}

// targets are all that d holds by a reference key.
func targets(d *configv1.Distribution) []rules.Ref { return rules.DistributionRefs(d).Held() }

// recordOf is the envelope of a distribution.
type recordOf = *storev1.Record

// record puts the distribution itself, without computed fields and with its secrets
// sealed, and the same as its newest version, of which the newest keep stay. Versions hold no references (design §5).
func (w *write) record(rec recordOf, d *configv1.Distribution, keep int64) {
	bare := proto.CloneOf(d)
	clearOutput(bare)
	number := rec.GetGeneration()
	if err := records.Seal(w.keyring, rec, w.key(), bare, w.kept.sealed); err != nil {
		w.err = cmp.Or(w.err, err)
		return
	}
	if err := records.Put(w.tx, w.key(), rec, bare); err != nil {
		w.err = cmp.Or(w.err, err)
		return
	}
	w.tx.Copy(w.key(), keys.Version(w.id, number))
	if number > keep {
		w.tx.DeleteRange(keys.VersionsOf(w.id), keys.Version(w.id, number-keep+1))
	}
}

// ready says whether the transaction can be sent: everything could be encoded, and
// etcd takes that many operations (C8.61).
func (w *write) ready(prefix string) error {
	if w.err != nil {
		return w.err
	}
	if n := w.tx.Ops(); n > etcd.MaxOps {
		e := apierr.New(apierr.Invalid, rules.ReasonTooLarge, "the change touches %d keys at once, at most %d are possible; make it in several steps", n, etcd.MaxOps).
			At(prefix + "config")
		return e.With("limit", fmt.Sprint(etcd.MaxOps)).With("actual", fmt.Sprint(n))
	}
	return nil
}

// taken is the error for what another distribution holds, nil when the conflict is
// about something else.
func taken(prefix string, c *etcd.Conflict, d *configv1.Distribution) error {
	var vs []apierr.Violation
	if slices.Contains(c.Failed, conditionReference) {
		vs = append(vs, apierr.Violation{
			Field: prefix + "caller_reference", Reason: reasonDistributionExists,
			Description: "was used before, and is never free again, even after the distribution is deleted",
		})
	}
	for i, a := range d.GetConfig().GetAliases() {
		if slices.Contains(c.Failed, conditionAlias+a) {
			vs = append(vs, apierr.Violation{
				Field: fmt.Sprintf("%sconfig.aliases[%d]", prefix, i), Reason: reasonAliasExists,
				Description: fmt.Sprintf("%s belongs to another distribution", a),
			})
		}
	}
	if len(vs) == 0 {
		return nil
	}
	e := failed(apierr.AlreadyExists, vs)
	if slices.Contains(c.Failed, conditionReference) {
		e.With("callerReference", d.GetCallerReference())
	}
	if aliases := namedAliases(c); len(aliases) > 0 {
		e.With("alias", aliases[0])
	}
	return e
}

func namedAliases(c *etcd.Conflict) []string {
	var out []string
	for _, name := range c.Failed {
		if a, ok := strings.CutPrefix(name, conditionAlias); ok {
			out = append(out, a)
		}
	}
	return out
}

// moving is the error when what the client did not name kept changing.
func moving(c *etcd.Conflict) error {
	e := behind("what the distribution refers to is being changed at the same time; try again")
	e.Cause = c
	return e
}
