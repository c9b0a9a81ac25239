// SPDX-License-Identifier: Apache-2.0

package h2

import (
	"cmp"
	"time"
)

// Budget is how many frames of a sort a connection may send: Burst at once, and
// PerSecond in the long run. Zero values have the default of their field of Limits.
type Budget struct {
	Burst, PerSecond int
}

// Limits bound what a viewer may send beside requests. What normal use brings along
// in any number is paid for by it: each answer that is sent in full and the bytes of
// answers add to the budgets (see worth), so no viewer is cut for being busy. Zero
// fields have defaults.
type Limits struct {
	// Streams is how many requests a connection may have under way; it is announced,
	// and more are reset.
	Streams uint32
	// HeaderBytes bounds one header block as it is sent, compressed, and Continuations
	// the frames that it comes in after the first.
	HeaderBytes, Continuations int
	// Resets are requests that the viewer takes back (CVE-2023-44487), Faults those
	// that its errors make the edge reset (CVE-2025-8671).
	Resets, Faults Budget
	// Pings, Settings, Priorities and WindowUpdates are frames of that type,
	// acknowledgements included (CVE-2019-9512, CVE-2019-9515, CVE-2019-9513,
	// CVE-2019-9511).
	Pings, Settings, Priorities, WindowUpdates Budget
	// Empty are frames of DATA, HEADERS and CONTINUATION that carry nothing and end
	// nothing (CVE-2019-9518). Tiny are those of DATA that carry hardly anything: programs
	// that write byte by byte send them, so there may be many.
	Empty, Tiny Budget
	// Unknown are frames of all other types, which are ignored.
	Unknown Budget
}

// DefaultLimits are far above what browsers, programs and load generators send.
func DefaultLimits() Limits {
	return Limits{
		Streams:       128,
		HeaderBytes:   80 << 10,
		Continuations: 32,
		Resets:        Budget{1000, 33},
		Faults:        Budget{1000, 100},
		Pings:         Budget{500, 20},
		Settings:      Budget{100, 2},
		Priorities:    Budget{1000, 50},
		WindowUpdates: Budget{2000, 500},
		Empty:         Budget{500, 20},
		Tiny:          Budget{100000, 20000},
		Unknown:       Budget{500, 20},
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	l.Streams = cmp.Or(l.Streams, d.Streams)
	l.HeaderBytes = cmp.Or(l.HeaderBytes, d.HeaderBytes)
	l.Continuations = cmp.Or(l.Continuations, d.Continuations)
	for i, b := range l.budgets() {
		standard := *d.budgets()[i]
		b.Burst = cmp.Or(b.Burst, standard.Burst)
		b.PerSecond = cmp.Or(b.PerSecond, standard.PerSecond)
	}
	return l
}

// budgets are those of each sort, with nil for the reasons that are no budgets.
func (l *Limits) budgets() [sorts]*Budget {
	return [sorts]*Budget{
		resets: &l.Resets, faults: &l.Faults, pings: &l.Pings, settings: &l.Settings, priorities: &l.Priorities,
		windowUpdates: &l.WindowUpdates, empty: &l.Empty, tiny: &l.Tiny, unknown: &l.Unknown,
	}
}

// Reason says why a connection was ended. Its String is the word of the metric.
type Reason uint8

// The first reasons are sorts of frames, each with a budget.
const (
	resets Reason = iota
	faults
	pings
	settings
	priorities
	windowUpdates
	empty
	tiny
	unknown
	sorts // their number; as a reason: none

	headerBytes   // a header block with too many bytes
	continuations // in too many frames
	slowHeader    // that takes too long
)

// none is the reason of connections that go on.
const none = sorts

// String returns the word for logs and metrics.
func (r Reason) String() string {
	return [...]string{
		resets: "resets", faults: "faults", pings: "pings", settings: "settings", priorities: "priorities",
		windowUpdates: "window_updates", empty: "empty_frames", tiny: "tiny_frames", unknown: "unknown_frames", none: "none",
		headerBytes: "header_bytes", continuations: "continuations", slowHeader: "slow_header",
	}[r]
}

// worth is what an answer that was sent in full, and each so many bytes of answers,
// add to the budget of a sort. As many requests may be taken back as are answered, each
// may come with a PING and an empty frame and change its priority a few times, and a
// viewer may open its windows, of stream and connection, for every 512 bytes.
var worth = [sorts]struct{ answer, perBytes float64 }{ //nolint:gochecknoglobals // a table, never written to
	resets:        {answer: 1},
	pings:         {answer: 1, perBytes: 1.0 / 4096},
	priorities:    {answer: 4},
	windowUpdates: {answer: 4, perBytes: 1.0 / 256},
	empty:         {answer: 1},
	unknown:       {answer: 2},
}

// bucket is what is left of a budget.
type bucket struct {
	left float64
	at   time.Time // when left was right
}

// take spends one and says whether there was one.
func (b *bucket) take(from Budget, now time.Time) bool {
	if b.at.IsZero() {
		b.left += float64(from.Burst)
	} else {
		b.left += now.Sub(b.at).Seconds() * float64(from.PerSecond)
	}
	b.at = now
	b.left = min(b.left, float64(from.Burst)) - 1
	return b.left >= 0
}
