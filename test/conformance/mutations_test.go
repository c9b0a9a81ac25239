// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

const (
	mutationBatches = 12
	mutationBatch   = 400
	mutationSeed    = 20261125
)

// morsels are put into requests.
func morsels() []string {
	return []string{
		"\r", "\n", "\r\n", "\r\n\r\n", "\x00", "\x0b", "\x0c", " ", "\t", "\r\n ", "\xa0", "\x85", "\xff", "\x1f", "\x7f", ":", ";", ",", "\"", "0", "5", "+", "-", "_", "=", "(", "/", "\\", "@", "#", "?", "//", "0x", "%0d%0a", "http://", "HTTP/1.1", "HTTP/1.0", "GET ", "chunked",
		"Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n", "Content-Length: 0\r\n", "Host: @HOST\r\n", "Connection: close\r\n", "Connection: Content-Length\r\n", "Connection: Transfer-Encoding, Host\r\n", "Upgrade: h2c\r\nConnection: Upgrade\r\n", "Upgrade: websocket\r\nConnection: Upgrade\r\n", "Expect: 100-continue\r\n", "TE: trailers\r\n", "Trailer: X\r\n", "X-HTTP-Method-Override: DELETE\r\n", "Range: bytes=0-1\r\n",
	}
}

// mutate changes a request in a few places.
func mutate(rnd *rand.Rand, s string) string {
	all := morsels()
	for range 1 + rnd.IntN(3) {
		at, morsel := rnd.IntN(len(s)+1), all[rnd.IntN(len(all))]
		lines := strings.SplitAfter(s, "\r\n")
		line, other := rnd.IntN(len(lines)), rnd.IntN(len(lines))
		switch rnd.IntN(6) {
		case 0:
			s = s[:at] + morsel + s[at:]
		case 1:
			s = s[:at] + s[min(len(s), at+1+rnd.IntN(3)):]
		case 2:
			lines[line] = morsel + lines[line]
			s = strings.Join(lines, "")
		case 3:
			lines[line], lines[other] = lines[other], lines[line]
			s = strings.Join(lines, "")
		case 4, 5: // behind a name, or at the end of a line
			if i := strings.IndexAny(s[at:], ":\r"); i >= 0 {
				s = s[:at+i] + morsel + s[at+i:]
			}
		}
	}
	return s
}

// mutations sends what chance makes of the cases, always the same. Whatever it is, the
// origin can read what it gets, and each answer is that of the request it stands for.
func mutations(t *testing.T, e *edge, r *results) {
	origin := startRecorder(t)
	host := e.site(t, "mutations", origin.address())
	rnd := rand.New(rand.NewPCG(mutationSeed, 0))
	var bases []string
	for _, c := range requestCases() {
		if len(c.raw) < 600 && !strings.Contains(c.raw, "HEAD") {
			bases = append(bases, c.raw)
		}
	}
	batches := mutationBatches
	if !full() {
		batches = 1
	}
	for b := range batches {
		var all sync.WaitGroup
		var mu sync.Mutex // guards failed
		var failed error
		queue := make(chan requestCase)
		for range 2 * together {
			all.Go(func() {
				for c := range queue {
					if err := c.holds(e.HTTP, host, origin); err != nil {
						mu.Lock()
						failed = fmt.Errorf("%w, by %q", err, c.raw)
						mu.Unlock()
					}
				}
			})
		}
		for i := range mutationBatch {
			queue <- requestCase{id: fmt.Sprintf("m-%d-%d", b+1, i), raw: mutate(rnd, bases[rnd.IntN(len(bases))])}
		}
		close(queue)
		all.Wait()
		r.add(fmt.Sprintf("mutations-%d", b+1), "", failed)
	}
}

// holds checks what has to hold of any bytes.
func (c requestCase) holds(address, host string, origin *recorder) error {
	got, err := exchangeBytes(address, c.bytes(host))
	if err != nil {
		return err
	}
	seen, _, garbage := origin.of(c.id)
	if len(garbage) > 0 {
		return fmt.Errorf("the origin cannot read what it gets: %s", garbage[0])
	}
	var asked, answered []string
	for _, s := range seen {
		asked = append(asked, strings.Fields(s)[1])
	}
	for _, a := range got {
		if a.status == 200 && strings.HasPrefix(a.answers, c.prefix()+"/") {
			answered = append(answered, a.answers)
		}
	}
	if !isSubsequence(answered, asked) {
		return fmt.Errorf("the viewer got %v, the origin saw %.300q", got, seen)
	}
	return nil
}
