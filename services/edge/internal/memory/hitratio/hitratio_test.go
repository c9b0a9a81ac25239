// SPDX-License-Identifier: Apache-2.0

package hitratio_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seafront-cdn/seafront/services/edge/internal/memory/hitratio"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     hitratio.Trace
		err      string
	}{
		{
			name: "lines", in: "1 a 100\n2 b 50\n\n3 a 7\n4 c 0\n",
			want: hitratio.Trace{Requests: []hitratio.Request{{0, 100}, {1, 50}, {0, 100}, {2, 1}}, Objects: 3, Bytes: 151},
		},
		{
			name: "keys", in: "a\r\nb\r\na\r\n",
			want: hitratio.Trace{Requests: []hitratio.Request{{0, 1}, {1, 1}, {0, 1}}, Objects: 2, Bytes: 2},
		},
		{
			name: "blocks", in: "7 2 0 1\n8 1 0 2\n",
			want: hitratio.Trace{Requests: []hitratio.Request{{0, 1}, {1, 1}, {1, 1}}, Objects: 2, Bytes: 2},
		},
		{
			name: "binary", in: "\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x01",
			want: hitratio.Trace{Requests: []hitratio.Request{{0, 1}, {1, 1}, {0, 1}}, Objects: 2, Bytes: 2},
		},
		{
			name: "x.oracleGeneral", in: strings.Repeat("timekeykeyke\x05\x00\x00\x00nextnext", 2),
			want: hitratio.Trace{Requests: []hitratio.Request{{0, 5}, {0, 5}}, Objects: 1, Bytes: 5},
		},
		{name: "empty"},
		{name: "half a key", in: "\x00\x00\x00\x01\x00", err: "5 bytes"},
		{name: "half a record.oracleGeneral", in: "\x00", err: "1 bytes"},
		{name: "no size", in: "1 a 100\n2 b x\n", err: `line 2: "x"`},
		{name: "negative size", in: "1 a -1\n", err: "line 1"},
		{name: "many blocks", in: "1 99999999 0 0\n", err: "line 1"},
		{name: "two fields", in: "1 2\n", err: "2 fields"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := hitratio.Read(tt.name, strings.NewReader(tt.in))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Name = tt.name
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	name := filepath.Join(t.TempDir(), "some.trace.gz")
	var file bytes.Buffer
	w := gzip.NewWriter(&file)
	if _, err := w.Write([]byte("a\nb\na\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := hitratio.Open(name)
	if err != nil || got.Name != "some.trace" || len(got.Requests) != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, name := range []string{filepath.Join(t.TempDir(), "nothing"), t.TempDir()} {
		if _, err := hitratio.Open(name); err == nil {
			t.Errorf("%s could be opened", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("x", "1 2 3\n4 5 6\n")
	f.Add("oracleGeneral", strings.Repeat("x", 48))
	f.Fuzz(func(t *testing.T, name, in string) {
		if len(in) > 1000 {
			return
		}
		got, err := hitratio.Read(name, strings.NewReader(in))
		if err != nil {
			return
		}
		for _, r := range got.Requests {
			if int(r.Key) >= got.Objects || r.Size < 1 {
				t.Fatalf("%+v of %d objects", r, got.Objects)
			}
		}
	})
}

// What is known of the rules: on a loop a bit larger than the room LRU keeps nothing,
// and Belady nearly all of what there is room for; Belady never misses more than others.
func TestRules(t *testing.T) {
	var loop hitratio.Trace
	for i := range 2000 {
		loop.Requests = append(loop.Requests, hitratio.Request{Key: int32(i % 100), Size: 1})
	}
	loop.Objects, loop.Bytes = 100, 100
	for rule, want := range map[string]float64{"LRU": 1, "FIFO": 1, "CLOCK": 1, "Belady": 0.05 + 0.95*0.10} {
		for _, r := range hitratio.Rules() {
			if r.Name != rule {
				continue
			}
			if got := hitratio.Replay(&loop, r.New(&loop, 90)).Objects; got > want+0.02 || got < want-0.02 {
				t.Errorf("%s misses %v of a loop, want %v", rule, got, want)
			}
		}
	}
	for _, trace := range hitratio.Generated(20_000) {
		for _, part := range []int64{100, 10} {
			best := hitratio.Replay(trace, hitratio.Belady().New(trace, trace.Bytes/part))
			for _, r := range hitratio.Rules() {
				got := hitratio.Replay(trace, r.New(trace, trace.Bytes/part))
				sizes := int64(trace.Objects) != trace.Bytes
				if got.Objects <= 0 || got.Objects > 1 || (!sizes && got.Objects < best.Objects) {
					t.Errorf("%s on %s: %+v, Belady %+v", r.Name, trace.Name, got, best)
				}
			}
		}
	}
}
