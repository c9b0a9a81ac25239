// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"context"
	"errors"
	"math"

	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
	"github.com/seafront-cdn/seafront/services/edge/internal/fill"
)

// pouring is the body of a fill as a viewer gets it. One that falls out of the window of
// the fill goes on with what the fill stores in slices, which it waits for, and by range
// requests of its own for what is not stored (design 3.9); where it cannot, it is cut. How
// long a body is that did not announce it is known when the fill has ended.
type pouring struct {
	*fill.Reader[*served]
	size   int64   // -1 if unknown
	stored *sliced // nil where the body is not stored in slices
	at     int64   // bytes returned
	rest   *sliceStream
}

var _ exchange.Stream = (*pouring)(nil)

// Next returns the bytes that came since.
func (p *pouring) Next(ctx context.Context) (exchange.Piece, error) {
	if p.rest != nil {
		return p.rest.Next(ctx)
	}
	b, err := p.Reader.Next(ctx)
	if errors.Is(err, fill.ErrCut) && p.stored != nil {
		p.rest = &sliceStream{of: p.stored, at: p.at, end: p.size}
		if p.size < 0 {
			p.rest.end = math.MaxInt64 // until it is known
		}
		return p.rest.Next(ctx)
	}
	p.at += int64(len(b))
	return exchange.Piece{Bytes: b}, err
}

// Ready says whether bytes have come already, so that the head need not go alone.
func (p *pouring) Ready() bool { return p.rest == nil && p.Reader.Ready() }

// Close ends the interest in further bytes.
func (p *pouring) Close() {
	p.Reader.Close()
	if p.rest != nil {
		p.rest.Close()
	}
}

// spilledFor is where a viewer goes on that is too slow for a fill; nil where it cannot.
func (p *Pipeline) spilledFor(ctx context.Context, x *visit, a *served) *sliced {
	if a.spilled == nil {
		return nil
	}
	s := *a.spilled
	s.ask = func() (*question, bool) { return p.questionOf(ctx, x) }
	return &s
}

// arriving is a body that a fill brings, of which one part can be sent.
type arriving struct {
	reader *fill.Reader[*served]
	stored *sliced // as of pouring
}

var _ byterange.Source = arriving{}

// Section delivers the bytes of r.
func (a arriving) Section(r byterange.Range) exchange.Stream {
	return &sliceStream{of: a.stored, at: r.Start, end: r.End(), reader: a.reader, skip: r.Start}
}
