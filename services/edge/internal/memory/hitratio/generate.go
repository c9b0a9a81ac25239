// SPDX-License-Identifier: Apache-2.0

package hitratio

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
)

// generator makes traces of kinds that rules differ on, the same for the same seed.
type generator struct {
	*rand.Rand
	b     builder
	sizes func() int64
	size  map[int]int64
}

func newGenerator(name string, seed uint64) *generator {
	return &generator{
		Rand: rand.New(rand.NewPCG(seed, 1)), sizes: func() int64 { return 1 }, size: map[int]int64{},
		b: builder{trace: &Trace{Name: name}, keys: map[string]int32{}},
	}
}

func (g *generator) ask(key int) {
	size, ok := g.size[key]
	if !ok {
		size = g.sizes()
		g.size[key] = size
	}
	g.b.add(strconv.AppendInt(nil, int64(key), 10), size)
}

// web makes sizes like those of the web: most are small, few have most of the bytes.
func (g *generator) web() *generator {
	g.sizes = func() int64 { return int64(math.Exp(g.NormFloat64()*1.6+9)) + 100 }
	return g
}

// zipf returns ranks below n, of which the i-th comes as often as i to the power of -s.
func (g *generator) zipf(s float64, n int) func() int {
	sums := make([]float64, n)
	sum := 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -s)
		sums[i] = sum
	}
	return func() int {
		x := g.Float64() * sum
		lo, hi := 0, n-1
		for lo < hi {
			if mid := (lo + hi) / 2; sums[mid] < x {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		return lo
	}
}

// Zipf asks for objects with the popularity of Zipf's law, which does not change.
func Zipf(seed uint64, s float64, objects, requests int) *Trace {
	g := newGenerator(fmt.Sprintf("zipf %g", s), seed)
	next := g.zipf(s, objects)
	for range requests {
		g.ask(next())
	}
	return g.b.trace
}

// ZipfSizes is Zipf with sizes like those of the web.
func ZipfSizes(seed uint64, s float64, objects, requests int) *Trace {
	g := newGenerator(fmt.Sprintf("zipf %g, sizes", s), seed).web()
	next := g.zipf(s, objects)
	for range requests {
		g.ask(next())
	}
	return g.b.trace
}

// Drift is Zipf where, one by one, objects lose their place to new ones.
func Drift(seed uint64, s float64, objects, requests int) *Trace {
	g := newGenerator(fmt.Sprintf("drift %g", s), seed)
	next := g.zipf(s, objects)
	holds := make([]int, objects)
	for i := range holds {
		holds[i] = i
	}
	fresh := objects
	for i := range requests {
		if i%10 == 0 {
			holds[g.IntN(objects)] = fresh
			fresh++
		}
		g.ask(holds[next()])
	}
	return g.b.trace
}

// Stack asks for what was asked for lately: the n-th last object with a probability
// that falls with the power of n, or a new one. This is what LRU is made for.
func Stack(seed uint64, power float64, fresh float64, requests int) *Trace {
	g := newGenerator(fmt.Sprintf("stack %g", power), seed)
	const depth = 4000
	next := g.zipf(power, depth)
	var stack []int
	made := 0
	for range requests {
		n := next()
		if n >= len(stack) || g.Float64() < fresh {
			stack = append(stack, made)
			made++
		} else {
			at := len(stack) - 1 - n
			key := stack[at]
			copy(stack[at:], stack[at+1:])
			stack[len(stack)-1] = key
		}
		if len(stack) > depth {
			stack = stack[1:]
		}
		g.ask(stack[len(stack)-1])
	}
	return g.b.trace
}

// Scan is Zipf with a run over objects that nobody else asks for, now and then.
func Scan(seed uint64, objects, requests int) *Trace {
	g := newGenerator("scans", seed)
	next := g.zipf(0.9, objects)
	scanned := objects
	for i := 0; i < requests; i++ {
		if i%(requests/20) == requests/40 {
			for range objects / 2 {
				g.ask(scanned)
				scanned++
				i++
			}
		}
		g.ask(next())
	}
	return g.b.trace
}

// Loop asks for the same objects in the same order again and again, among a few
// others: whoever keeps the newest keeps nothing.
func Loop(seed uint64, objects, requests int) *Trace {
	g := newGenerator("loop", seed)
	next := g.zipf(0.8, objects/10)
	for i := range requests {
		if i%4 == 0 {
			g.ask(objects + next())
		} else {
			g.ask(i % objects)
		}
	}
	return g.b.trace
}

// Burst asks for each object some times within a while and then never again, as for
// news, or for the segments of a live stream.
func Burst(seed uint64, window, requests int) *Trace {
	g := newGenerator(fmt.Sprintf("burst %d", window), seed)
	for i := range requests {
		// What began long ago is asked for less.
		ago := int(g.ExpFloat64() * float64(window))
		g.ask(max(i/4-ago, 0))
	}
	return g.b.trace
}

// Twice asks for most objects twice, the second time after about that many others.
func Twice(seed uint64, after, requests int) *Trace {
	g := newGenerator(fmt.Sprintf("twice %d", after), seed)
	due := map[int]int{}
	made := 0
	for i := range requests {
		if key, ok := due[i]; ok {
			g.ask(key)
			continue
		}
		g.ask(made)
		due[i+1+after/2+g.IntN(after)] = made
		made++
	}
	return g.b.trace
}

// Generated are traces of all kinds, of about that many requests.
func Generated(requests int) []*Trace {
	const seed = 1
	n := requests / 20
	return []*Trace{
		Zipf(seed, 0.7, n, requests), Zipf(seed, 1, n, requests),
		ZipfSizes(seed, 0.8, n, requests), ZipfSizes(seed, 1.1, n, requests),
		Drift(seed, 0.8, n/2, requests), Drift(seed, 1.1, n/2, requests),
		Stack(seed, 0.8, 0.1, requests), Stack(seed, 1.2, 0.1, requests),
		Scan(seed, n/2, requests), Loop(seed, n/2, requests),
		Burst(seed, n/100, requests), Burst(seed, n/10, requests),
		Twice(seed, n/10, requests),
	}
}
