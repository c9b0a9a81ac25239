// SPDX-License-Identifier: Apache-2.0

package integrity

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	originv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
	"github.com/seafront-cdn/seafront/test/internal/control"
)

// errNothing says that there is nothing to act on yet.
var errNothing = errors.New("nothing to act on")

// caller does one thing after the other at replicas of its choice.
type caller struct {
	r       *mathrand.Rand
	servers []replica
	world   *shared
	tag     string
}

// act does something and says what.
func (c *caller) act(ctx context.Context, n int) (what string, err error) {
	s := c.servers[c.r.IntN(len(c.servers))]
	acts := []struct {
		what  string
		often int
		do    func(context.Context, replica, int) error
	}{
		{"create distribution", 6, c.create},
		{"change distribution", 10, c.change},
		{"delete distribution", 4, c.remove},
		{"copy distribution", 2, c.copy},
		{"promote", 2, c.promote},
		{"move alias", 4, c.move},
		{"restore version", 2, c.restore},
		{"invalidate", 2, c.invalidate},
		{"create origin", 3, c.createOrigin},
		{"delete origin", 2, c.deleteOrigin},
		{"create policy", 3, c.createPolicy},
		{"delete policy", 2, c.deletePolicy},
		{"create request policy", 3, c.createRequestPolicy},
		{"delete request policy", 2, c.deleteRequestPolicy},
		{"import certificate", 2, c.importCertificate},
		{"rotate certificate", 2, c.rotateCertificate},
		{"delete certificate", 1, c.deleteCertificate},
		{"create key", 2, c.createKey},
		{"delete key", 2, c.deleteKey},
		{"create group", 2, c.createGroup},
		{"change group", 2, c.changeGroup},
		{"delete group", 1, c.deleteGroup},
		{"create function", 3, c.createFunction},
		{"change function", 3, c.changeFunction},
		{"publish function", 3, c.publish},
		{"delete function", 2, c.deleteFunction},
		{"create store", 3, c.createStore},
		{"change entries", 4, c.batch},
		{"delete store", 2, c.deleteStore},
		{"create canary policy", 3, c.createCanary},
		{"change canary policy", 3, c.changeCanary},
		{"delete canary policy", 1, c.deleteCanary},
		{"create log config", 1, c.createLogs},
		{"delete log config", 1, c.deleteLogs},
	}
	total := 0
	for _, a := range acts {
		total += a.often
	}
	at := c.r.IntN(total)
	for _, a := range acts {
		if at -= a.often; at < 0 {
			return a.what, a.do(ctx, s, n)
		}
	}
	return "", errNothing
}

// aliases is how many there are: few, so that all want the same.
const aliases = 30

func alias(i int) string { return fmt.Sprintf("www.site-%d.test", i) }

// alias is one of them.
func (c *caller) alias() string { return alias(c.r.IntN(aliases)) }

// site is a configuration with what others may be deleting.
func (c *caller) site() *configv1.DistributionConfig {
	origin := &configv1.Origin{Id: "o", Source: &configv1.Origin_Endpoint{Endpoint: control.Server("origin.example.net", 80)}}
	if name := c.world.pick(c.r, "origins"); name != "" && c.r.IntN(2) == 0 {
		origin.Source = &configv1.Origin_OriginRef{OriginRef: name}
	}
	site := control.Site(origin)
	site.Aliases = slices.Compact(slices.Sorted(slices.Values([]string{c.alias(), c.alias()})))[:1+c.r.IntN(1)]
	if name := c.world.pick(c.r, "cachePolicies"); name != "" && c.r.IntN(2) == 0 {
		site.CacheBehaviors = append(site.CacheBehaviors, control.Behavior("/x/*", "o", name))
	}
	if name := c.world.pick(c.r, "originRequestPolicies"); name != "" && c.r.IntN(2) == 0 {
		site.DefaultCacheBehavior.OriginRequestPolicy = name
	}
	if name := c.world.pick(c.r, "certificates"); name != "" && c.r.IntN(2) == 0 {
		site.ViewerCertificate = &configv1.ViewerCertificate{Certificate: name}
	}
	return site
}

func (c *caller) create(ctx context.Context, s replica, n int) error {
	d := &configv1.Distribution{CallerReference: fmt.Sprintf("%s-%d", c.tag, n), Config: c.site()}
	if c.r.IntN(4) == 0 {
		d.Staging, d.Config.Aliases = true, nil
	}
	res, err := s.distributions.CreateDistribution(ctx, &configv1.CreateDistributionRequest{Distribution: d})
	c.world.addDistribution(res.GetDistribution())
	return err
}

// some reads a distribution that may be gone.
func (c *caller) some(ctx context.Context, s replica) (*configv1.Distribution, error) {
	name := c.world.pick(c.r, "distributions")
	if name == "" {
		return nil, errNothing
	}
	res, err := s.distributions.GetDistribution(ctx, &configv1.GetDistributionRequest{Name: name})
	return res.GetDistribution(), err
}

func (c *caller) change(ctx context.Context, s replica, _ int) error {
	d, err := c.some(ctx, s)
	if err != nil {
		return err
	}
	aliases := c.r.IntN(3) > 0 && !d.GetStaging()
	keep := d.GetConfig().GetAliases()
	d.Config = c.site()
	if !aliases {
		d.Config.Aliases = keep
	}
	_, err = s.distributions.UpdateDistribution(ctx, &configv1.UpdateDistributionRequest{Distribution: d})
	return err
}

func (c *caller) remove(ctx context.Context, s replica, _ int) error {
	d, err := c.some(ctx, s)
	if err != nil {
		return err
	}
	d.Config = &configv1.DistributionConfig{}
	res, err := s.distributions.UpdateDistribution(ctx, &configv1.UpdateDistributionRequest{
		Distribution: d, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"config.enabled"}},
	})
	if err != nil {
		return err
	}
	_, err = s.distributions.DeleteDistribution(ctx, &configv1.DeleteDistributionRequest{
		Name: d.GetName(), Etag: res.GetDistribution().GetEtag(),
	})
	return err
}

func (c *caller) copy(ctx context.Context, s replica, n int) error {
	source := c.world.pick(c.r, "distributions")
	if source == "" {
		return errNothing
	}
	res, err := s.distributions.CopyDistribution(ctx, &configv1.CopyDistributionRequest{
		Source: source, CallerReference: fmt.Sprintf("copy-%s-%d", c.tag, n),
	})
	c.world.addDistribution(res.GetDistribution())
	return err
}

func (c *caller) promote(ctx context.Context, s replica, n int) error {
	primary, err := c.some(ctx, s)
	if err != nil || primary.GetStaging() {
		return errors.Join(err, errNothing)
	}
	copied, err := s.distributions.CopyDistribution(ctx, &configv1.CopyDistributionRequest{
		Source: primary.GetName(), CallerReference: fmt.Sprintf("stage-%s-%d", c.tag, n),
	})
	if err != nil {
		return err
	}
	c.world.add(copied.GetDistribution().GetName())
	_, err = s.distributions.PromoteStagingDistribution(ctx, &configv1.PromoteStagingDistributionRequest{
		Primary: primary.GetName(), PrimaryEtag: primary.GetEtag(),
		Staging: copied.GetDistribution().GetName(), StagingEtag: copied.GetDistribution().GetEtag(),
	})
	return err
}

func (c *caller) move(ctx context.Context, s replica, _ int) error {
	d, err := c.some(ctx, s)
	if err != nil || d.GetStaging() {
		return errors.Join(err, errNothing)
	}
	_, err = s.distributions.MoveAlias(ctx, &configv1.MoveAliasRequest{Alias: c.alias(), Target: d.GetName()})
	return err
}

func (c *caller) restore(ctx context.Context, s replica, _ int) error {
	d, err := c.some(ctx, s)
	if err != nil {
		return err
	}
	versions, err := s.distributions.ListDistributionVersions(ctx, &configv1.ListDistributionVersionsRequest{Parent: d.GetName()})
	if err != nil {
		return err
	}
	all := versions.GetVersions()
	if len(all) == 0 {
		return errNothing
	}
	_, err = s.distributions.RestoreDistributionVersion(ctx, &configv1.RestoreDistributionVersionRequest{
		Name: all[c.r.IntN(len(all))].GetName(), Etag: d.GetEtag(),
	})
	return err
}

func (c *caller) invalidate(ctx context.Context, s replica, n int) error {
	name := c.world.pick(c.r, "distributions")
	if name == "" {
		return errNothing
	}
	_, err := s.invalidations.CreateInvalidation(ctx, &configv1.CreateInvalidationRequest{
		Parent: name, Invalidation: &configv1.Invalidation{CallerReference: fmt.Sprintf("%s-%d", c.tag, n), Paths: []string{"/*"}},
	})
	return err
}

func (c *caller) createOrigin(ctx context.Context, s replica, _ int) error {
	res, err := s.origins.CreateOrigin(ctx, &originv1.CreateOriginRequest{
		OriginId: fmt.Sprintf("o%d", c.r.IntN(20)), Origin: &originv1.Origin{Endpoint: control.Server("origin.example.net", 80)},
	})
	c.world.add(res.GetOrigin().GetName())
	return err
}

func (c *caller) deleteOrigin(ctx context.Context, s replica, _ int) error {
	name := c.world.pick(c.r, "origins")
	if name == "" {
		return errNothing
	}
	_, err := s.origins.DeleteOrigin(ctx, &originv1.DeleteOriginRequest{Name: name})
	return err
}

func (c *caller) createPolicy(ctx context.Context, s replica, _ int) error {
	res, err := s.policies.CreateCachePolicy(ctx, &configv1.CreateCachePolicyRequest{CachePolicy: &configv1.CachePolicy{
		DisplayName: fmt.Sprintf("p%d", c.r.IntN(15)), MinTtl: &durationpb.Duration{Seconds: 1},
	}})
	c.world.add(res.GetCachePolicy().GetName())
	return err
}

func (c *caller) deletePolicy(ctx context.Context, s replica, _ int) error {
	name := c.world.pick(c.r, "cachePolicies")
	if name == "" {
		return errNothing
	}
	_, err := s.policies.DeleteCachePolicy(ctx, &configv1.DeleteCachePolicyRequest{Name: name})
	return err
}

func (c *caller) createRequestPolicy(ctx context.Context, s replica, _ int) error {
	res, err := s.requests.CreateOriginRequestPolicy(ctx, &configv1.CreateOriginRequestPolicyRequest{OriginRequestPolicy: &configv1.OriginRequestPolicy{
		DisplayName: fmt.Sprintf("r%d", c.r.IntN(15)),
	}})
	c.world.add(res.GetOriginRequestPolicy().GetName())
	return err
}

func (c *caller) deleteRequestPolicy(ctx context.Context, s replica, _ int) error {
	name := c.world.pick(c.r, "originRequestPolicies")
	if name == "" {
		return errNothing
	}
	_, err := s.requests.DeleteOriginRequestPolicy(ctx, &configv1.DeleteOriginRequestPolicyRequest{Name: name})
	return err
}

// publicKey is made once: making one takes longer than everything else.
var publicKey = sync.OnceValues(func() (string, error) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
})

func (c *caller) createKey(ctx context.Context, s replica, n int) error {
	text, err := publicKey()
	if err != nil {
		return err
	}
	res, err := s.keys.CreatePublicKey(ctx, &configv1.CreatePublicKeyRequest{PublicKey: &configv1.PublicKey{
		CallerReference: fmt.Sprintf("%s-%d", c.tag, n), DisplayName: fmt.Sprintf("k%d", c.r.IntN(15)), Pem: text,
	}})
	c.world.add(res.GetPublicKey().GetName())
	return err
}

func (c *caller) deleteKey(ctx context.Context, s replica, _ int) error {
	name := c.world.pick(c.r, "publicKeys")
	if name == "" {
		return errNothing
	}
	_, err := s.keys.DeletePublicKey(ctx, &configv1.DeletePublicKeyRequest{Name: name})
	return err
}

func (c *caller) createGroup(ctx context.Context, s replica, _ int) error {
	key := c.world.pick(c.r, "publicKeys")
	if key == "" {
		return errNothing
	}
	res, err := s.groups.CreateKeyGroup(ctx, &configv1.CreateKeyGroupRequest{KeyGroup: &configv1.KeyGroup{
		DisplayName: fmt.Sprintf("g%d", c.r.IntN(15)), PublicKeys: []string{key},
	}})
	c.world.add(res.GetKeyGroup().GetName())
	return err
}

func (c *caller) changeGroup(ctx context.Context, s replica, _ int) error {
	group, key := c.world.pick(c.r, "keyGroups"), c.world.pick(c.r, "publicKeys")
	if group == "" {
		return errNothing
	}
	_, err := s.groups.UpdateKeyGroup(ctx, &configv1.UpdateKeyGroupRequest{KeyGroup: &configv1.KeyGroup{
		Name: group, DisplayName: fmt.Sprintf("g%d", c.r.IntN(15)), PublicKeys: []string{key},
	}})
	return err
}

func (c *caller) deleteGroup(ctx context.Context, s replica, _ int) error {
	name := c.world.pick(c.r, "keyGroups")
	if name == "" {
		return errNothing
	}
	_, err := s.groups.DeleteKeyGroup(ctx, &configv1.DeleteKeyGroupRequest{Name: name})
	return err
}
