// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seafront-cdn/seafront/test/internal/control"
	"github.com/seafront-cdn/seafront/test/internal/fleet"
	"github.com/seafront-cdn/seafront/test/internal/program"
	"github.com/seafront-cdn/seafront/test/internal/viewer"
	"github.com/seafront-cdn/seafront/test/load"
)

// latency compares the 99th percentiles at the same constant rate: half of what the
// slower of the two can do.
func latency(t *testing.T, b *bench) {
	names := []string{seafront, nginxLogged}
	limit := 0.0
	for _, n := range names {
		if err := b.check(t, measure{subject: n, target: oneKB}); err != nil {
			t.Fatal(err)
		}
		_, most, err := wrk(b.host, "http://"+b.subjects[n].http+oneKB, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if limit == 0 || most < limit {
			limit = most
		}
	}
	rate := limit / 2
	got := map[string][]float64{}
	var quotients []float64
	for range b.rounds {
		for _, n := range names {
			r, err := ask(t, load.Plan{
				Address: b.subjects[n].http, Host: b.host, Target: oneKB, Connections: connections, Rate: rate, Duration: b.round, Status: 200, Length: 1024,
			})
			if err != nil {
				t.Fatalf("%s: %v", n, err)
			}
			got[n] = append(got[n], r.P99)
		}
		i := len(quotients)
		quotients = append(quotients, got[nginxLogged][i]/got[seafront][i])
	}
	us := func(n string) string { return count(median(got[n])) + " µs" }
	b.add(t, line{
		id: "latency", what: fmt.Sprintf("p99 of 1 KB hits at %s a second", count(rate)), edge: us(seafront), peer: nginxLogged, theirs: us(nginxLogged),
		ratio: median(quotients), bar: 1, goal: 1, note: "counted from when each request was due",
	})
}

// objectMemory compares the memory that a million cached objects of 1 KB take.
func objectMemory(t *testing.T, b *bench) {
	objects := 1_000_000 / b.scale
	subjects := []*subject{
		b.startEdge(t, "memory", serverCore, "SEAFRONT_CACHE_BYTES=8589934592", "SEAFRONT_LOG_LEVEL=warn"),
		b.startVarnish(t, "8G"),
	}
	sizes := make([]float64, len(subjects))
	for i, s := range subjects {
		p := load.Plan{Address: s.http, Host: b.host, Target: "/1024/memory-#", Connections: connections, Count: objects, Status: 200, Length: 1024}
		if _, err := ask(t, p); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		before := b.asked(t)
		p.Target, p.First, p.Count = "/1024/memory-#0", 1, objects/10-1 // every tenth
		if _, err := ask(t, p); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if again := b.asked(t) - before; again > p.Count/1000 {
			t.Fatalf("%s does not hold %d objects: %d of %d were asked of the origin again", s.name, objects, again, p.Count)
		}
		anonymous, shared := s.process.Held(t)
		if sizes[i] = anonymous; s.name == seafront {
			sizes[i] += shared // whatever it is mapped from
		}
	}
	mb := func(v float64) string { return count(v/1e6) + " MB" }
	b.add(t, line{
		id: "memory", what: fmt.Sprintf("memory with %s objects of 1 KB in it", count(float64(objects))), edge: mb(sizes[0]), peer: varnish, theirs: mb(sizes[1]),
		ratio: sizes[1] / sizes[0], bar: 1, goal: 1, note: "all of the process that is not of files",
	})
}

// idleMemory tells what idle connections take.
func idleMemory(t *testing.T, b *bench) {
	const want, spare = 100_000, 2000
	n := want / b.scale
	limit, err := load.Raise(want + spare)
	if err != nil {
		t.Fatal(err)
	}
	n = min(n, int(limit)-spare)
	var sources []string
	for i := range 20 { // a peer has some 28,000 ports for one address
		sources = append(sources, "127.0.1."+strconv.Itoa(i+1))
	}
	names := []string{seafront, nginxLogged}
	sizes := make([]float64, len(names))
	for i, name := range names {
		s := b.subjects[name]
		before := total(s.process.Held(t))
		release := hold(t, load.Plan{Address: s.http, Host: b.host, Target: oneKB, Connections: n, Sources: sources, Status: 200, Length: 1024})
		sizes[i] = total(s.process.Held(t)) - before
		release()
	}
	b.add(t, idleLine(n, want/b.scale, limit, sizes[0], sizes[1]))
}

// idleLine is about n connections, where want were to be measured and a process may
// have as many files as limit.
func idleLine(n, want int, limit uint64, edge, peer float64) line {
	const all, bar, goal = 100_000, 2e9, 1e9 // of all
	each := edge / float64(n)
	kb := func(v float64) string { return strconv.FormatFloat(v/1e3, 'f', 1, 64) + " KB" }
	mb := func(v float64) string { return count(v/1e6) + " MB" }
	note := fmt.Sprintf("%s in all, %s takes %s; without the kernel's buffers", mb(edge), nginxLogged, mb(peer))
	if n < want {
		note += fmt.Sprintf("; a process may have no more than %s files here", count(float64(limit)))
	}
	if n < all {
		note += fmt.Sprintf("; %s would take %s, were each like these", count(all), mb(each*all))
	}
	return line{
		id: "idle", what: fmt.Sprintf("memory for one of %s idle connections", count(float64(n))), edge: kb(each), peer: "bar", theirs: kb(bar / all),
		ratio: bar / all / each, bar: 1, goal: bar / goal, note: note,
	}
}

func TestIdleLine(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  line
		want string
	}{
		{"all of them", idleLine(100_000, 100_000, 250_000, 5e8, 1e8), "| memory for one of 100,000 idle connections | 5.0 KB | bar 20.0 KB | 4.00 | 1.00, 2.00 | goal | 500 MB in all, nginx takes 100 MB; without the kernel's buffers |"},
		{"too few files", idleLine(18_000, 100_000, 20_000, 4.5e8, 18e6), "| memory for one of 18,000 idle connections | 25.0 KB | bar 20.0 KB | 0.80 | 1.00, 2.00 | short of the bar | 450 MB in all, nginx takes 18 MB; without the kernel's buffers; a process may have no more than 20,000 files here; 100,000 would take 2,500 MB, were each like these |"},
	} {
		if got := tt.got.String(); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func total(a, b float64) float64 { return a + b }

// hold keeps idle connections, in a process of its own, until release is called.
func hold(t testing.TB, p load.Plan) (release func()) {
	t.Helper()
	args := []string{
		"--cpu-list", strconv.Itoa(clientCore - 1), program.Product(t, "load"), "hold", "-address", p.Address, "-host", p.Host, "-target", p.Target,
		"-connections", strconv.Itoa(p.Connections), "-status", strconv.Itoa(p.Status), "-length", strconv.FormatInt(p.Length, 10),
	}
	for _, s := range p.Sources {
		args = append(args, "-source", s)
	}
	cmd := exec.Command("taskset", args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	t.Cleanup(end)
	if said, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(said, "holding") {
		end()
		t.Fatalf("connections are not held: %q, %v", said, err)
	}
	return end
}

// collapse asks for one cold key by a thousand viewers at once.
func collapse(t *testing.T, b *bench) {
	const viewers, size = 1000, 100_000
	const late = 300 * time.Millisecond
	var asked atomic.Int64
	began := make(chan struct{})
	var once sync.Once
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	origin := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		once.Do(func() { close(began) })
		time.Sleep(late) // the origin is slow
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(load.Body(size))
	})}
	var all sync.WaitGroup
	all.Go(func() { _ = origin.Serve(l) })
	defer all.Wait()
	defer origin.Close()
	host := b.control.Site(t, "collapse", control.Site(fleet.Origin(t, l.Addr().String())))

	took := make([]time.Duration, viewers)
	visit := func(i int) {
		v := viewer.New(b.subjects[seafront].http)
		defer v.Close()
		at := time.Now()
		a, err := v.Get(host, "/cold")
		if err != nil || a.Status != 200 || len(a.Body) != size {
			t.Errorf("viewer %d: %v", i, err)
		}
		took[i] = time.Since(at)
	}
	all.Go(func() { visit(0) })
	<-began
	var rest sync.WaitGroup
	for i := range viewers - 1 {
		rest.Go(func() { visit(i + 1) })
	}
	rest.Wait()
	_ = origin.Close()
	all.Wait()
	slowest := took[0]
	for _, d := range took[1:] {
		slowest = max(slowest, d)
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000) }
	b.add(t, line{
		id: "collapse", what: fmt.Sprintf("%s misses at once on one key: requests to the origin", count(viewers)), edge: fmt.Sprint(asked.Load()), peer: "bar", theirs: "1",
		ratio: 1 / float64(asked.Load()), bar: 1, goal: 1,
	})
	b.add(t, line{
		id: "collapse", what: "the slowest who waited, beside twice the first", edge: ms(slowest), peer: "first", theirs: ms(took[0]),
		ratio: 2 * took[0].Seconds() / slowest.Seconds(), bar: 1, goal: 1,
	})
}

// allocated finds the packages of benchmarks, and the benchmarks of hits in them.
var allocated = regexp.MustCompile(`(?m)^pkg: \S*/(\S+)$|^Benchmark(\S*Hit\S*?)(?:-\d+)?\s.*?\s(\d+) allocs/op`)

// hitAllocations are lines of the output of benchmarks.
func hitAllocations(out string) []line {
	var lines []line
	pkg := ""
	for _, m := range allocated.FindAllStringSubmatch(out, -1) {
		if m[1] != "" {
			pkg = m[1]
			continue
		}
		lines = append(lines, line{id: "allocations", what: "allocations, `" + pkg + "` " + m[2], edge: m[3], peer: "bar", theirs: "0"})
	}
	return lines
}

func TestHitAllocations(t *testing.T) {
	got := hitAllocations("goos: linux\npkg: example.org/a/http1\nBenchmarkHit/TLS=true-2   1000  9 ns/op  5 B/op  2 allocs/op\nBenchmarkOther 1 1 ns/op 7 allocs/op\npkg: example.org/store\nBenchmarkHit 1000  9 ns/op  0 B/op  0 allocs/op\n")
	if len(got) != 2 || got[0].what != "allocations, `http1` Hit/TLS=true" || got[0].edge != "2" || got[1].what != "allocations, `store` Hit" || got[1].edge != "0" {
		t.Errorf("%+v", got)
	}
}

// allocations runs the benchmarks of hits and tells what they allocate.
func allocations(t *testing.T, b *bench) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "Hit", "-benchmem", "-benchtime", "1000x", "./services/edge/internal/...")
	cmd.Dir = program.Root()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := hitAllocations(string(out))
	if len(found) == 0 {
		t.Fatalf("no benchmark of a hit: %s", out)
	}
	for _, l := range found {
		b.add(t, l)
	}
}
