// SPDX-License-Identifier: Apache-2.0

package allinone

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// retryPause is how long to wait before asking again.
const retryPause = 10 * time.Millisecond

// awaitReady returns when the API says SERVING and the edge is ready for viewers.
func awaitReady(ctx context.Context, conn *grpc.ClientConn, admin string) error {
	health := healthpb.NewHealthClient(conn)
	err := retry(ctx, func() error {
		res, err := health.Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
		if err == nil && res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			err = errors.New("the API is not serving")
		}
		return err
	})
	if err != nil {
		return err
	}
	return retry(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("the edge is not ready: %s", res.Status)
		}
		return nil
	})
}

// retry calls try until it succeeds or ctx ends; then it returns the last failure.
func retry(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up waiting: %w", err)
		case <-time.After(retryPause):
		}
	}
}
