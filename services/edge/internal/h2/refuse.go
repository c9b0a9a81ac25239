// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"bytes"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"
)

// refusals are the streams of a connection that are reset with REFUSED_STREAM: nothing
// was done for them, so whoever asked may ask again, whatever the method
// (RFC 9113 §8.7). A handler of x/net can only have its stream reset with
// INTERNAL_ERROR; the code is changed on its way out.
type refusals struct {
	given atomic.Int64 // how many streams were refused

	mu      sync.Mutex // guards streams
	streams map[uint32]struct{}
}

// begin notes that the stream of w is refused, and says whether it can be: the next
// reset of it then has the code. There are most of them on a connection; a viewer that
// goes on has to be told otherwise.
func (r *refusals) begin(w http.ResponseWriter, most int64) bool {
	if r.given.Load() >= most {
		return false
	}
	id, ok := streamOf(w)
	if !ok {
		return false
	}
	r.given.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams == nil {
		r.streams = map[uint32]struct{}{}
	}
	r.streams[id] = struct{}{}
	return true
}

// end says whether the reset of a stream is to be a refusal.
func (r *refusals) end(stream uint32) bool {
	if r.given.Load() == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.streams[stream]
	delete(r.streams, stream)
	return ok
}

// streamOf is the stream that w answers on. x/net tells it to nobody, so it is read from
// w itself; where w looks otherwise there is none.
func streamOf(w http.ResponseWriter) (id uint32, ok bool) {
	v := reflect.ValueOf(w)
	for _, name := range [...]string{"rws", "stream", "id"} {
		if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
			return 0, false
		}
		v = v.Elem().FieldByName(name)
	}
	if v.Kind() != reflect.Uint32 {
		return 0, false
	}
	return uint32(v.Uint()), true
}

// refusing is p with REFUSED_STREAM in place of INTERNAL_ERROR in the reset whose last
// octet is at end-1. Only that octet differs, and it is in one piece whatever the frame
// is in.
func refusing(p []byte, end int) []byte {
	p = bytes.Clone(p) // it is the caller's
	p[end-1] = byte(http2.ErrCodeRefusedStream)
	return p
}
