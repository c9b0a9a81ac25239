// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// TestIndexIsItsModel holds the index against a map, with hashes that crowd.
func TestIndexIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex(4)
		for i := range x.slots {
			x.slots[i].Store(newSegment(1, uint16(i)))
		}
		want := map[hash]place{}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			var h hash
			h[8], h[15] = rapid.Byte().Draw(t, "home"), rapid.ByteRange(0, 3).Draw(t, "key")
			p := place{
				offset: rapid.Uint32Range(0, 3).Draw(t, "offset"), size: rapid.Uint32Range(1, 1<<24-1).Draw(t, "size"),
				slot: rapid.Uint16Range(0, 3).Draw(t, "slot"), lead: 9,
			}
			now, there := want[h]
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1, 2:
				x.set(h, p, 0)
				want[h] = p
			case 3:
				if x.remove(h) != there {
					t.Fatal("remove")
				}
				delete(want, h)
			case 4:
				if x.removeAt(h, now) != there {
					t.Fatal("removeAt")
				}
				delete(want, h)
			case 5:
				if x.move(h, now, p, flagVerified); there {
					want[h] = p
				}
			case 6:
				if got, _, seg := x.get(h, 1); (seg != nil) != there || got != now {
					t.Fatalf("get = %v, %v, want %v, %v", got, seg != nil, now, there)
				}
			}
			if x.objects.Load() != int64(len(want)) {
				t.Fatalf("%d objects, want %d", x.objects.Load(), len(want))
			}
		}
		var bytes int64
		seen := 0
		for slot := range 4 {
			live := int32(0)
			x.each(slot, func(h hash, p place, _ uint32) {
				if want[h] != p {
					t.Errorf("%x at %v, want %v", h, p, want[h])
				}
				seen++
				live++
				bytes += int64(p.length())
			})
			if live != x.live[slot].Load() {
				t.Errorf("%d live in slot %d, counted %d", live, slot, x.live[slot].Load())
			}
		}
		if seen != len(want) || bytes != x.bytes.Load() {
			t.Errorf("%d entries of %d bytes, want %d of %d", seen, bytes, len(want), x.bytes.Load())
		}
	})
}

// Design §4: at most 100 bytes of memory for each record. Tables are filled to between
// 64 and 80 percent.
func TestMemoryOfTheIndex(t *testing.T) {
	if n := unsafe.Sizeof(entry{}); n != entryBytes {
		t.Errorf("an entry takes %d bytes", n)
	}
	x, id := newIndex(1), newIdentity([32]byte{})
	const objects = 300_000
	for i := range objects {
		h := id.hash(string([]byte{byte(i), byte(i >> 8), byte(i >> 16)}))
		x.set(h, place{offset: uint32(i), size: 1, lead: 9}, 0)
	}
	taken := 0
	for i := range x.shards {
		taken += cap(x.shards[i].table) * entryBytes
	}
	if per := taken / objects; per > 45 {
		t.Errorf("%d bytes for each record", per)
	}
}

func TestHits(t *testing.T) {
	x := newIndex(1)
	x.slots[0].Store(newSegment(1, 0))
	h, p := hash{1}, place{offset: 1, size: 1 << 20, lead: 9}
	x.set(h, p, 0)
	for range 2 * mostHits {
		x.get(h, 1)
	}
	if hits, is := x.at(h, p); hits != mostHits || !is {
		t.Errorf("hits = %d, %v", hits, is)
	}
	x.verify(h, p)
	if now, verified, _ := x.get(h, 1); now != p || !verified {
		t.Errorf("%v, %v", now, verified)
	}
}
