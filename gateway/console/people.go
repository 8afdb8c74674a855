package console

import (
	"cmp"
	"strings"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	approvalsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
)

// peopleSection has the people of a collective, or of the instance: members, roles, invitations, and their API keys.
func peopleSection() section {
	s := section{name: "people", nav: []navEntry{
		{label: "people.title", icon: "people", path: "/console/instance/people", roles: operators},
		{label: "people.keysTitle", icon: "key", path: "/console/instance/keys", roles: operators},
	}}
	for _, at := range []struct {
		path       string
		all, heads []accessv1.Role
	}{
		{"/console/c/{collective}/settings", nil, []accessv1.Role{owner, operator}},
		{"/console/instance", operators, operators},
	} {
		s.routes = append(
			s.routes,
			route{pattern: "GET " + at.path + "/people", serve: peopleList, roles: at.all},
			route{pattern: "GET " + at.path + "/people/invite", serve: peopleInvite, roles: at.heads},
			route{pattern: "POST " + at.path + "/people/invite", serve: peopleInviteSend, roles: at.heads},
			route{pattern: "GET " + at.path + "/people/{membership}/remove", serve: peopleRemoveConfirm, roles: at.all},
			route{pattern: "POST " + at.path + "/people/{membership}/remove", serve: peopleRemove, roles: at.all},
			route{pattern: "GET " + at.path + "/people/invitations/{invitation}/revoke", serve: peopleRevokeConfirm, roles: at.heads},
			route{pattern: "POST " + at.path + "/people/invitations/{invitation}/revoke", serve: peopleRevoke, roles: at.heads},
			route{pattern: "GET " + at.path + "/keys", serve: keysList, roles: at.all},
			route{pattern: "GET " + at.path + "/keys/new", serve: keysNew, roles: at.all},
			route{pattern: "POST " + at.path + "/keys/new", serve: keysCreate, roles: at.all},
			route{pattern: "GET " + at.path + "/keys/{key}/revoke", serve: keysRevokeConfirm, roles: at.all},
			route{pattern: "POST " + at.path + "/keys/{key}/revoke", serve: keysRevoke, roles: at.all},
		)
	}
	// Of the instance there is one role alone.
	const membership = "/console/c/{collective}/settings/people/{membership}"
	s.routes = append(
		s.routes,
		route{pattern: "GET " + membership, serve: peopleRole, roles: []accessv1.Role{owner, operator}},
		route{pattern: "POST " + membership, serve: peopleRoleSave, roles: []accessv1.Role{owner, operator}},
	)
	return s
}

var operators = []accessv1.Role{operator}

// scope is the parent of what the page is about: the collective, or the instance.
func (v *visit) scope() string { return cmp.Or(v.collective, "instance") }

// settingsPath is the address of a page below the settings, or of the instance.
func (v *visit) settingsPath(below string) string {
	if v.collective == "" {
		return "/console/instance" + below
	}
	return v.path("/settings" + below)
}

// toSettings leads back to what people and keys are a part of.
func (v *visit) toSettings() link {
	if v.collective == "" {
		return link{"/console/instance", v.T("instance.nav")}
	}
	return link{v.path("/settings"), v.T("settings.title")}
}

func (v *visit) toPeople() link { return link{v.settingsPath("/people"), v.T("people.title")} }

// leads reports whether the member manages the people here.
func (v *visit) leads() bool {
	return v.can(operator) || v.can(owner)
}

// peoplePage lists who is here, and who is invited.
type peoplePage struct {
	Up          link
	People      []peopleRow
	Invitations []peopleInvitation
	// Waiting are the invitations and roles that a second person must agree to.
	Waiting []changeRow
	// Invite is where to invite; empty for who cannot.
	Invite string
	Pager  pager
}

type peopleRow struct {
	Name, Email, Role, Since string
	// Change and Remove are addresses; empty where the reader cannot.
	Change, Remove string
	Me             bool
}

type peopleInvitation struct {
	Email, Role, By, Until, Revoke string
	State, Tone                    string
}

func peopleList(v *visit) error {
	p := peoplePage{Up: v.toSettings()}
	list, err := v.members().ListMemberships(v.ctx(), &accessv1.ListMembershipsRequest{Parent: v.scope(), PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p.Pager = v.pager(list.GetNextPageToken())
	zone, err := v.zone()
	if err != nil {
		return err
	}
	for _, m := range list.GetMemberships() {
		row := peopleRow{
			Name: m.GetDisplayName(), Email: m.GetEmail(), Role: capital(v.T("shell." + m.GetRole().String())), Since: v.Date(m.GetCreateTime().AsTime().In(zone)),
			Me: m.GetMember() == v.me.GetMember(),
		}
		at := v.settingsPath("/people/" + lastOf(m.GetName()))
		if v.leads() {
			// Whoever administers the site has that role alone.
			if v.collective != "" {
				row.Change = at
			}
			row.Remove = at + "/remove"
		} else if row.Me {
			row.Remove = at + "/remove"
		}
		p.People = append(p.People, row)
	}
	if p.Waiting, err = v.waitingPeople(); err != nil {
		return err
	}
	if v.leads() {
		p.Invite = v.settingsPath("/people/invite")
		if p.Invitations, err = v.invitations(); err != nil {
			return err
		}
	}
	return v.show("people/people", v.T("people.title"), p)
}

// waitingPeople are the changes of people that wait, for who sees changes.
func (v *visit) waitingPeople() (rows []changeRow, err error) {
	if v.collective == "" || !v.can(approvalReaders...) {
		return nil, nil
	}
	list, err := v.approvals().ListPendingChanges(v.ctx(), &approvalsv1.ListPendingChangesRequest{
		Parent: v.collective, State: approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_PENDING, PageSize: 100,
	})
	if err != nil {
		return nil, err
	}
	for _, c := range list.GetPendingChanges() {
		switch c.GetKind() {
		case approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_INVITATION, approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_MEMBER_ROLE:
			row, err := v.changeRow(c)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// invitations are those that wait, and those that have expired; the others are told of by the people themselves.
func (v *visit) invitations() (rows []peopleInvitation, err error) {
	list, err := v.members().ListInvitations(v.ctx(), &accessv1.ListInvitationsRequest{Parent: v.scope(), PageSize: 100})
	if err != nil {
		return nil, err
	}
	zone, err := v.zone()
	if err != nil {
		return nil, err
	}
	for _, i := range list.GetInvitations() {
		row := peopleInvitation{
			Email: i.GetEmail(), Role: capital(v.T("shell." + i.GetRole().String())), By: i.GetInviterDisplayName(), Until: v.Date(i.GetExpireTime().AsTime().In(zone)),
			Revoke: v.settingsPath("/people/invitations/" + lastOf(i.GetName()) + "/revoke"), State: v.T("people.pending"), Tone: "warn",
		}
		switch i.GetState() {
		case accessv1.InvitationState_INVITATION_STATE_PENDING:
		case accessv1.InvitationState_INVITATION_STATE_EXPIRED:
			row.Revoke, row.State, row.Tone = "", v.T("people.expired"), ""
		default:
			continue
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// roleOptions are the roles that can be given here, each with what it may do.
func (v *visit) roleOptions(roles ...accessv1.Role) (options []option) {
	for _, r := range roles {
		name := r.String()
		options = append(options, option{Value: name, Label: capital(v.T("shell." + name)), Hint: v.T("people." + name)})
	}
	return options
}

// capital writes the first letter large: a role stands alone here.
func capital(word string) string {
	first := []rune(word)
	return strings.ToUpper(string(first[0])) + string(first[1:])
}

var givenRoles = []accessv1.Role{editor, treasurer, auditor, owner}

func inviteFields(v *visit) []field {
	fields := []field{{Name: "email", Label: "people.email", Kind: "email", Required: true, Max: 254, Path: "invitation.email"}}
	if v.collective != "" {
		fields = append(fields, field{Name: "role", Label: "people.role", Kind: "radio", Required: true, Options: v.roleOptions(givenRoles...), Path: "invitation.role"})
	}
	return append(fields, field{
		Name: "language", Label: "people.mailLanguage", Kind: "radio", Required: true, Path: "invitation.language",
		Options: []option{{Value: "fr", Label: "Français"}, {Value: "en", Label: "English"}},
	})
}

// formPage is a form of its own page, with the way back.
type formPage struct {
	Up   link
	Form *form
}

func peopleInvite(v *visit) error {
	if !v.fresh() {
		return nil
	}
	return v.show("people/invite", v.T("people.invite"), formPage{v.toPeople(), v.newForm(inviteFields(v), "language", v.Lang)})
}

func peopleInviteSend(v *visit) error {
	f, err := v.readForm(inviteFields(v))
	if err != nil {
		return err
	}
	if !f.failed() {
		role := operator
		if v.collective != "" {
			role = accessv1.Role(accessv1.Role_value[f.Value("role")])
		}
		var made *accessv1.Invitation
		made, err = v.members().CreateInvitation(v.ctx(), &accessv1.CreateInvitationRequest{
			Parent: v.scope(), RequestId: f.RequestID,
			Invitation: &accessv1.Invitation{Email: f.Value("email"), Role: role, Language: f.Value("language")},
		})
		switch {
		case made.GetState() == accessv1.InvitationState_INVITATION_STATE_PENDING_APPROVAL:
			return v.done("people.waits", v.settingsPath("/people"))
		case err == nil:
			return v.done("people.invited", v.settingsPath("/people"))
		case !f.refused(v, err):
			return err
		}
	}
	return v.refuse("people/invite", v.T("people.invite"), formPage{v.toPeople(), f})
}

// membership is the one in the address.
func (v *visit) membership() (*accessv1.Membership, error) {
	return v.members().GetMembership(v.ctx(), &accessv1.GetMembershipRequest{Name: v.scope() + "/memberships/" + v.r.PathValue("membership")})
}

// rolePage changes somebody's role.
type rolePage struct {
	Up     link
	Form   *form
	Name   string
	Remove string
}

func roleFields(v *visit) []field {
	return []field{{Name: "role", Label: "people.role", Kind: "radio", Required: true, Options: v.roleOptions(givenRoles...), Path: "membership.role"}}
}

func peopleRole(v *visit) error {
	m, err := v.membership()
	if err != nil {
		return err
	}
	if m.GetEndTime() != nil {
		return errNoPage
	}
	if !v.fresh() {
		return nil
	}
	return v.show("people/role", v.T("people.roleTitle"), v.rolePage(m, v.newForm(roleFields(v), "role", m.GetRole().String())))
}

func (v *visit) rolePage(m *accessv1.Membership, f *form) rolePage {
	return rolePage{Up: v.toPeople(), Form: f, Name: m.GetDisplayName(), Remove: v.settingsPath("/people/" + lastOf(m.GetName()) + "/remove")}
}

func peopleRoleSave(v *visit) error {
	f, err := v.readForm(roleFields(v))
	if err != nil {
		return err
	}
	m, err := v.membership()
	if err != nil {
		return err
	}
	if !f.failed() {
		var changed *accessv1.Membership
		changed, err = v.members().UpdateMembership(v.ctx(), &accessv1.UpdateMembershipRequest{
			Membership: &accessv1.Membership{Name: m.GetName(), Role: accessv1.Role(accessv1.Role_value[f.Value("role")])},
		})
		switch {
		case changed.GetPendingChange() != "":
			return v.done("people.waits", v.settingsPath("/people"))
		case err == nil:
			return v.done("people.changed", v.settingsPath("/people"))
		case !f.refused(v, err):
			return err
		}
	}
	return v.refuse("people/role", v.T("people.roleTitle"), v.rolePage(m, f))
}

func peopleRemoveConfirm(v *visit) error {
	m, err := v.membership()
	if err != nil {
		return err
	}
	if m.GetEndTime() != nil {
		return errNoPage
	}
	if !v.fresh() {
		return nil
	}
	return v.removeConfirmation(m, v.newForm(nil))
}

// removeConfirmation says what it means to leave, or to be removed.
func (v *visit) removeConfirmation(m *accessv1.Membership, f *form) error {
	c := confirmation{Form: f, Danger: true, Back: v.settingsPath("/people")}
	if m.GetMember() == v.me.GetMember() {
		c.Lead, c.Button = v.T("people.leaveLead"), v.T("people.leave")
		c.Points = []string{v.T("people.leaveAccess"), v.T("people.removeKeys"), v.T("people.removeBack")}
		return v.confirm(v.T("people.leaveTitle"), c)
	}
	c.Lead, c.Button = v.T("people.removeLead", "name", m.GetDisplayName()), v.T("people.remove")
	c.Points = []string{v.T("people.removeAccess"), v.T("people.removeKeys"), v.T("people.removeHistory"), v.T("people.removeBack")}
	return v.confirm(v.T("people.removeTitle"), c)
}

func peopleRemove(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	m, err := v.membership()
	if err != nil {
		return err
	}
	_, err = v.members().DeleteMembership(v.ctx(), &accessv1.DeleteMembershipRequest{Name: m.GetName()})
	switch {
	case err == nil && m.GetMember() == v.me.GetMember():
		return v.done("people.left", "/console")
	case err == nil:
		return v.done("people.removed", v.settingsPath("/people"))
	case !f.refused(v, err):
		return err
	}
	return v.removeConfirmation(m, f)
}

func (v *visit) invitationName() string {
	return v.scope() + "/invitations/" + v.r.PathValue("invitation")
}

func peopleRevokeConfirm(v *visit) error {
	i, err := v.members().GetInvitation(v.ctx(), &accessv1.GetInvitationRequest{Name: v.invitationName()})
	if err != nil {
		return err
	}
	return v.confirm(v.T("people.revokeTitle"), confirmation{
		Lead: v.T("people.revokeLead", "email", i.GetEmail()), Points: []string{v.T("people.revokeLink")}, Form: v.newForm(nil),
		Button: v.T("people.revoke"), Danger: true, Back: v.settingsPath("/people"),
	})
}

func peopleRevoke(v *visit) error {
	if _, err := v.members().RevokeInvitation(v.ctx(), &accessv1.RevokeInvitationRequest{Name: v.invitationName()}); err != nil {
		return err
	}
	return v.done("people.revoked", v.settingsPath("/people"))
}
