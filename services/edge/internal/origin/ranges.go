// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"strconv"
	"strings"

	"github.com/seafront-cdn/seafront/pkg/cdn/header"
)

// checkRange refuses a 206 whose one range has another length than it announces
// (D19.11); length below zero announces none. What else a Content-Range says, and
// whether it is well formed, is for those who store or send the part.
func checkRange(h header.Fields, length int64) error {
	value, ok := h.Lookup("Content-Range")
	if !ok || length < 0 {
		return nil
	}
	unit, rest, _ := strings.Cut(value, " ")
	rest, _, ok = strings.Cut(rest, "/")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return nil
	}
	from, to, _ := strings.Cut(strings.TrimSpace(rest), "-")
	first, err := strconv.ParseUint(from, 10, 63)
	if err != nil {
		return nil
	}
	last, err := strconv.ParseUint(to, 10, 63)
	if err != nil {
		return nil
	}
	if last < first || last-first != uint64(length)-1 {
		return fault(RangeLength, "Content-Range %q, Content-Length %d", value, length)
	}
	return nil
}
