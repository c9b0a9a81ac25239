// SPDX-License-Identifier: Apache-2.0

package byterange_test

import (
	"fmt"

	"github.com/seafront-cdn/seafront/services/edge/internal/byterange"
)

func ExampleSet_Select() {
	for _, value := range []string{"bytes=0-4", "bytes=-5", "bytes=0-0,-1", "bytes=5-,0-1", "bytes=99-"} {
		s, _ := byterange.Parse(value)
		x := s.Select(10, byterange.InOrder)
		fmt.Println(value, "→", x.Outcome, x.Range, x.Ranges)
	}
	// Output:
	// bytes=0-4 → single {0 5} []
	// bytes=-5 → single {5 5} []
	// bytes=0-0,-1 → several {0 0} [{0 1} {9 1}]
	// bytes=5-,0-1 → whole {0 0} []
	// bytes=99- → unsatisfiable {0 0} []
}
