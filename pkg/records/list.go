// SPDX-License-Identifier: Apache-2.0

package records

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// maxPage is the size of a page in bytes (C6.20): below the 4 MiB that a gRPC client
// receives by default.
const maxPage = 3 << 20

// chunk is how many records one read asks for: with the largest records, 16 MiB.
const chunk = 64

// ListRequest says which page to read.
type ListRequest struct {
	// Method names the listing. A token is good for its own method only.
	Method string
	// Prefix is that of the keys to list.
	Prefix string
	// PageSize is how many records at most; above 0.
	PageSize int
	// Token is the page_token of the request, empty for the first page.
	Token string
	// Filter is the request's filter in a form that can be compared: a token is good
	// for its own filter only (C3.25).
	Filter string
}

// ErrSkip is what build returns for a record that is not in the listing.
var ErrSkip = errors.New("not in the listing")

// scan is how many records one page looks at: beyond that it is short, or empty, and
// the listing goes on with the next (C3.23).
const scan = 5000

// Item is one record of a listing.
type Item struct {
	Key string
	Version
	// Resource is the resource's own message in binary form.
	Resource []byte
	// Principal made the write, in a request with this W3C traceparent; empty when it
	// was not traced.
	Principal, Traceparent string
	// Secrets are sealed.
	Secrets Secrets
}

// Into reads the resource into m.
func (i Item) Into(m proto.Message) error {
	if err := proto.Unmarshal(i.Resource, m); err != nil {
		return damaged([]byte(i.Key), err)
	}
	return nil
}

// Check says what is wrong with the token, so that a caller hears of it together with
// what else is wrong with the request (C2.2).
func (r ListRequest) Check() []apierr.Violation {
	_, err := parseToken(r)
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		return e.Violations
	}
	return nil
}

// List reads one page in the order of keys. build makes of each record the message
// that goes into the answer; a page ends before these pass 3 MiB. next is the token
// of the following page, empty when there is none. All pages of a listing read at
// the revision of the first, unless it has been compacted meanwhile: then the
// listing goes on at the newest, silently (C3.25). A token that is not of this
// listing is INVALID_ARGUMENT at page_token.
func List[M proto.Message](ctx context.Context, kv clientv3.KV, req ListRequest, build func(Item) (M, error)) (page []M, next string, err error) {
	return list(req, rangeOf(ctx, kv, req.Prefix), func(pairs []*mvccpb.KeyValue, _ int64) ([]entry[Item], error) {
		out := make([]entry[Item], 0, len(pairs))
		for _, pair := range pairs {
			i, err := item(pair)
			if err != nil {
				return nil, err
			}
			out = append(out, entry[Item]{i.Key, i})
		}
		return out, nil
	}, build)
}

// entry is what a listing finds at one key.
type entry[T any] struct {
	key   string
	found T
}

// list is List for anything that expand finds with the help of the listed keys, as
// they were at a revision of the store.
func list[T any, M proto.Message](req ListRequest, read reader,
	expand func(pairs []*mvccpb.KeyValue, revision int64) ([]entry[T], error), build func(T) (M, error),
) (page []M, next string, err error) {
	at, err := parseToken(req)
	if err != nil {
		return nil, "", err
	}
	size, seen := 0, 0
	for seen < scan {
		res, err := readPage(at, read)
		if err != nil {
			return nil, "", err
		}
		seen += len(res.Kvs)
		entries, err := expand(res.Kvs, at.Revision)
		if err != nil {
			return nil, "", err
		}
		for _, e := range entries {
			if len(page) == req.PageSize {
				return page, formatToken(at), nil
			}
			m, err := build(e.found)
			if errors.Is(err, ErrSkip) {
				at.After = e.key
				continue
			}
			if err != nil {
				return nil, "", err
			}
			size += protowire.SizeTag(1) + protowire.SizeBytes(proto.Size(m))
			if size > maxPage && len(page) > 0 {
				return page, formatToken(at), nil
			}
			page, at.After = append(page, m), e.key
		}
		if !res.More {
			return page, "", nil
		}
		at.After = string(res.Kvs[len(res.Kvs)-1].Key) // the last ones may have led nowhere
	}
	return page, formatToken(at), nil
}

// reader reads what is listed behind a key, as it was at a revision of the store; 0 is
// the newest.
type reader func(after string, revision int64) (*clientv3.GetResponse, error)

// rangeOf reads the keys with a prefix.
func rangeOf(ctx context.Context, kv clientv3.KV, prefix string) reader {
	return func(after string, revision int64) (*clientv3.GetResponse, error) {
		from := prefix
		if after != "" {
			from = after + "\x00" // the first key behind it
		}
		return read(ctx, kv, from, clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)), clientv3.WithLimit(chunk), clientv3.WithRev(revision))
	}
}

// readPage reads the keys behind at, and pins at to the revision of the read.
func readPage(at *storev1.PageToken, read reader) (*clientv3.GetResponse, error) {
	res, err := read(at.After, at.Revision)
	if errors.Is(err, rpctypes.ErrCompacted) {
		at.Revision = 0
		res, err = read(at.After, 0)
	}
	if errors.Is(err, rpctypes.ErrFutureRev) {
		return nil, badToken("is not a token of this store", err)
	}
	if err != nil {
		return nil, err
	}
	if at.Revision == 0 {
		at.Revision = res.Header.Revision
	}
	return res, nil
}

func formatToken(at *storev1.PageToken) string {
	b, err := proto.Marshal(at)
	if err != nil { // only for text that is not UTF-8, and keys are ASCII
		panic(fmt.Sprintf("page token %v: %v", at, err))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseToken returns the place where the page begins.
func parseToken(req ListRequest) (*storev1.PageToken, error) {
	if req.Token == "" {
		return &storev1.PageToken{Method: req.Method, Filter: req.Filter}, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(req.Token)
	if err != nil {
		return nil, badToken("is not a token", err)
	}
	var at storev1.PageToken
	if err := proto.Unmarshal(b, &at); err != nil {
		return nil, badToken("is not a token", err)
	}
	switch {
	case at.GetMethod() != req.Method:
		return nil, badToken("is the token of another method", nil)
	case at.GetFilter() != req.Filter:
		return nil, badToken("was made with another filter; begin again without a token", nil)
	case !strings.HasPrefix(at.GetAfter(), req.Prefix), at.GetRevision() <= 0:
		return nil, badToken("is not a token", nil)
	}
	return &at, nil
}

func badToken(what string, cause error) error {
	e := apierr.BadFields([]apierr.Violation{{Field: "page_token", Reason: apierr.ReasonInvalid, Description: what}})
	e.Cause = cause
	return e
}
