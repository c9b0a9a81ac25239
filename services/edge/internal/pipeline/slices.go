// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"encoding/binary"
	"errors"
	"io"

	"github.com/seafront-cdn/seafront/pkg/cdn/cachekey"
	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
	"github.com/seafront-cdn/seafront/services/edge/internal/httpcache"
	"github.com/seafront-cdn/seafront/services/edge/internal/invalidation"
	"github.com/seafront-cdn/seafront/services/edge/internal/origin"
	"github.com/seafront-cdn/seafront/services/edge/internal/store"
)

// What keeps slices from being sent.
var (
	// errChanged: the origin has another representation than the one whose slices are
	// being sent, so the answer cannot be completed (design 3.8).
	errChanged = errors.New("the origin has changed what is being sent")
	errMissing = errors.New("a slice is not stored, and cannot be fetched apart")
	errStored  = errors.New("the slice is stored meanwhile")
	errRefused = errors.New("the origin gives no slice just now")
	errLetGo   = errors.New("too slow a reader of what is no longer stored")
)

// sliced is a body that lies in slices. Those that are not stored are fetched, each
// once for all who need it, if the representation has a strong validator.
type sliced struct {
	p    *Pipeline
	id   uint64
	size int64 // -1 while it is not known: of a body that is coming
	// validator is for If-Range; empty: slices cannot be fetched.
	validator string
	// ask returns the question by which the origin is asked; it is called at the first
	// slice that is not there.
	ask func() (*question, bool)
	// first is the place at a fill that brings a slice just now, and number which; nil for
	// none.
	first  *fill.Reader[*served]
	number int64
	// coming, if set, tells of a fill that brings all slices in order.
	coming *progress
}

var _ byterange.Source = (*sliced)(nil)

// length is that of a slice. Only the last one of a body is not a full one, so of a body
// whose length is not known no last one has it.
func (s *sliced) length(number int64) int64 {
	if s.size < 0 {
		return byterange.SliceSize
	}
	return byterange.Slice(number, s.size).Length
}

// Section delivers the bytes of r.
func (s *sliced) Section(r byterange.Range) exchange.Stream {
	return &sliceStream{of: s, at: r.Start, end: r.End()}
}

// sliceStream sends a range of a body in slices.
type sliceStream struct {
	of      *sliced
	at, end int64
	held    store.Slice
	reader  *fill.Reader[*served] // of the slice that at lies in, while it is fetched
	skip    int64                 // bytes of reader that come before at
	again   bool                  // a slice was stored just when it was to be fetched
	ready   bool                  // held is what Next returns
	behind  *fill.Reader[*served] // that is too slow for its fill, which is to go on
}

// Next returns the next bytes: those of a stored slice, or what has come of one.
func (s *sliceStream) Next(ctx context.Context) (exchange.Piece, error) {
	if !s.ready {
		s.held.Release()
	}
	if s.at >= s.end {
		return exchange.Piece{}, io.EOF
	}
	if s.reader != nil {
		return s.arriving(ctx)
	}
	if s.ready {
		s.ready = false
		return s.stored(s.at / byterange.SliceSize * byterange.SliceSize)
	}
	number := s.at / byterange.SliceSize
	begin := number * byterange.SliceSize
	if s.of.first != nil && s.of.number == number {
		s.reader, s.of.first, s.skip = s.of.first, nil, s.at-begin
		return s.arriving(ctx)
	}
	if s.of.coming != nil {
		if err := s.of.coming.wait(ctx, number); err != nil {
			return exchange.Piece{}, err
		}
	}
	if s.of.p.Store.Slice(ctx, s.of.id, number, &s.held) && s.held.Size() == s.of.length(number) {
		return s.stored(begin)
	}
	s.held.Release()
	if s.of.size < 0 {
		if err := s.learn(ctx); err != nil {
			return exchange.Piece{}, err
		}
		return s.Next(ctx)
	}
	r, err := s.of.fetch(ctx, number)
	switch {
	case errors.Is(err, errStored) && !s.again:
		s.again = true
		return s.Next(ctx)
	case err != nil:
		return exchange.Piece{}, err
	}
	s.again = false
	s.reader, s.skip = r, s.at-begin
	return s.arriving(ctx)
}

// learn waits for the length of a body that is coming: a slice of it is not stored, or is
// its last.
func (s *sliceStream) learn(ctx context.Context) error {
	size, err := s.of.coming.length(ctx, s.of.validator == "")
	if err != nil {
		return err
	}
	if size == 0 {
		return errMissing
	}
	s.of.size, s.end = size, min(s.end, size)
	return nil
}

// Ready says whether the next bytes are stored, and takes hold of them.
func (s *sliceStream) Ready() bool {
	if s.of == nil || s.reader != nil || s.at >= s.end || s.of.first != nil {
		return false
	}
	number := s.at / byterange.SliceSize
	if !s.ready && s.of.p.Store.Slice(context.Background(), s.of.id, number, &s.held) { // a disk is all that it waits for
		s.ready = s.held.Size() == s.of.length(number)
	}
	return s.ready
}

// stored sends what is wanted of the slice that is held.
func (s *sliceStream) stored(begin int64) (exchange.Piece, error) {
	select {
	case <-s.held.Cut():
		return exchange.Piece{}, errLetGo
	default:
	}
	n := min(s.end, begin+s.held.Size()) - s.at
	piece := s.held.Section(s.at-begin, n)
	s.at += n
	return piece, nil
}

// arriving sends what comes of a slice that is being fetched.
func (s *sliceStream) arriving(ctx context.Context) (exchange.Piece, error) {
	for {
		b, err := s.reader.Next(ctx)
		// At its end the next slice follows; who falls out of its window goes on without it.
		if s.of != nil && (errors.Is(err, io.EOF) || errors.Is(err, fill.ErrCut)) {
			if s.behind == nil && s.of.coming != nil {
				s.behind = s.reader
			} else {
				s.reader.Close()
			}
			s.reader = nil
			return s.Next(ctx)
		}
		if err != nil {
			return exchange.Piece{}, err
		}
		if n := min(s.skip, int64(len(b))); n > 0 {
			s.skip -= n
			b = b[n:]
		}
		b = b[:min(int64(len(b)), s.end-s.at)]
		if len(b) == 0 {
			if s.at == s.end {
				return exchange.Piece{}, io.EOF
			}
			continue
		}
		s.at += int64(len(b))
		return exchange.Piece{Bytes: b}, nil
	}
}

// Close lets everything go.
func (s *sliceStream) Close() {
	s.held.Release()
	if s.reader != nil {
		s.reader.Release()
		s.reader = nil
	}
	if s.behind != nil {
		s.behind.Close()
	}
}

// fetch takes a place at the fill of a slice.
func (s *sliced) fetch(ctx context.Context, number int64) (*fill.Reader[*served], error) {
	if s.validator == "" {
		return nil, errMissing
	}
	q, ok := s.ask()
	if !ok {
		return nil, errMissing
	}
	r, err := s.p.fills.Join(ctx, fill.Place{Key: sliceFill(s.id, number), Began: q.began, Fence: invalidation.Moment{Era: q.began.Era}}, func(ctx context.Context, f *fill.Fill[*served]) error {
		return s.p.askSlice(ctx, f, q, s, number)
	})
	if err != nil {
		return nil, err
	}
	if _, err := r.Head(ctx, 0); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// sliceFill names the fill of a slice. No key of an object begins with a zero byte.
func sliceFill(id uint64, number int64) cachekey.Key {
	b := make([]byte, 1, 17)
	return cachekey.Key(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, id), uint64(number)))
}

// askSlice is the life of a fill that brings one slice (design 3.8): with If-Range, so
// that nothing of another representation can come.
func (p *Pipeline) askSlice(ctx context.Context, f *fill.Fill[*served], q *question, s *sliced, number int64) error {
	if p.Store.RecallSlice(ctx, s.id, number) { // stored between the look and the beginning of this fill
		return errStored
	}
	want := byterange.Slice(number, s.size)
	req := q.request
	req.Header = req.Header.Clone(2)
	req.Header.Set("Range", string(byterange.AppendRange(nil, want)))
	req.Header.Set("If-Range", s.validator)
	ctx, span := p.startOrigin(ctx, q, &req, false)
	defer span.End()
	res, err := p.Origins.Fetch(ctx, &req)
	p.endedOrigin(ctx, span, false, res, err)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // it does not fail
	if res.Status >= 500 || res.Status == 429 {
		return errRefused // D13.21: it says nothing about what is stored
	}
	part, ok := byterange.ParseContentRange(res.Header.Get("Content-Range"))
	if res.Status != 206 || !ok || part.Range != want || part.Size != s.size || !s.same(res) {
		if o := q.search(ctx, p).object; o != nil && o.Slices == s.id {
			p.Store.Replace(o, nil)
		}
		return errChanged
	}
	f.Begin(&served{}, fill.Body{Size: want.Length, Shared: true, Keep: byterange.SliceSize})
	pieces, whole, err := f.Copy(ctx, res.Body)
	if err == nil && whole {
		p.Store.PutSlice(s.id, number, q.began, join(pieces))
	}
	return err
}

// same says whether a part is one of the representation that is being sent.
func (s *sliced) same(res *origin.Response) bool {
	validator, ok := byterange.Strong(res.Header, res.ResponseTime)
	return ok && validator == s.validator
}

func join(pieces [][]byte) []byte {
	if len(pieces) == 1 {
		return pieces[0]
	}
	var out []byte
	for _, b := range pieces {
		out = append(out, b...)
	}
	return out
}

// announce stores the head of a body that has only begun to come and says whether it may:
// the origin gives slices of it apart. Who asks for it meanwhile takes those that are
// there, and fetches others.
func (p *Pipeline) announce(
	f *fill.Fill[*served], q *question, res *origin.Response, object *store.Object, id uint64, v httpcache.Vary,
) bool {
	if !header.Equal(res.Header.Get("Accept-Ranges"), "bytes") || f.Outdated() {
		return false
	}
	early := *object
	early.Slices, early.Size = id, res.ContentLength
	early.Prepare(httpcache.NotModifiedHeader)
	p.vary(q, &early, v)
	p.offer(&early)
	p.undo(f, &early)
	return true
}

func lengthOf(pieces [][]byte) (n int64) {
	for _, b := range pieces {
		n += int64(len(b))
	}
	return n
}
