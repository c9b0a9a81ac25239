// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	"github.com/seafront-cdn/seafront/services/config"
)

func TestRealtimeLogConfigs(t *testing.T) {
	kv := etcdtest.Client(t)
	r := start(t, config.Config{Etcd: kv, Limits: config.Limits{RealtimeLogConfigs: 1}})
	s := configv1.NewRealtimeLogConfigServiceClient(r.conn)
	create := func(id string, rate int32) (*configv1.CreateRealtimeLogConfigResponse, error) {
		return s.CreateRealtimeLogConfig(t.Context(), &configv1.CreateRealtimeLogConfigRequest{RealtimeLogConfigId: id, RealtimeLogConfig: &configv1.RealtimeLogConfig{
			SamplingRate: rate, Fields: []string{"timestamp"},
			Endpoints: []*configv1.RealtimeLogConfig_Endpoint{{Kind: &configv1.RealtimeLogConfig_Endpoint_File_{File: &configv1.RealtimeLogConfig_Endpoint_File{Name: "log"}}}},
		}})
	}
	made := must[*configv1.CreateRealtimeLogConfigResponse](t)(create("all", 100)).GetRealtimeLogConfig()
	if made.GetName() != "realtimeLogConfigs/all" || made.GetEtag() == "" {
		t.Errorf("C3.5: %v", made)
	}
	_, err := create("all", 100)
	wantError(t, "C4.46: quota", err, codes.ResourceExhausted, "TOO_MANY_REALTIME_LOG_CONFIGS")
	_, err = create("a b", 101)
	wantError(t, "C2.2: name and rate", err, codes.InvalidArgument, "INVALID_ARGUMENT")
	if b := body(err); !strings.Contains(b, "field realtime_log_config_id") || !strings.Contains(b, "field realtime_log_config.sampling_rate") {
		t.Errorf("C2.2: %s", b)
	}
	update := func(etag string) error {
		_, err := s.UpdateRealtimeLogConfig(t.Context(), &configv1.UpdateRealtimeLogConfigRequest{
			RealtimeLogConfig: &configv1.RealtimeLogConfig{Name: made.GetName(), Etag: etag, SamplingRate: 5}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"sampling_rate"}},
		})
		return err
	}
	if err := update(made.GetEtag()); err != nil {
		t.Fatal(body(err))
	}
	wantError(t, "C3.5: stale etag", update(made.GetEtag()), codes.Aborted, "PRECONDITION_FAILED")
	held := keys.Ref(keys.RealtimeLogConfigs, "all", keys.Distributions, "E1")
	if _, err := kv.Put(t.Context(), held, ""); err != nil {
		t.Fatal(err)
	}
	_, err = s.DeleteRealtimeLogConfig(t.Context(), &configv1.DeleteRealtimeLogConfigRequest{Name: made.GetName()})
	wantError(t, "C1.65: in use", err, codes.FailedPrecondition, "REALTIME_LOG_CONFIG_IN_USE")
	_, err = s.GetRealtimeLogConfig(t.Context(), &configv1.GetRealtimeLogConfigRequest{Name: "realtimeLogConfigs/none"})
	wantError(t, "C2.196: none", err, codes.NotFound, "NO_SUCH_REALTIME_LOG_CONFIG")
}

// canaries are the services of continuous deployment.
type canaries struct {
	configv1.ContinuousDeploymentPolicyServiceClient
	replica
}

func (r replica) canaries() canaries {
	return canaries{configv1.NewContinuousDeploymentPolicyServiceClient(r.conn), r}
}

func (c canaries) policy(ctx context.Context, staging string, fraction float64) (*configv1.ContinuousDeploymentPolicy, error) {
	res, err := c.CreateContinuousDeploymentPolicy(ctx, &configv1.CreateContinuousDeploymentPolicyRequest{ContinuousDeploymentPolicy: &configv1.ContinuousDeploymentPolicy{
		StagingDistribution: staging, Enabled: true,
		Traffic: &configv1.ContinuousDeploymentPolicy_Weight_{Weight: &configv1.ContinuousDeploymentPolicy_Weight{Fraction: fraction}},
	}})
	return res.GetContinuousDeploymentPolicy(), err
}

// staging makes a staging distribution.
func (c canaries) staging(t *testing.T, reference string) *configv1.Distribution {
	t.Helper()
	d := simple(reference)
	d.Staging = true
	return c.mustCreate(t, d)
}

func TestContinuousDeploymentPolicies(t *testing.T) {
	kv := etcdtest.Client(t)
	c := serve(t, kv).canaries()
	s1, s2, primary := c.staging(t, "s1"), c.staging(t, "s2"), c.mustCreate(t, simple("p"))
	p := must[*configv1.ContinuousDeploymentPolicy](t)(c.policy(t.Context(), s1.GetName(), 0.05))
	sound(t, kv)
	_, err := c.policy(t.Context(), s1.GetName(), 0.05)
	wantError(t, "C2.212: the same again", err, codes.AlreadyExists, "CONTINUOUS_DEPLOYMENT_POLICY_ALREADY_EXISTS")
	_, err = c.policy(t.Context(), s1.GetName(), 0.1)
	wantError(t, "C2.367: two policies for one staging distribution", err, codes.FailedPrecondition, "STAGING_DISTRIBUTION_IN_USE")
	if !strings.Contains(body(err), p.GetName()) {
		t.Errorf("C2.230: %s", body(err))
	}
	_, err = c.policy(t.Context(), primary.GetName(), 0.1)
	wantError(t, "C2.154: no staging distribution", err, codes.InvalidArgument, "INVALID_ARGUMENT")
	_, err = c.policy(t.Context(), "distributions/ENONE", 0.1)
	wantError(t, "C2.154: no distribution", err, codes.FailedPrecondition, "NO_SUCH_DISTRIBUTION")

	point := func(at *configv1.ContinuousDeploymentPolicy, staging string) (*configv1.UpdateContinuousDeploymentPolicyResponse, error) {
		return c.UpdateContinuousDeploymentPolicy(t.Context(), &configv1.UpdateContinuousDeploymentPolicyRequest{
			ContinuousDeploymentPolicy: &configv1.ContinuousDeploymentPolicy{Name: at.GetName(), Etag: at.GetEtag(), StagingDistribution: staging},
		})
	}
	other := must[*configv1.ContinuousDeploymentPolicy](t)(c.policy(t.Context(), s2.GetName(), 0.1))
	_, err = point(other, s1.GetName())
	wantError(t, "C8.56: to one that has a policy", err, codes.FailedPrecondition, "STAGING_DISTRIBUTION_IN_USE")
	if _, err := c.DeleteContinuousDeploymentPolicy(t.Context(), &configv1.DeleteContinuousDeploymentPolicyRequest{Name: p.GetName(), Etag: p.GetEtag()}); err != nil {
		t.Fatal(body(err))
	}
	other = must[*configv1.UpdateContinuousDeploymentPolicyResponse](t)(point(other, s1.GetName())).GetContinuousDeploymentPolicy()
	sound(t, kv)
	res, err := c.UpdateContinuousDeploymentPolicy(t.Context(), &configv1.UpdateContinuousDeploymentPolicyRequest{
		ContinuousDeploymentPolicy: &configv1.ContinuousDeploymentPolicy{
			Name:    other.GetName(),
			Traffic: &configv1.ContinuousDeploymentPolicy_Header_{Header: &configv1.ContinuousDeploymentPolicy_Header{Name: "aws-cf-cd-x", Value: "y"}},
		},
	})
	changed := must[*configv1.UpdateContinuousDeploymentPolicyResponse](t)(res, err).GetContinuousDeploymentPolicy()
	if changed.GetWeight() != nil || changed.GetHeader().GetValue() != "y" {
		t.Errorf("C2.156: %v", changed)
	}
	held := keys.Ref(keys.ContinuousDeploymentPolicies, strings.TrimPrefix(other.GetName(), "continuousDeploymentPolicies/"), keys.Distributions, "E1")
	if _, err := kv.Put(t.Context(), held, ""); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteContinuousDeploymentPolicy(t.Context(), &configv1.DeleteContinuousDeploymentPolicyRequest{Name: other.GetName()})
	wantError(t, "C2.367: delete while attached", err, codes.FailedPrecondition, "CONTINUOUS_DEPLOYMENT_POLICY_IN_USE")
}

func TestRaceForStagingDistribution(t *testing.T) {
	p := newPair(t)
	a, b := p.a.canaries(), p.b.canaries()
	s := a.staging(t, "s")
	for i := range rounds {
		var made [2]*configv1.ContinuousDeploymentPolicy
		create := func(c canaries, n int) func() error {
			return func() (err error) {
				made[n], err = c.policy(t.Context(), s.GetName(), float64(n+1)/100)
				return err
			}
		}
		one, other := p.race(create(a, 0), create(b, 1))
		exactlyOne(t, i, one, other, codes.FailedPrecondition, "STAGING_DISTRIBUTION_IN_USE")
		sound(t, p.kv)
		for _, m := range made {
			if m != nil {
				if _, err := b.DeleteContinuousDeploymentPolicy(t.Context(), &configv1.DeleteContinuousDeploymentPolicyRequest{Name: m.GetName()}); err != nil {
					t.Fatal(body(err))
				}
			}
		}
	}
}
