// SPDX-License-Identifier: Apache-2.0

package deployment

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	commonv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/common/v1"
)

// listed is how many rejections and pending edges an answer names.
const listed = 20

// ConditionConverged is the type of the one condition of a distribution.
const ConditionConverged = "EdgesConverged"

// Reasons of the condition.
const (
	ReasonDeployed = "ALL_EDGES_CURRENT"
	ReasonNoEdge   = "NO_EDGE_REGISTERED" // C8.70: usable without edges
	ReasonNoneLive = "NO_LIVE_EDGE"
	ReasonPending  = "EDGES_PENDING"
	ReasonRejected = "EDGES_REJECT" // C8.76
	ReasonUnknown  = "STATUS_BEHIND"
)

// reasonTruncated is given for an edge that rejects more records than it names: the
// asked one may be among them, and a wrong "deployed" is the worse answer.
const reasonTruncated = "REJECTIONS_TRUNCATED"

// Question names a distribution and how far it has to have travelled.
type Question struct {
	ID string
	// Revision is the distribution's own revision as the asker has read it.
	Revision int64
	// Want is the revision that live edges have to serve; 0 is the newest of the
	// distribution and what it refers to (C8.69).
	Want int64
}

// Answer is the deployment of a distribution at one moment.
type Answer struct {
	Deployment *commonv1.Deployment
	Converged  *commonv1.Condition
}

// Deployed says whether every live edge serves what was asked for.
func (a Answer) Deployed() bool {
	return a.Deployment.GetState() == commonv1.Deployment_STATE_DEPLOYED
}

// Of answers from what the index has been told so far.
func (x *Index) Of(q Question) Answer {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.of(q)
}

// Behind is the answer of a server whose index has not reached the distribution: it
// is not known to be deployed.
func Behind(q Question) Answer {
	return Answer{
		Deployment: &commonv1.Deployment{State: commonv1.Deployment_STATE_IN_PROGRESS, TargetRevision: max(q.Revision, q.Want)},
		Converged: &commonv1.Condition{
			Type: ConditionConverged, Status: commonv1.Condition_STATUS_UNKNOWN, Reason: ReasonUnknown,
			Message: "this server has not yet received the present version from etcd; ask again",
		},
	}
}

// subject is what a question is about, worked out once for all edges.
type subject struct {
	name     string
	target   int64
	accepted int64            // when target was accepted, 0 when not seen
	parts    map[string]int64 // the distribution and what it refers to, at their revisions
}

func (x *Index) subject(q Question) subject {
	d := x.distributions[q.ID]
	d.revision = max(d.revision, q.Revision)
	s := subject{name: keys.Distributions.Name(q.ID), target: d.revision, accepted: d.accepted, parts: map[string]int64{}}
	s.parts[s.name] = d.revision
	for _, name := range d.deps {
		v := x.resources[name]
		s.parts[name] = v.revision
		if v.revision > s.target {
			s.target, s.accepted = v.revision, v.accepted
		}
	}
	if q.Want > 0 && q.Want != s.target {
		s.target, s.accepted = q.Want, x.acceptedAt(d, q.Want)
	}
	return s
}

// acceptedAt is when the distribution or something it refers to was written at
// revision; 0 when that is not known.
func (x *Index) acceptedAt(d distribution, revision int64) int64 {
	if d.revision == revision {
		return d.accepted
	}
	for _, name := range d.deps {
		if v := x.resources[name]; v.revision == revision {
			return v.accepted
		}
	}
	return 0
}

func (x *Index) of(q Question) Answer {
	s := x.subject(q)
	out := &commonv1.Deployment{State: commonv1.Deployment_STATE_IN_PROGRESS, TargetRevision: s.target}
	registered, absent := false, map[commonv1.EdgeState]int{}
	var since time.Time
	for _, e := range x.edges {
		registered = registered || e.identity != nil
		if !e.live() {
			if e.identity != nil {
				absent[e.state]++
			}
			continue
		}
		applied := e.applied(x.epoch)
		if out.EdgesTotal == 0 || applied < out.MinAppliedRevision {
			out.MinAppliedRevision = applied
		}
		out.EdgesTotal++
		rejections := e.rejections(s, applied)
		if applied >= s.target && len(rejections) == 0 {
			out.EdgesCurrent++
			if at := e.reached(s.target).since; at.After(since) {
				since = at
			}
			continue
		}
		if len(rejections) > 0 {
			out.EdgesRejected++
			out.Rejections = append(out.Rejections, rejections[:min(len(rejections), listed-len(out.Rejections))]...)
		}
		if len(out.PendingEdges) < listed {
			out.PendingEdges = append(out.PendingEdges, keys.Edges.Name(e.id))
		}
	}
	if !registered || out.EdgesTotal > 0 && out.EdgesCurrent == out.EdgesTotal {
		out.State = commonv1.Deployment_STATE_DEPLOYED
	}
	if out.State == commonv1.Deployment_STATE_DEPLOYED && !since.IsZero() {
		out.Since = timestamppb.New(since)
	}
	return Answer{out, condition(out, registered, absent, s.accepted)}
}

// rejections are what the edge, which serves applied, rejects of the subject at its
// present version.
func (e *edge) rejections(s subject, applied int64) []*commonv1.EdgeRejection {
	var out []*commonv1.EdgeRejection
	for _, r := range e.status.GetRejected() {
		revision, ours := s.parts[r.GetResource()]
		if !ours || r.GetRevision() < revision || r.GetRevision() > s.target {
			continue
		}
		out = append(out, &commonv1.EdgeRejection{
			Edge: keys.Edges.Name(e.id), Resource: r.GetResource(), Revision: r.GetRevision(), Reason: r.GetReason(), Message: r.GetMessage(),
		})
	}
	if n := len(e.status.GetRejected()); len(out) == 0 && int(e.status.GetRejectedCount()) > n && applied >= s.target {
		out = append(out, &commonv1.EdgeRejection{
			Edge: keys.Edges.Name(e.id), Resource: s.name, Revision: s.target, Reason: reasonTruncated,
			Message: fmt.Sprintf("the edge rejects %d records and names %d of them; this may be one of the others", e.status.GetRejectedCount(), n),
		})
	}
	return out
}

// condition puts the deployment into words. absent counts the registered edges that do
// not count, by state.
func condition(d *commonv1.Deployment, registered bool, absent map[commonv1.EdgeState]int, accepted int64) *commonv1.Condition {
	out := &commonv1.Condition{Type: ConditionConverged, Status: commonv1.Condition_STATUS_FALSE}
	if accepted != 0 {
		out.LastTransitionTime = timestamppb.New(time.Unix(0, accepted))
	}
	switch {
	case !registered:
		out.Status, out.Reason, out.Message = commonv1.Condition_STATUS_UNKNOWN, ReasonNoEdge, "no edge has registered"
	case d.EdgesTotal == 0:
		out.Reason, out.Message = ReasonNoneLive, "no registered edge is live"
	case d.State == commonv1.Deployment_STATE_DEPLOYED:
		out.Status, out.Reason = commonv1.Condition_STATUS_TRUE, ReasonDeployed
		out.Message = fmt.Sprintf("all %d live edges serve revision %d or newer", d.EdgesTotal, d.TargetRevision)
		out.LastTransitionTime = d.Since
	case d.EdgesRejected > 0:
		out.Reason, out.Message = ReasonRejected, fmt.Sprintf("%d of %d live edges cannot use revision %d", d.EdgesRejected, d.EdgesTotal, d.TargetRevision)
	default:
		out.Reason, out.Message = ReasonPending, fmt.Sprintf("%d of %d live edges serve revision %d", d.EdgesCurrent, d.EdgesTotal, d.TargetRevision)
	}
	if words := counted(absent); words != "" {
		out.Message += "; not counted: " + words
	}
	return out
}

// counted puts numbers of edges into words, for example 2 draining, 1 gone.
func counted(edges map[commonv1.EdgeState]int) string {
	var out []string
	for _, state := range slices.Sorted(maps.Keys(edges)) {
		word := strings.ToLower(strings.TrimPrefix(state.String(), "EDGE_STATE_"))
		out = append(out, fmt.Sprintf("%d %s", edges[state], word))
	}
	return strings.Join(out, ", ")
}
