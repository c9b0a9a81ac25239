// SPDX-License-Identifier: Apache-2.0

package completion

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

func at(second int64) time.Time { return time.Unix(second, 0).UTC() }

func obeys(revision, second int64) *edgev1.EdgeStatus {
	return &edgev1.EdgeStatus{Epoch: "e", AppliedInvalidationRevision: revision, ReportTime: timestamppb.New(at(second))}
}

func TestAcknowledged(t *testing.T) {
	var e edge
	if _, ok := e.acknowledged(1); ok {
		t.Error("acknowledged without a report")
	}
	e.report(obeys(10, 1), "e", 5)
	e.report(obeys(12, 2), "e", 5) // follows no invalidation
	e.report(obeys(20, 3), "e", 15)
	e.report(obeys(20, 4), "e", 15)
	for _, tt := range []struct {
		revision, second int64
		ok               bool
	}{{5, 1, true}, {10, 1, true}, {15, 3, true}, {20, 3, true}, {21, 0, false}} {
		when, ok := e.acknowledged(tt.revision)
		if ok != tt.ok || ok && !when.Equal(at(tt.second)) {
			t.Errorf("revision %d: %v, %v; want second %d, %v", tt.revision, when, ok, tt.second, tt.ok)
		}
	}
	if len(e.steps) != 2 {
		t.Errorf("%d steps, want those that took in an invalidation", len(e.steps))
	}
	// C8.88: an edge of another data set obeys nothing of this one.
	other := obeys(30, 5)
	other.Epoch = "other"
	e.report(other, "e", 15)
	if _, ok := e.acknowledged(5); ok || e.obeyedIn("e") != 0 {
		t.Error("acknowledged in another data set")
	}
	// What is remembered is bounded, and an older question is answered by what is left.
	for i := range int64(10 * maxSteps) {
		e.report(obeys(100+i, 100+i), "e", 100+i)
	}
	if when, ok := e.acknowledged(100); len(e.steps) != maxSteps || !ok || !when.After(at(100)) {
		t.Errorf("%d steps; the oldest revision: %v, %v", len(e.steps), when, ok)
	}
}

func TestFoundDead(t *testing.T) {
	var e edge
	var d deaths
	said := func(boot string, counts ...*edgev1.DeadCount) {
		for name, n := range e.found(&edgev1.EdgeStatus{BootId: boot, Dead: counts}) {
			d.add(name, n)
		}
	}
	count := func(name string, n int64) *edgev1.DeadCount { return &edgev1.DeadCount{Invalidation: name, Objects: n} }
	said("1", count("a", 3))
	said("1", count("a", 5), count("b", 1))
	said("1", count("b", 2)) // a is no longer among the newest
	said("1", count("a", 6), count("b", 2))
	said("2", count("b", 4)) // another run counts anew
	said("2", count("b", 3)) // and nothing is ever taken back
	if d.sums["a"] != 6 || d.sums["b"] != 6 {
		t.Errorf("sums %v, want 6 and 6", d.sums)
	}
	for i := range 2 * maxDead {
		said("3", count(fmt.Sprint("x", i), 1))
	}
	if len(d.sums) != maxDead || len(d.names) != maxDead || d.sums["a"] != 0 || d.sums[fmt.Sprint("x", 2*maxDead-1)] != 1 || len(e.dead) > maxCounts {
		t.Errorf("%d sums of %d names, %d counts of the edge", len(d.sums), len(d.names), len(e.dead))
	}
}

func TestSlowest(t *testing.T) {
	var acks []*storev1.Acknowledgement
	for i := range Named + 10 {
		acks = append(acks, &storev1.Acknowledgement{Edge: fmt.Sprintf("e%04d", Named+10-i), Time: timestamppb.New(at(int64(i)))})
	}
	got := Slowest(acks)
	if len(got) != Named || got[0].GetEdge() != "e0001" || got[Named-1].GetEdge() != fmt.Sprintf("e%04d", Named) {
		t.Errorf("%d from %v to %v", len(got), got[0], got[len(got)-1])
	}
}
