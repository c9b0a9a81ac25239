// SPDX-License-Identifier: Apache-2.0

package integrity

import (
	"context"
	"fmt"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
)

// canary is a policy for a staging distribution that others may be deleting.
func (c *caller) canary() *configv1.ContinuousDeploymentPolicy {
	return &configv1.ContinuousDeploymentPolicy{
		StagingDistribution: c.world.pick(c.r, staging),
		Traffic: &configv1.ContinuousDeploymentPolicy_Weight_{
			Weight: &configv1.ContinuousDeploymentPolicy_Weight{Fraction: 0.1},
		},
	}
}

func (c *caller) createCanary(ctx context.Context, s replica, _ int) error {
	p := c.canary()
	if p.GetStagingDistribution() == "" {
		return errNothing
	}
	res, err := s.canaries.CreateContinuousDeploymentPolicy(ctx, &configv1.CreateContinuousDeploymentPolicyRequest{ContinuousDeploymentPolicy: p})
	c.world.add(res.GetContinuousDeploymentPolicy().GetName())
	return err
}

// changeCanary points a policy at another staging distribution.
func (c *caller) changeCanary(ctx context.Context, s replica, _ int) error {
	p := c.canary()
	if p.Name = c.world.pick(c.r, "continuousDeploymentPolicies"); p.Name == "" || p.GetStagingDistribution() == "" {
		return errNothing
	}
	_, err := s.canaries.UpdateContinuousDeploymentPolicy(ctx, &configv1.UpdateContinuousDeploymentPolicyRequest{ContinuousDeploymentPolicy: p})
	return err
}

func (c *caller) deleteCanary(ctx context.Context, s replica, _ int) error {
	name := c.world.pick(c.r, "continuousDeploymentPolicies")
	if name == "" {
		return errNothing
	}
	_, err := s.canaries.DeleteContinuousDeploymentPolicy(ctx, &configv1.DeleteContinuousDeploymentPolicyRequest{Name: name})
	return err
}

func (c *caller) createLogs(ctx context.Context, s replica, _ int) error {
	res, err := s.logs.CreateRealtimeLogConfig(ctx, &configv1.CreateRealtimeLogConfigRequest{
		RealtimeLogConfigId: fmt.Sprintf("l%d", c.r.IntN(5)),
		RealtimeLogConfig: &configv1.RealtimeLogConfig{
			SamplingRate: 100, Fields: []string{"timestamp"},
			Endpoints: []*configv1.RealtimeLogConfig_Endpoint{{
				Kind: &configv1.RealtimeLogConfig_Endpoint_File_{File: &configv1.RealtimeLogConfig_Endpoint_File{Name: "log"}},
			}},
		},
	})
	c.world.add(res.GetRealtimeLogConfig().GetName())
	return err
}

func (c *caller) deleteLogs(ctx context.Context, s replica, _ int) error {
	name := c.world.pick(c.r, "realtimeLogConfigs")
	if name == "" {
		return errNothing
	}
	_, err := s.logs.DeleteRealtimeLogConfig(ctx, &configv1.DeleteRealtimeLogConfigRequest{Name: name})
	return err
}
