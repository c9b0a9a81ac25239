// SPDX-License-Identifier: Apache-2.0

package keys

import "fmt"

// Right is a range of keys that an etcd user may read, and write if so said.
type Right struct {
	From, To string // From <= key < To; To is empty for one key
	Write    bool
}

// Programs that have users in etcd.
const (
	ConfigProgram   = "config"
	RegistryProgram = "origin-registry"
	EdgeProgram     = "edge"
)

// Rights are what a program needs in etcd, and no more (C8.101): each resource has one
// program that writes it, an edge writes its own identity and status and nothing else.
// edge is the id of an edge, for EdgeProgram only. Etcd only adds rights up, so what
// nobody but the registry writes is left out of config's by ranges.
func Rights(program, edge string) ([]Right, error) {
	registered, controls := Origins.Prefix(), OriginAccessControls.Prefix()
	switch {
	case program == ConfigProgram && edge == "":
		return []Right{
			{From: edges, To: ConfigTo},
			under(control), under(edges), under(completions),
			{resources, controls, true}, {after(controls), registered, true}, {after(registered), after(resources), true},
		}, nil
	case program == RegistryProgram && edge == "":
		return []Right{
			{From: resources, To: after(resources)},
			under(registered), under(controls),
			under(control + "refs/"), under(control + "names/"), under(control + "idem/"), under(control + "reqid/"),
			under(Root + "h/origins/"),
		}, nil
	case program == EdgeProgram && edge != "":
		return []Right{
			{From: EdgeFrom, To: EdgeTo},
			{From: Edge(edge), Write: true}, {From: EdgeStatus(edge), Write: true},
		}, nil
	}
	return nil, fmt.Errorf("no rights are known for program %q and edge %q", program, edge)
}

func under(prefix string) Right { return Right{prefix, after(prefix), true} }

// after is the first key behind a prefix that ends with a slash.
func after(prefix string) string { return prefix[:len(prefix)-1] + "0" }
