package access

import (
	"maps"
	"slices"
)

// Roles are those that may call a method; "" stands for everybody.
func Roles(fullMethod string) (roles []Role) {
	r := table[fullMethod]
	if r.public || r.anyKey || r.own {
		return []Role{""}
	}
	for _, role := range []Role{RoleOwner, RoleEditor, RoleTreasurer, RoleAuditor, RoleOperator} {
		if r.allow&grantOf(role) != 0 {
			roles = append(roles, role)
		}
	}
	return roles
}

// FirstPlace is where a list of memberships begins.
var FirstPlace = place{}

// Methods are all that have a row in the table.
func Methods() []string { return slices.Sorted(maps.Keys(table)) }

// NewestPlace is where a list begins whose newest row is the first.
var NewestPlace = newestPlace
