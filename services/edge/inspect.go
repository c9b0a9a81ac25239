// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"time"

	"github.com/seafront-cdn/seafront/pkg/rpc"
	"github.com/seafront-cdn/seafront/services/edge/internal/inspect"
	"github.com/seafront-cdn/seafront/services/edge/internal/pipeline"
)

// Part is CacheService of this edge, for a server of gRPC. That may outlive the edge: once
// Run has ended calls are refused.
func (e *Edge) Part() rpc.Part { return e.inspector }

// inspect makes what tells of the cache. It is closed before anything that it looks at.
func (e *Edge) inspect(answers *pipeline.Pipeline) {
	e.inspector = inspect.New(inspect.Config{
		Edge: e.cfg.ID, Pipeline: answers, Store: e.objects, Loaded: e.follower.Loaded, Started: time.Now(),
	})
	e.closers = append(e.closers, e.inspector.Close)
}
