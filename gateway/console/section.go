package console

import (
	"slices"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
)

// section is a part of the console: its addresses, and its entries in the navigation.
type section struct {
	// name is that of its file, its folder of templates and its catalogues.
	name   string
	nav    []navEntry
	routes []route
}

// route is one address of a section.
type route struct {
	// pattern is that of http.ServeMux, with its method. {collective} in it is the id of the collective whose page it is.
	pattern string
	// serve answers. The error of a call can be returned as it is: see visit.fail.
	serve func(*visit) error
	// roles are those that see the page; all members of the collective when empty, the operator included. For others there
	// is nothing at the address. The services decide what a caller may do; this is for pages that call none of them.
	roles []accessv1.Role
	// body is how many bytes a form may have, its files included; maxFormBytes when zero.
	body int64
	// public is for the pages before the sign-in.
	public bool
}

// navEntry is a link of the navigation.
type navEntry struct {
	// label is the key of its text, and icon the name of its picture in icon.go.
	label, icon string
	// path follows /console/c/{collective}. One that begins with /console/ is of another part, such as "/console/instance",
	// whose pages alone show it.
	path string
	// also are the paths of pages that stand below this entry, as tabs, though their addresses do not.
	also []string
	// roles are those that see it; all when empty.
	roles []accessv1.Role
	// badge is how many things wait there, and the same in words; both empty for none. May be nil.
	badge func(*visit) (count, words string)
}

// The roles, by short names for the tables of the sections.
const (
	owner     = accessv1.Role_ROLE_OWNER
	editor    = accessv1.Role_ROLE_EDITOR
	treasurer = accessv1.Role_ROLE_TREASURER
	auditor   = accessv1.Role_ROLE_AUDITOR
	operator  = accessv1.Role_ROLE_OPERATOR
)

// permits reports whether one of the roles that somebody has is among those that are needed; everything is permitted when
// none is needed.
func permits(needed, has []accessv1.Role) bool {
	return len(needed) == 0 || slices.ContainsFunc(has, func(r accessv1.Role) bool { return slices.Contains(needed, r) })
}

// Page is one address of the console.
type Page struct {
	// Section is the part of the console that has it, such as "campaigns".
	Section string
	// Pattern is that of http.ServeMux, with its method.
	Pattern string
	// Roles are those that find it; all members of the collective when empty.
	Roles []accessv1.Role
	// Public is for the pages before the sign-in.
	Public bool
}

// Pages are all addresses of the console, for tests that visit each of them.
func Pages() (pages []Page) {
	for _, s := range sections() {
		for _, r := range s.routes {
			pages = append(pages, Page{Section: s.name, Pattern: r.pattern, Roles: r.roles, Public: r.public})
		}
	}
	return pages
}
