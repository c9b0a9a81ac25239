// SPDX-License-Identifier: Apache-2.0

package program

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// pause is the time between two questions of Await.
const pause = 20 * time.Millisecond

// Await asks until the answer is nil, and fails the test with the last error when
// that takes longer than within. what stands in the message.
func Await(t testing.TB, what string, within time.Duration, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not so after %v: %v", what, within, err)
		case <-time.After(pause):
		}
	}
}

// Ready waits until the page at url answers 200, or fails the test when the program
// ends first.
func (p *Process) Ready(t testing.TB, url string, within time.Duration) {
	t.Helper()
	Await(t, p.name+" is ready", within, func(ctx context.Context) error {
		select {
		case <-p.ended:
			t.Fatalf("%s ended before it was ready: %v\n%s", p.name, p.err, p.Log())
		default:
		}
		return Page(ctx, url)
	})
}

// Page returns nil when the page at url answers 200, and what is wrong otherwise.
func Page(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, res.Status, body)
	}
	return nil
}

// Address returns an address of this machine that is free now and stays so over a
// restart: its port is below those that the system gives to clients.
func Address(t testing.TB) string {
	t.Helper()
	const lowest, highest, tries = 10_000, 30_000, 100
	for range tries {
		a := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+rand.IntN(highest-lowest)))
		if l, err := net.Listen("tcp", a); err == nil {
			_ = l.Close()
			return a
		}
	}
	t.Fatal("no free port found")
	return ""
}
