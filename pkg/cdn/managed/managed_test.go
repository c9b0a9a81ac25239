// SPDX-License-Identifier: Apache-2.0

package managed

import (
	"slices"
	"strings"
	"testing"
)

func TestCachePolicies(t *testing.T) {
	var ids []string
	for _, p := range CachePolicies() {
		id := strings.TrimPrefix(p.GetName(), "cachePolicies/")
		ids = append(ids, id)
		same, ok := CachePolicy(id)
		if !ok || same.GetDisplayName() != p.GetDisplayName() || len(p.GetEtag()) != 14 {
			t.Errorf("D27.a: %s: found %v, %v", id, same, ok)
		}
		if !(0 <= p.GetMinTtl().AsDuration() && p.GetMinTtl().AsDuration() <= p.GetDefaultTtl().AsDuration() && p.GetDefaultTtl().AsDuration() <= p.GetMaxTtl().AsDuration()) {
			t.Errorf("C2.99: %s: TTLs out of order", id)
		}
	}
	if len(ids) != 7 || !slices.IsSorted(ids) {
		t.Errorf("D27.a: ids %q", ids)
	}
	if _, ok := CachePolicy("x"); ok {
		t.Error("unknown policy found")
	}
}
