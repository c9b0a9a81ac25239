// SPDX-License-Identifier: Apache-2.0

package records_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seafront-cdn/seafront/pkg/records"
)

func TestRetry(t *testing.T) {
	moved := errors.New("moved on")
	for _, tt := range []struct {
		name      string
		succeedAt int
		want      int
		err       error
	}{
		{"the first time", 1, 1, nil},
		{"C8.64: a later time", 3, 3, nil},
		{"C3.12: three repetitions", 9, 4, moved},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, began := 0, time.Now()
				err := records.Retry(t.Context(), func() (bool, error) {
					if n++; n == tt.succeedAt {
						return false, nil
					}
					return true, moved
				})
				if n != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("%d attempts, %v; want %d, %v", n, err, tt.want, tt.err)
				}
				low, high := time.Duration(n-1)*5*time.Millisecond, time.Duration(n-1)*80*time.Millisecond
				if took := time.Since(began); took < low || took > high {
					t.Errorf("paused %v in all, want %v to %v", took, low, high)
				}
			})
		})
	}
	t.Run("a caller that leaves ends it", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := records.Retry(ctx, func() (bool, error) { cancel(); return true, moved })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
	})
}
