// SPDX-License-Identifier: Apache-2.0

package httpcache

import (
	"testing"
	"time"
)

func TestCacheStatus(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status CacheStatus
		want   string
	}{
		{"RFC 9211 2.1: hit", CacheStatus{Cache: "Seafront", Hit: true, Aged: true, TTL: 376 * time.Second}, "Seafront; hit; ttl=376"},
		{"RFC 9211 2.5: stale", CacheStatus{Cache: "Seafront", Hit: true, Aged: true, TTL: -412 * time.Second}, "Seafront; hit; ttl=-412"},
		{"RFC 9211 2.5: 0 is told", CacheStatus{Cache: "Seafront", Hit: true, Aged: true}, "Seafront; hit; ttl=0"},
		{
			"RFC 9211 2.2: miss", CacheStatus{Cache: "Seafront", Forward: ForwardURIMiss, ForwardStatus: 200, Stored: true, Collapsed: true},
			"Seafront; fwd=uri-miss; fwd-status=200; stored; collapsed",
		},
		{
			"RFC 9211 2.7, 2.8: key and detail", CacheStatus{Cache: "Seafront", Forward: ForwardStale, Key: `/a?"b\`, Detail: "OUT-OF-MEMORY"},
			`Seafront; fwd=stale; key="/a?\"b\\"; detail=OUT-OF-MEMORY`,
		},
		{"RFC 9211 2.8: detail in words", CacheStatus{Cache: "Seafront", Hit: true, Detail: "two words"}, `Seafront; hit; detail="two words"`},
		{"what no string can hold is left out", CacheStatus{Cache: "Seafront", Hit: true, Key: "/\xff", Detail: "a\r\nb"}, "Seafront; hit"},
		{"RFC 9211 2: a name that is no token", CacheStatus{Cache: "edge 1", Hit: true}, `"edge 1"; hit`},
		{"a name that begins like a number", CacheStatus{Cache: "1a"}, `"1a"`},
		{"a name that cannot be written", CacheStatus{Cache: "e\r\n"}, `"e??"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(tt.status.Append(nil))
			if got != tt.want {
				t.Errorf("Append = %q, want %q", got, tt.want)
			}
			// It is a list member with parameters, which a dictionary's value is too.
			if _, ok := parseDictionary("x=" + got); !ok {
				t.Errorf("%q is no Structured Field", got)
			}
		})
	}
}

func TestTTL(t *testing.T) {
	s := Span{ResponseTime: received, InitialAge: 10 * time.Second, Lifetime: time.Minute}
	if got := TTL(s, received.Add(20*time.Second)); got != 30*time.Second {
		t.Errorf("TTL = %v, want 30s", got)
	}
	if got := TTL(s, received.Add(time.Minute)); got != -10*time.Second {
		t.Errorf("TTL = %v, want -10s", got)
	}
}

func TestCacheStatusAllocatesNothing(t *testing.T) {
	var room [256]byte
	s := CacheStatus{Cache: "Seafront", Hit: true, Aged: true, TTL: time.Minute, Key: "/a"}
	if n := testing.AllocsPerRun(100, func() { s.Append(room[:0]) }); n != 0 {
		t.Errorf("Append allocates %v times, want 0", n)
	}
}
