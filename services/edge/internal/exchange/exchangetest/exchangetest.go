// SPDX-License-Identifier: Apache-2.0

// Package exchangetest has what tests of both sides of an exchange need: it reads
// answers as an adapter does. It is for tests only.
package exchangetest

import (
	"context"
	"errors"
	"io"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
	"github.com/seafront-cdn/seafront/services/edge/internal/exchange"
)

// Silent is what most senders of tests do about interim answers and viewers that
// leave: nothing. It is embedded.
type Silent struct{}

// Interim does nothing.
func (Silent) Interim(int, header.Fields) error { return nil }

// Watch returns ctx.
func (Silent) Watch(ctx context.Context) (watched context.Context, stop func()) {
	return ctx, func() {}
}

// Read gives each piece of a body to take, in order, and closes it. It returns how
// many bytes there were.
func Read(ctx context.Context, b exchange.Body, take func([]byte)) (n int64, err error) {
	each := func(p []byte) {
		n += int64(len(p))
		take(p)
	}
	if b.Stream == nil {
		each(b.Bytes)
		return n, nil
	}
	defer b.Stream.Close()
	for {
		piece, err := b.Stream.Next(ctx)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if err := readPiece(piece, each); err != nil {
			return n, err
		}
	}
}

func readPiece(p exchange.Piece, each func([]byte)) error {
	if p.File == nil {
		each(p.Bytes)
		return nil
	}
	b := make([]byte, p.Length)
	if _, err := p.File.ReadAt(b, p.Offset); err != nil {
		return err
	}
	each(b)
	return nil
}

// Header returns all fields of an answer, with strings of their own.
func Header(a *exchange.Answer) header.Fields {
	var h header.Fields
	for name, value := range a.Fields {
		h.Add(string([]byte(name)), string([]byte(value)))
	}
	return h
}
