// SPDX-License-Identifier: Apache-2.0

package invalidation

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// Read makes an Order of a stored record (C8.28). Of one that it does not understand in
// full, as a later release may write it, it makes one for the whole distribution, and
// err says why: too much is forgotten rather than too little.
func Read(distribution, id string, revision int64, value []byte) (o Order, record *storev1.Record, err error) {
	o = Order{Distribution: distribution, ID: id, Revision: revision}
	record = &storev1.Record{}
	var m configv1.Invalidation
	if err = keys.Decode(value, record); err == nil {
		err = proto.Unmarshal(record.GetResource(), &m)
	}
	record.Resource = nil
	if err == nil {
		err = o.take(&m)
	}
	if err != nil {
		o.Paths, o.Tags, o.Whole = nil, nil, true
	}
	return o, record, err
}

func (o *Order) take(m *configv1.Invalidation) error {
	if len(m.ProtoReflect().GetUnknown()) > 0 {
		return errors.New("it has fields that this release does not know")
	}
	for _, path := range m.GetPaths() {
		if !strings.HasPrefix(path, "/") { // D25.1
			return fmt.Errorf("path %.100q does not begin with a slash", path)
		}
	}
	if len(m.GetPaths())+len(m.GetTags()) == 0 {
		return errors.New("it names no path and no tag")
	}
	o.Paths, o.Tags = m.GetPaths(), m.GetTags()
	return nil
}

// AddRoot lets an invalidation of / also concern the default root object, which is
// what a request for / gets; one of / with a query concerns the object with that
// query, and one of /?* the object with any (D12.8, D25.4).
func (o *Order) AddRoot(object string) {
	if object == "" {
		return
	}
	paths := o.Paths[:len(o.Paths):len(o.Paths)]
	for _, path := range o.Paths {
		if rest, ok := strings.CutPrefix(path, "/"); ok && (rest == "" || rest[0] == '?') {
			paths = append(paths, object+rest)
		}
	}
	o.Paths = paths
}
