// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sample fills a directory with a log of several segments: keys 0 to 99, of which those
// that 10 divides are deleted in the segment after.
func sample(t *testing.T, clean bool) (dir string) {
	t.Helper()
	dir = t.TempDir()
	l := start(t, small(dir))
	for i := range 100 {
		l.put(fmt.Sprint(i), i, 1000+i*13)
		if i%10 == 9 {
			l.Delete(fmt.Sprint(i - 9))
		}
	}
	l.sync()
	if clean {
		l.close()
	} else {
		l.kill()
	}
	return dir
}

// found opens a log and returns how many of the keys of sample are there. One that was
// deleted is an error.
func (s sampled) found(t *testing.T, j *journal) (hits int, r Recovery) {
	t.Helper()
	cfg := small(s.dir)
	cfg.Log = j.logger()
	l := start(t, cfg)
	defer l.close()
	<-l.Loaded()
	for i := range 100 {
		switch version := get(t, l.Log, fmt.Sprint(i)); {
		case version < 0:
		case i%10 == 0:
			t.Errorf("%s: deleted key %d is back", s.name, i)
		default:
			hits++
		}
	}
	return hits, l.Recovery()
}

type sampled struct{ name, dir string }

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func edit(t *testing.T, name string, change func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFlippedBits(t *testing.T) {
	for _, clean := range []bool{true, false} {
		from := sample(t, clean)
		files := append(segmentFiles(t, from), filepath.Join(from, identityName))
		if clean {
			files = append(files, filepath.Join(from, snapshotName))
		}
		r := rand.New(rand.NewPCG(1, 2))
		for round := range 30 {
			name := files[round%len(files)]
			dir := copyDir(t, from)
			at := 0
			edit(t, filepath.Join(dir, filepath.Base(name)), func(b []byte) []byte {
				at = r.IntN(len(b))
				if round%4 == 0 {
					at = len(b) - 1 - r.IntN(min(len(b), 200)) // the index block's trailer
				}
				b[at] ^= 1 << r.IntN(8)
				return b
			})
			s := sampled{fmt.Sprintf("bit of byte %d of %s", at, filepath.Base(name)), dir}
			hits, got := s.found(t, &journal{})
			if filepath.Base(name) == identityName {
				if hits != 0 || got.Refused == "" {
					t.Errorf("%s: %d hits, %+v", s.name, hits, got)
				}
			} else if hits < 80 && got.Dropped == 0 {
				t.Errorf("%s: %d hits, %+v", s.name, hits, got)
			}
		}
	}
}

func TestTruncatedSegments(t *testing.T) {
	for _, clean := range []bool{true, false} {
		from := sample(t, clean)
		files := segmentFiles(t, from)
		if len(files) < 3 {
			t.Fatalf("%d segments", len(files))
		}
		for i, name := range files {
			if !clean && i == len(files)-1 {
				continue // nobody can tell what was at the end of the last one
			}
			for _, share := range []int{0, 1, 30, 50, 99} {
				dir := copyDir(t, from)
				edit(t, filepath.Join(dir, filepath.Base(name)), func(b []byte) []byte { return b[:len(b)*share/100] })
				s := sampled{fmt.Sprintf("%d percent of %s, clean stop %v", share, filepath.Base(name), clean), dir}
				j := &journal{}
				hits, got := s.found(t, j)
				if got.Clean || got.Dropped == 0 && hits < 80 {
					t.Errorf("%s: %d hits, %+v", s.name, hits, got)
				}
				if got.Dropped > 0 && !strings.Contains(j.String(), "dropped") {
					t.Errorf("%s: not told: %s", s.name, j)
				}
			}
		}
	}
}

func TestMissingSegments(t *testing.T) {
	for _, clean := range []bool{true, false} {
		from := sample(t, clean)
		files := segmentFiles(t, from)
		for i, name := range files {
			if !clean && i == len(files)-1 {
				continue // nobody knows that it was there
			}
			dir := copyDir(t, from)
			if err := os.Remove(filepath.Join(dir, filepath.Base(name))); err != nil {
				t.Fatal(err)
			}
			s := sampled{fmt.Sprintf("%s missing, clean stop %v", filepath.Base(name), clean), dir}
			if hits, got := s.found(t, &journal{}); got.Clean || hits == 0 && i < len(files)-1 {
				t.Errorf("%s: %d hits, %+v", s.name, hits, got)
			}
		}
	}
}

// A segment that was created and not written to is no loss, though nobody can tell any
// more what was in it.
func TestEmptySegmentIsNotMissed(t *testing.T) {
	dir := sample(t, false)
	files := segmentFiles(t, dir)
	cfg := small(dir)
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	last := newSegment(l.nextSeq, 0)
	last.before, last.removalsBefore = last.seq-1, unknown
	head := l.id.encodeHead(last)
	abandon(t, l)
	if err := os.WriteFile(last.path(dir), head, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	if err := putOn(l, "new", 1, 100); err != nil { // before anything is read
		t.Fatal(err)
	}
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	abandon(t, l)
	for round := range 3 {
		if l, err = Open(cfg); err != nil {
			t.Fatal(err)
		}
		l.load(t.Context())
		if n := l.Stats().Objects; n != 91 || get(t, l, "new") != 1 {
			t.Errorf("start %d: %d objects of %d segments, %+v", round, n, len(files), l.Recovery())
		}
		abandon(t, l)
	}
}

// A damaged record costs itself, as long as no removal can have been where it was.
func TestDamagedRecordCostsItself(t *testing.T) {
	dir := t.TempDir()
	l := start(t, small(dir))
	for i := range 20 {
		l.put(fmt.Sprint(i), i, 1000)
	}
	l.sync()
	l.kill()
	edit(t, segmentFiles(t, dir)[0], func(b []byte) []byte {
		at := bytes.Index(b, bodyOf("5", 5, 1000))
		b[at+500] ^= 1
		return b
	})
	l = start(t, small(dir))
	defer l.close()
	<-l.Loaded()
	for i := range 20 {
		want := i
		if i == 5 {
			want = -1
		}
		if got := get(t, l.Log, fmt.Sprint(i)); got != want {
			t.Errorf("key %d: version %d, want %d", i, got, want)
		}
	}
	if r := l.Recovery(); r.DamagedBytes == 0 || r.Scanned != 1 || r.Dropped != 0 {
		t.Errorf("recovery = %+v", r)
	}
}

// A removal that was synced holds, whatever one place of the log is damaged.
func TestDamagedRemoval(t *testing.T) {
	from := t.TempDir()
	l := start(t, small(from))
	l.put("k", 1, 100)
	l.sync()
	l.Delete("k")
	l.sync()
	l.kill()
	name := filepath.Base(segmentFiles(t, from)[0])
	whole, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += 3 {
		dir := copyDir(t, from)
		edit(t, filepath.Join(dir, name), func(b []byte) []byte { b[at] ^= 0x10; return b })
		l, err := Open(small(dir))
		if err != nil {
			t.Fatal(err)
		}
		l.load(t.Context())
		if get(t, l, "k") != -1 {
			t.Errorf("byte %d of %d damaged: it is back", at, len(whole))
		}
		abandon(t, l)
	}
}

// What is damaged after the start is found before its first byte leaves.
func TestDamageIsFoundBeforeTheFirstByteLeaves(t *testing.T) {
	dir := t.TempDir()
	l := start(t, small(dir))
	l.put("k", 1, 5000)
	l.close()
	l = start(t, small(dir))
	defer l.close()
	<-l.Loaded()
	edit(t, segmentFiles(t, dir)[0], func(b []byte) []byte {
		b[bytes.Index(b, bodyOf("k", 1, 5000))+4000] ^= 1
		return b
	})
	for name, read := range map[string]func(*Ref) error{
		"Body":   func(r *Ref) error { _, err := r.Body(t.Context()); return err },
		"Append": func(r *Ref) error { _, err := r.Append(t.Context(), nil); return err },
		"ReadAt": func(r *Ref) error { _, err := r.ReadAt(t.Context(), make([]byte, 1), 0); return err },
	} {
		lead := headerBytes + 1 + len(headOf("k", 1))
		l.index.set(l.id.hash("k"), place{ // as it was before the last round
			offset: segmentHead / align, size: uint32(aligned(lead+5000)) / align,
			lead: uint16(aligned(lead) / align), slot: l.segments[0].slot,
		}, 0)
		r, ok := l.Get(t.Context(), "k")
		if !ok {
			t.Fatal("a miss")
		}
		if err := read(r); err == nil {
			t.Errorf("%s gives a damaged body", name)
		}
		r.Release()
		if _, ok := l.Get(t.Context(), "k"); ok {
			t.Errorf("%s: the record is still there", name)
		}
	}
	if n := l.Stats().FailedChecks; n != 3 {
		t.Errorf("%d failed checks", n)
	}
}

func TestOtherFormat(t *testing.T) {
	from := sample(t, true)
	for _, tt := range []struct {
		name   string
		change func(b []byte) []byte
		want   string
	}{
		{"of a later release", func(b []byte) []byte { binary.LittleEndian.PutUint32(b[8:], format+1); return b }, "format 2"},
		{"garbage", func([]byte) []byte { return []byte("garbage") }, "not one"},
		{"empty", func([]byte) []byte { return nil }, "not one"},
		{"longer", func(b []byte) []byte { return append(b, 0) }, "not one"},
	} {
		dir := copyDir(t, from)
		edit(t, filepath.Join(dir, identityName), tt.change)
		j := &journal{}
		s := sampled{tt.name, dir}
		hits, r := s.found(t, j)
		if hits != 0 || !strings.Contains(r.Refused, tt.want) || r.Dropped != r.Segments || !strings.Contains(j.String(), "begins empty") {
			t.Errorf("%s: %d hits, %+v\n%s", tt.name, hits, r, j)
		}
	}
}

func TestForeignFiles(t *testing.T) {
	dir := sample(t, true)
	names := []string{"notes.txt", "0000000000000001.SEGMENT", "1.segment", "0000000000000000.segment", "00000000000000ff.segment.bak"}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "00000000000000fe.segment"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, segmentName(0xfd)), []byte("not a segment, but called like one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, snapshotName+temporary), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := &journal{}
	hits, r := sampled{"foreign files", dir}.found(t, j)
	if hits < 80 || r.Foreign != 6 || r.ForeignBytes != 20 || !strings.Contains(j.String(), "left alone") {
		t.Errorf("%d hits, %+v\n%s", hits, r, j)
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, snapshotName+temporary)); err == nil {
		t.Error("half an index is still there")
	}
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(small(dir)); err == nil || !strings.Contains(err.Error(), "files of others") {
		t.Errorf("with more than half taken: %v", err)
	}
}

// Segments of another cache are believed as little as any other file.
func TestSegmentsOfAnotherCache(t *testing.T) {
	dir, other := sample(t, true), sample(t, true)
	for _, name := range segmentFiles(t, other) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if hits, r := (sampled{"another cache", dir}).found(t, &journal{}); hits != 0 {
		t.Errorf("%d hits, %+v", hits, r)
	}
}

// A body that looks like records is never taken for them, even where it is found by
// looking for the next record after damage.
func TestBodyIsNoRecord(t *testing.T) {
	dir := t.TempDir()
	l := start(t, small(dir))
	forged := record{header: header{kind: kindPut, hash: l.id.hash("victim"), stamp: Stamp{1, 1}}, key: "victim"}
	forged.keyLen = uint32(len(forged.key))
	// Whoever makes the body knows the format, but not the secret.
	stranger := newIdentity([32]byte{1})
	var body []byte
	for at := int64(0); at < 20_000; at += align {
		body = append(body, stranger.append(nil, 1, at, &forged)...)
		if len(body) > 30_000 {
			break
		}
	}
	if err := l.Put("k", Stamp{1, 1}, []byte("head"), body); err != nil {
		t.Fatal(err)
	}
	l.put("after", 3, 100)
	l.sync()
	l.kill()
	edit(t, segmentFiles(t, dir)[0], func(b []byte) []byte { b[segmentHead] ^= 1; return b })
	l = start(t, small(dir))
	defer l.close()
	<-l.Loaded()
	if got := get(t, l.Log, "victim"); got != -1 {
		t.Errorf("version %d of what was never put", got)
	}
	if got := get(t, l.Log, "after"); got != 3 {
		t.Errorf("what is behind the damage: version %d", got)
	}
}

func TestDamagedIndexIsNotBelieved(t *testing.T) {
	from := sample(t, true)
	for at := range 12 {
		dir := copyDir(t, from)
		edit(t, filepath.Join(dir, snapshotName), func(b []byte) []byte {
			b[at*len(b)/12] ^= 0x80
			return b
		})
		j := &journal{}
		hits, r := sampled{fmt.Sprint("byte ", at), dir}.found(t, j)
		if hits != 90 || r.Clean || !strings.Contains(j.String(), "index of the last stop") {
			t.Errorf("byte %d: %d hits, %+v\n%s", at, hits, r, j)
		}
	}
}
