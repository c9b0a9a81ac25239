// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// warm fills a directory with records of 1 KiB.
func warm(t testing.TB, dir string, limit int64, records int) {
	t.Helper()
	l := start(t, Config{Dir: dir, Limit: limit})
	head, body := make([]byte, 300), make([]byte, 1024)
	for i := range records {
		for l.Put(strconv.Itoa(i), Stamp{1, 1}, head, body) != nil {
			if err := l.Sync(t.Context()); err != nil { // it is busy
				t.Fatal(err)
			}
		}
	}
	l.close()
}

// After any stop a cache of many records is found again, and after a crash all but the
// last segment is read from index blocks.
func TestWarmRestart(t *testing.T) {
	dir := t.TempDir()
	const records = 60_000
	warm(t, dir, 256<<20, records)
	for _, clean := range []bool{true, false, false} {
		l := start(t, Config{Dir: dir, Limit: 256 << 20})
		<-l.Loaded()
		if r := l.Recovery(); r.Clean != clean || l.Stats().Objects != records || r.Dropped > 0 || r.Scanned > 1 {
			t.Errorf("clean stop %v: %d objects, %+v", clean, l.Stats().Objects, r)
		}
		for i := 0; i < records; i += 1000 {
			r, ok := l.Get(t.Context(), strconv.Itoa(i))
			if !ok {
				t.Fatalf("clean stop %v: no record %d", clean, i)
			}
			if b, err := r.Append(t.Context(), nil); err != nil || len(b) != 1024 {
				t.Error(err)
			}
			r.Release()
		}
		l.kill()
	}
}

func BenchmarkGet(b *testing.B) {
	l := start(b, Config{Dir: b.TempDir(), Limit: 256 << 20})
	defer l.close()
	body := make([]byte, 1024)
	for i := range 1000 {
		if err := l.Put(strconv.Itoa(i), Stamp{1, 1}, body[:300], body); err != nil {
			b.Fatal(err)
		}
	}
	l.sync()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r, ok := l.Get(b.Context(), strconv.Itoa(i%1000))
		if !ok {
			b.Fatal("a miss")
		}
		if _, err := r.Body(b.Context()); err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}

func BenchmarkPut(b *testing.B) {
	l := start(b, Config{Dir: b.TempDir(), Limit: 512 << 20})
	defer l.close()
	body := make([]byte, 1024)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_ = l.Put(strconv.Itoa(i), Stamp{1, 1}, body[:300], body) // may be busy
	}
}

// BenchmarkStart says how long a start takes until the first hit and until everything is
// read. SEAFRONT_DISK_BYTES is the size of the cache: 10737418240 for the goal of 10 GB.
func BenchmarkStart(b *testing.B) {
	size := int64(256 << 20)
	if v := os.Getenv("SEAFRONT_DISK_BYTES"); v != "" {
		var err error
		if size, err = strconv.ParseInt(v, 10, 64); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	records := int(size / 1500)
	warm(b, dir, size, records)
	for _, clean := range []bool{true, false} {
		b.Run(fmt.Sprintf("clean=%v", clean), func(b *testing.B) {
			if !clean { // the index of the last stop is gone with this
				l := start(b, Config{Dir: dir, Limit: size})
				<-l.Loaded()
				l.kill()
			}
			for range b.N {
				began := time.Now()
				l := start(b, Config{Dir: dir, Limit: size})
				key := strconv.Itoa(records - 1)
				for r, ok := l.Get(b.Context(), key); ; r, ok = l.Get(b.Context(), key) {
					if ok {
						r.Release()
						break
					}
				}
				b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-to-hit")
				<-l.Loaded()
				b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-to-all")
				b.ReportMetric(float64(l.Stats().Objects), "objects")
				if clean {
					l.close()
				} else {
					l.kill()
				}
			}
		})
	}
}
