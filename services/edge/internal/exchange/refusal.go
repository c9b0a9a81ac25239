// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// Refusal is what an adapter does not let become a request.
type Refusal struct {
	// Request is as much of it as is known, perhaps no more than the viewer. It has
	// neither header nor body.
	Request Request
	Why     Reason
}

// Refuser answers what is refused. Refuse sends one answer through to, which ends the
// connection.
type Refuser interface {
	Refuse(ctx context.Context, r *Refusal, to Sender)
}

// Plain is a Refuser whose answer is the sentence as text.
type Plain struct{}

// Refuse answers.
func (Plain) Refuse(ctx context.Context, r *Refusal, to Sender) {
	_, _ = to.Send(ctx, &Answer{ // the adapter knows what became of it
		Status: r.Why.Status(),
		Header: header.Fields{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}},
		Body:   Bytes([]byte(r.Why.Sentence() + "\n")),
		Close:  true,
	})
}
