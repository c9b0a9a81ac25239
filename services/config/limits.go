// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"fmt"

	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/pki"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/script"
)

// Limits are the quotas that an installation can set (C4). Each is soft: callers at the
// same moment may pass it by their number (C8.63). 0 means the default. Its tags are
// flags, to be embedded with the prefix max-.
type Limits struct {
	PolicyLimits

	StagingDistributions int64 `help:"How many staging distributions there may be; 0 is 20." group:"Quotas" env:"SEAFRONT_MAX_STAGING_DISTRIBUTIONS"`
	Aliases              int64 `help:"How many aliases a distribution may have; 0 is 100." group:"Quotas" env:"SEAFRONT_MAX_ALIASES"`
	Origins              int64 `help:"How many origins a distribution may have; 0 is 100." group:"Quotas" env:"SEAFRONT_MAX_ORIGINS"`
	CacheBehaviors       int64 `help:"How many cache behaviors a distribution may have besides the default one; 0 is 75." group:"Quotas" env:"SEAFRONT_MAX_CACHE_BEHAVIORS"`
	OriginCustomHeaders  int64 `help:"How many custom headers an origin may have; 0 is 30." group:"Quotas" env:"SEAFRONT_MAX_ORIGIN_CUSTOM_HEADERS"`
	PublicKeys           int64 `help:"How many public keys there may be; 0 is 10." group:"Quotas" env:"SEAFRONT_MAX_PUBLIC_KEYS"`
	KeyGroups            int64 `help:"How many key groups there may be; 0 is 10." group:"Quotas" env:"SEAFRONT_MAX_KEY_GROUPS"`
	PublicKeysPerGroup   int64 `help:"How many public keys a key group may have; 0 is 5." group:"Quotas" env:"SEAFRONT_MAX_PUBLIC_KEYS_PER_GROUP"`

	Functions                    int64 `help:"How many functions there may be; 0 is 100." group:"Quotas" env:"SEAFRONT_MAX_FUNCTIONS"`
	FunctionBytes                int64 `help:"How many bytes the code of a function may have; 0 is 10240." group:"Quotas" env:"SEAFRONT_MAX_FUNCTION_BYTES"`
	KeyValueStores               int64 `help:"How many key-value stores there may be; 0 is 100." group:"Quotas" env:"SEAFRONT_MAX_KEY_VALUE_STORES"`
	KeyValueStoreBytes           int64 `help:"How many bytes the keys and values of a key-value store may have; 0 is 5242880." group:"Quotas" env:"SEAFRONT_MAX_KEY_VALUE_STORE_BYTES"`
	RealtimeLogConfigs           int64 `help:"How many real-time log configurations there may be; 0 is 150." group:"Quotas" env:"SEAFRONT_MAX_REALTIME_LOG_CONFIGS"`
	ContinuousDeploymentPolicies int64 `help:"How many continuous deployment policies there may be; 0 is 20." group:"Quotas" env:"SEAFRONT_MAX_CONTINUOUS_DEPLOYMENT_POLICIES"`
	Certificates                 int64 `help:"How many certificates there may be; 0 is 10000." group:"Quotas" env:"SEAFRONT_MAX_CERTIFICATES"`

	InvalidationPaths     int64 `help:"How many paths without a wildcard, and tags, may be in progress of invalidation for one distribution; 0 is 3000." group:"Quotas" env:"SEAFRONT_MAX_INVALIDATION_PATHS"`
	InvalidationWildcards int64 `help:"How many paths with a wildcard may be in progress of invalidation for one distribution; 0 is 15." group:"Quotas" env:"SEAFRONT_MAX_INVALIDATION_WILDCARDS"`
}

// The most that a group can be allowed to have: a transaction holds its keys.
const mostKeysPerGroup = 100

// The most that the entries of a store can be allowed to have: edges will hold them.
const mostStoreBytes = 64 << 20

// The most of what a distribution can be allowed to have: a change of all of it is one
// transaction (C8.61).
const (
	mostAliases   = 400
	mostOrigins   = 400
	mostBehaviors = 1000
	mostHeaders   = 100
)

// Validate says what is wrong with the limits.
func (l Limits) Validate() error {
	for _, f := range []struct {
		flag string
		n    int64
		most int64
	}{
		{"staging-distributions", l.StagingDistributions, 0},
		{"aliases", l.Aliases, mostAliases},
		{"origins", l.Origins, mostOrigins},
		{"cache-behaviors", l.CacheBehaviors, mostBehaviors},
		{"origin-custom-headers", l.OriginCustomHeaders, mostHeaders},
		{"public-keys", l.PublicKeys, 0},
		{"key-groups", l.KeyGroups, 0},
		{"public-keys-per-group", l.PublicKeysPerGroup, mostKeysPerGroup},
		{"functions", l.Functions, 0},
		{"function-bytes", l.FunctionBytes, script.MostCodeBytes},
		{"key-value-stores", l.KeyValueStores, 0},
		{"key-value-store-bytes", l.KeyValueStoreBytes, mostStoreBytes},
		{"realtime-log-configs", l.RealtimeLogConfigs, 0},
		{"continuous-deployment-policies", l.ContinuousDeploymentPolicies, 0},
		{"certificates", l.Certificates, 0},
		{"invalidation-paths", l.InvalidationPaths, 0},
		{"invalidation-wildcards", l.InvalidationWildcards, 0},
	} {
		if f.n < 0 || f.most > 0 && f.n > f.most {
			return fmt.Errorf("--max-%s is %d; it must be %s", f.flag, f.n, wanted(f.most))
		}
	}
	return l.validate()
}

func wanted(most int64) string {
	if most == 0 {
		return "0 for the default, or more"
	}
	return fmt.Sprintf("0 for the default, or 1 to %d", most)
}

// filled has the defaults.
func (l Limits) filled() Limits {
	l.PolicyLimits = l.PolicyLimits.filled()
	l.StagingDistributions = cmp.Or(l.StagingDistributions, 20) // C4.5
	l.PublicKeys = cmp.Or(l.PublicKeys, 10)                     // C4.39
	l.KeyGroups = cmp.Or(l.KeyGroups, 10)                       // C4.41
	l.PublicKeysPerGroup = cmp.Or(l.PublicKeysPerGroup, pki.DefaultKeysPerGroup)
	l.Functions = cmp.Or(l.Functions, 100) // C4.48
	l.FunctionBytes = cmp.Or(l.FunctionBytes, script.DefaultCodeBytes)
	l.KeyValueStores = cmp.Or(l.KeyValueStores, 100)
	l.KeyValueStoreBytes = cmp.Or(l.KeyValueStoreBytes, script.DefaultStoreBytes)
	l.RealtimeLogConfigs = cmp.Or(l.RealtimeLogConfigs, 150)                    // C4.46
	l.ContinuousDeploymentPolicies = cmp.Or(l.ContinuousDeploymentPolicies, 20) // C4.37
	l.Certificates = cmp.Or(l.Certificates, 10_000)                             // C2.309
	l.InvalidationPaths = cmp.Or(l.InvalidationPaths, 3000)                     // C4.54
	l.InvalidationWildcards = cmp.Or(l.InvalidationWildcards, 15)               // C4.55
	return l
}

// distribution are the limits of each distribution (C4.6, C4.7, C4.10); package rules
// has their defaults.
func (l Limits) distribution(baseDomain string) rules.Limits {
	return rules.Limits{BaseDomain: baseDomain, Aliases: int(l.Aliases), Origins: int(l.Origins), Behaviors: int(l.CacheBehaviors), CustomHeaders: int(l.OriginCustomHeaders)}
}
