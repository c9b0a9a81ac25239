// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"testing"

	"github.com/seafront-cdn/seafront/pkg/etcd/etcdtest"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }
