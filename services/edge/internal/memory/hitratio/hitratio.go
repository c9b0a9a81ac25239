// SPDX-License-Identifier: Apache-2.0

// Package hitratio replays traces of requests through rules of admission and eviction
// and counts what each would have answered from memory. It is how the rule of package
// memory was chosen and how it is held to its peers: its test compares them on traces
// made here, and `make hitratio TRACES=dir` on those of a directory.
//
// It knows keys and sizes only: no time, no freshness, and no cost of a miss.
package hitratio

// Request is one request of a trace.
type Request struct {
	Key  int32 // dense: 0 to Trace.Objects-1
	Size int64 // in bytes; the same at every request of the key
}

// Trace is a sequence of requests, for what it tells of a rule.
type Trace struct {
	Name     string
	Requests []Request
	Objects  int   // how many keys there are
	Bytes    int64 // size of all objects together: the footprint
}

// Cache is a rule at work: it says of each request in turn whether the object was
// there, and takes it in, or does not, if not.
type Cache interface {
	Request(key int32, size int64) (hit bool)
}

// Rule is a way to make a Cache of that many bytes for a trace.
type Rule struct {
	Name string
	New  func(t *Trace, capacity int64) Cache
}

// Misses are the shares of requests and of bytes that were not there.
type Misses struct{ Objects, Bytes float64 }

// Replay sends the requests of t to c.
func Replay(t *Trace, c Cache) Misses {
	var missed, missedBytes, bytes int64
	for _, r := range t.Requests {
		bytes += r.Size
		if !c.Request(r.Key, r.Size) {
			missed++
			missedBytes += r.Size
		}
	}
	if len(t.Requests) == 0 || bytes == 0 {
		return Misses{}
	}
	return Misses{Objects: float64(missed) / float64(len(t.Requests)), Bytes: float64(missedBytes) / float64(bytes)}
}

// Rules are all rules of this package.
func Rules() []Rule {
	return []Rule{FIFO(), LRU(), Clock(), Sieve(), ARC(), GDSF(), TinyLFU(), Otter(), S3FIFO(), Belady()}
}
