// SPDX-License-Identifier: Apache-2.0

package script

import (
	"fmt"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// Limits of stores and batches (C2.152, C4.53). A batch within them is far below the
// 3 MB that CloudFront allows besides.
const (
	maxKey   = 512  // bytes
	maxValue = 1024 // bytes
	maxBatch = 50   // entries
	// DefaultStoreBytes is how many bytes the keys and values of a store may have
	// together unless the server is set to another limit.
	DefaultStoreBytes = 5 << 20
	// MaxEntries is how many entries a store may have. CloudFront names no such limit;
	// this one bounds what the deletion of a store does in one step.
	MaxEntries = 65536
)

// CheckStoreID checks the name that a client chooses for a store, at
// key_value_store_id.
func CheckStoreID(id string) []rules.Violation {
	_, vs := rules.ParseName("key_value_store_id", keys.KeyValueStores, keys.KeyValueStores.Name(id))
	return vs
}

// CheckStore returns all that is wrong with a store by itself.
func CheckStore(s *configv1.KeyValueStore) []rules.Violation {
	var out rules.Findings
	out.Join(rules.CheckLabels("labels", s.GetLabels()))
	out.Comment("comment", s.GetComment())
	return out.Found()
}

// CheckKey checks the key of an entry.
func CheckKey(field, key string) []rules.Violation {
	var out rules.Findings
	switch n := len(key); {
	case n == 0:
		out.Add(field, rules.ReasonInvalid, "is empty; want 1 to %d bytes", maxKey)
	case n > maxKey:
		out.Add(field, ReasonTooLarge, "has %d bytes; want at most %d", n, maxKey)
	}
	return out.Found()
}

// CheckBatch returns all that is wrong with a batch by itself, with paths from the
// request.
func CheckBatch(puts []*configv1.KeyValueEntry, deletes []string) []rules.Violation {
	var out rules.Findings
	switch n := len(puts) + len(deletes); {
	case n == 0:
		out.Add("puts", rules.ReasonInvalid, "is empty, and so is deletes; want 1 to %d entries", maxBatch)
	case n > maxBatch:
		out.Add("puts", ReasonTooLarge, "has %d entries together with deletes; want at most %d", n, maxBatch)
		return out.Found()
	}
	first := map[string]string{}
	once := func(field, key string) {
		out.Join(CheckKey(field, key))
		if at, twice := first[key]; twice {
			out.Add(field, rules.ReasonInvalid, "is the same key as %s; want each once", at)
			return
		}
		first[key] = field
	}
	for i, e := range puts {
		once(fmt.Sprintf("puts[%d].key", i), e.GetKey())
		if n := len(e.GetValue()); n > maxValue {
			out.Add(fmt.Sprintf("puts[%d].value", i), ReasonTooLarge, "has %d bytes; want at most %d", n, maxValue)
		}
	}
	for i, key := range deletes {
		once(fmt.Sprintf("deletes[%d]", i), key)
	}
	return out.Found()
}
