package console

import (
	"net/http"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	connectv1 "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
)

// collectivesPage lists all collectives.
type collectivesPage struct {
	Rows  []collectiveRow
	Pager pager
}

type collectiveRow struct{ Name, ID, Path, State, Tone, Account string }

func collectiveOf(v *visit, c *collectivesv1.Collective) collectiveRow {
	row := collectiveRow{
		Name: c.GetDisplayName(), ID: lastOf(c.GetName()), Path: instancePath + "/collectives/" + lastOf(c.GetName()),
		State: v.T("instance.collectiveOpen"), Tone: "good", Account: v.accountLabel(c.GetStripeAccount()),
	}
	switch {
	case c.GetSuspendTime() != nil:
		row.State, row.Tone = v.T("instance.collectiveSuspended"), "bad"
	case c.GetOwnAccountRequired() && c.GetStripeAccount() == "":
		row.State, row.Tone, row.Account = v.T("instance.collectiveNoAccount"), "warn", v.T("instance.noAccount")
	}
	return row
}

func instanceCollectives(v *visit) error {
	list, err := v.collectives().ListCollectives(v.ctx(), &collectivesv1.ListCollectivesRequest{PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := collectivesPage{Pager: v.pager(list.GetNextPageToken())}
	for _, c := range list.GetCollectives() {
		p.Rows = append(p.Rows, collectiveOf(v, c))
	}
	return v.show("instance/collectives", v.T("instance.collectivesTitle"), p)
}

func collectiveFields(v *visit) []field {
	return []field{
		{Name: "display_name", Label: "instance.displayName", Required: true, Max: 120, Spellcheck: true, Path: "collective.display_name"},
		{Name: "collective_id", Label: "instance.collectiveID", Hint: "instance.collectiveIDHint", Required: true, Max: 40, Mono: true},
		{Name: "language", Label: "instance.language", Kind: "select", Required: true, Options: languageOptions(v), Path: "collective.language"},
		{Name: "own", Label: "instance.whose", Kind: "radio", Required: true, Options: []option{
			{"other", v.T("instance.whoseOther"), v.T("instance.whoseOtherHint")}, {"ours", v.T("instance.whoseOurs"), v.T("instance.whoseOursHint")},
		}},
		{Name: "email", Label: "instance.firstOwner", Hint: "instance.firstOwnerHint", Kind: "email", Max: 254, Path: "invitation.email"},
	}
}

func languageOptions(v *visit) []option {
	return []option{{"fr", v.T("instance.french"), ""}, {"en", v.T("instance.english"), ""}}
}

func instanceCollectiveForm(v *visit) error {
	if !v.fresh() {
		return nil
	}
	return v.show("instance/newcollective", v.T("instance.newCollective"), v.newForm(collectiveFields(v), "language", v.Lang, "own", "other"))
}

// instanceCreateCollective creates a collective and, where an address is given, invites its first owner. Sent again it does
// what is left of both.
func instanceCreateCollective(v *visit) error {
	f, err := v.readForm(collectiveFields(v))
	if err != nil {
		return err
	}
	if !f.failed() {
		var c *collectivesv1.Collective
		c, err = v.collectives().CreateCollective(v.ctx(), &collectivesv1.CreateCollectiveRequest{
			CollectiveId: f.Value("collective_id"),
			Collective: &collectivesv1.Collective{
				DisplayName: f.Value("display_name"), Language: f.Value("language"), OwnAccountRequired: f.Value("own") != "ours",
			},
		})
		if err == nil && f.Value("email") != "" {
			_, err = invite(v, c.GetName(), f, owner)
		}
		if err == nil {
			return v.done("instance.created", instancePath+"/collectives/"+lastOf(c.GetName()))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return v.refuse("instance/newcollective", v.T("instance.newCollective"), f)
}

// invite invites the person of the form's address, under the form's request id.
func invite(v *visit, collective string, f *form, role accessv1.Role) (*accessv1.Invitation, error) {
	return v.members().CreateInvitation(v.ctx(), &accessv1.CreateInvitationRequest{
		Parent: collective, RequestId: f.RequestID, Invitation: &accessv1.Invitation{Email: f.Value("email"), Role: role},
	})
}

// oneCollectivePage is one collective, as the operator sees it.
type oneCollectivePage struct {
	collectiveRow
	Facts []labelled
	// Suspended and Reason are of a suspension.
	Suspended, Reason string
	// Stripe says what its account may do.
	Stripe connectionView
	People []personRow
	Invite *form
	// Home and Public are its own pages.
	Home, Public string
}

type personRow struct{ Name, Role, State, Tone string }

var firstOwnerFields = []field{{Name: "email", Label: "instance.inviteEmail", Hint: "instance.inviteHint", Kind: "email", Required: true, Max: 254, Path: "invitation.email"}}

func (v *visit) collectiveByID() (*collectivesv1.Collective, error) {
	return v.collectives().GetCollective(v.ctx(), &collectivesv1.GetCollectiveRequest{Name: "collectives/" + v.r.PathValue("id")})
}

func instanceCollective(v *visit) error { return showCollective(v, v.newForm(firstOwnerFields)) }

func showCollective(v *visit, f *form) error {
	c, err := v.collectiveByID()
	if err != nil {
		return err
	}
	id := lastOf(c.GetName())
	p := oneCollectivePage{
		collectiveRow: collectiveOf(v, c), Suspended: v.moment(c.GetSuspendTime()), Reason: c.GetSuspendReason(), Invite: f,
		Home: "/console/c/" + id, Public: "/c/" + id,
	}
	f.Action = p.Path + "/invite"
	connection, err := connectv1.NewConnectServiceClient(v.Conn).GetConnection(v.ctx(), &connectv1.GetConnectionRequest{Name: c.GetName() + "/connection"})
	if err != nil {
		return err
	}
	p.Stripe = connectionOf(v, c, connection)
	p.Facts = []labelled{
		{Label: v.T("instance.collectiveID"), Value: id},
		{Label: v.T("instance.createdOn"), Value: v.moment(c.GetCreateTime())},
		{Label: v.T("instance.language"), Value: v.T(map[string]string{"en": "instance.english"}[c.GetLanguage()] + map[bool]string{true: "instance.french"}[c.GetLanguage() != "en"])},
		{Label: v.T("instance.timeZone"), Value: c.GetTimeZone()},
	}
	client := accessv1.NewMembersServiceClient(v.Conn)
	members, err := client.ListMemberships(v.ctx(), &accessv1.ListMembershipsRequest{Parent: c.GetName(), PageSize: 200})
	if err != nil {
		return err
	}
	for _, m := range members.GetMemberships() {
		p.People = append(p.People, personRow{m.GetDisplayName(), capital(v.T("shell." + m.GetRole().String())), v.T("instance.personMember"), "good"})
	}
	invitations, err := client.ListInvitations(v.ctx(), &accessv1.ListInvitationsRequest{Parent: c.GetName(), PageSize: 200})
	if err != nil {
		return err
	}
	for _, i := range invitations.GetInvitations() {
		state := ""
		switch i.GetState() {
		case accessv1.InvitationState_INVITATION_STATE_PENDING:
			state = v.T("instance.personInvited")
		case accessv1.InvitationState_INVITATION_STATE_PENDING_APPROVAL:
			state = v.T("instance.personWaits")
		default:
			continue
		}
		p.People = append(p.People, personRow{i.GetEmail(), capital(v.T("shell." + i.GetRole().String())), state, "warn"})
	}
	code := http.StatusOK
	if f.failed() {
		code = http.StatusUnprocessableEntity
	}
	return v.render(code, "instance/collective", c.GetDisplayName(), p)
}

func instanceInvite(v *visit) error {
	f, err := v.readForm(firstOwnerFields)
	if err != nil {
		return err
	}
	if !f.failed() {
		var i *accessv1.Invitation
		i, err = invite(v, "collectives/"+v.r.PathValue("id"), f, owner)
		if i.GetState() == accessv1.InvitationState_INVITATION_STATE_PENDING_APPROVAL {
			return v.done("instance.waits", instancePath+"/collectives/"+v.r.PathValue("id"))
		}
		if err == nil {
			return v.done("instance.invited", instancePath+"/collectives/"+v.r.PathValue("id"))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return showCollective(v, f)
}

var suspendFields = []field{{Name: "reason", Label: "instance.suspendReason", Hint: "instance.suspendReasonHint", Kind: "textarea", Required: true, Max: 1000, Spellcheck: true}}

func suspendConfirmation(v *visit, c *collectivesv1.Collective, f *form) confirmation {
	return confirmation{
		Lead: v.T("instance.suspendLead", "name", c.GetDisplayName()),
		Points: []string{
			v.T("instance.suspendPoint1"), v.T("instance.suspendPoint2"), v.T("instance.suspendPoint3"), v.T("instance.suspendPoint4"),
		},
		Form: f, Button: v.T("instance.suspend"), Danger: true, Back: instancePath + "/collectives/" + lastOf(c.GetName()),
	}
}

func instanceSuspendForm(v *visit) error {
	c, err := v.collectiveByID()
	if err != nil {
		return err
	}
	if !v.fresh() {
		return nil
	}
	return v.confirm(v.T("instance.suspendTitle"), suspendConfirmation(v, c, v.newForm(suspendFields)))
}

func instanceSuspend(v *visit) error {
	f, err := v.readForm(suspendFields)
	if err != nil {
		return err
	}
	c, err := v.collectiveByID()
	if err != nil {
		return err
	}
	if !f.failed() {
		_, err = v.collectives().SuspendCollective(v.ctx(), &collectivesv1.SuspendCollectiveRequest{Name: c.GetName(), Reason: f.Value("reason")})
		if err == nil {
			return v.done("instance.suspended", instancePath+"/collectives/"+lastOf(c.GetName()))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return v.confirm(v.T("instance.suspendTitle"), suspendConfirmation(v, c, f))
}

func resumeConfirmation(v *visit, c *collectivesv1.Collective, f *form) confirmation {
	return confirmation{
		Lead: v.T("instance.resumeLead", "name", c.GetDisplayName()), Points: []string{v.T("instance.resumePoint1"), v.T("instance.resumePoint2")},
		Form: f, Button: v.T("instance.resume"), Back: instancePath + "/collectives/" + lastOf(c.GetName()),
	}
}

func instanceResumeForm(v *visit) error {
	c, err := v.collectiveByID()
	if err != nil {
		return err
	}
	if !v.fresh() {
		return nil
	}
	return v.confirm(v.T("instance.resumeTitle"), resumeConfirmation(v, c, v.newForm(nil)))
}

func instanceResume(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	c, err := v.collectiveByID()
	if err != nil {
		return err
	}
	_, err = v.collectives().ResumeCollective(v.ctx(), &collectivesv1.ResumeCollectiveRequest{Name: c.GetName()})
	switch {
	case err == nil:
		return v.done("instance.resumed", instancePath+"/collectives/"+lastOf(c.GetName()))
	case !f.refused(v, err):
		return err
	}
	return v.confirm(v.T("instance.resumeTitle"), resumeConfirmation(v, c, f))
}

// applicationsPage lists applications, and says how collectives are opened.
type applicationsPage struct {
	Filter *form
	Rows   []applicationRow
	Pager  pager
	// Opening is the form of the setting; Address is where people apply, empty where nobody can.
	Opening *form
	Address string
}

type applicationRow struct {
	Name, Applicant, Email, Purpose, ID, Created, Decided, State, Tone, Reason, Path, Collective string
	Waiting                                                                                      bool
}

func applicationOf(v *visit, a *collectivesv1.Application) applicationRow {
	row := applicationRow{
		Name: a.GetDisplayName(), Applicant: a.GetApplicant(), Email: a.GetEmail(), Purpose: a.GetPurpose(), ID: a.GetCollectiveId(),
		Created: v.moment(a.GetCreateTime()), Decided: v.moment(a.GetDecideTime()), State: v.T("instance." + a.GetState().String()),
		Reason: a.GetRejectReason(), Path: instancePath + "/applications/" + lastOf(a.GetName()), Tone: "warn",
		Waiting: a.GetState() == collectivesv1.ApplicationState_APPLICATION_STATE_WAITING,
	}
	if c := a.GetCollective(); c != "" {
		row.Collective, row.Tone = instancePath+"/collectives/"+lastOf(c), "good"
	}
	if a.GetState() == collectivesv1.ApplicationState_APPLICATION_STATE_REJECTED {
		row.Tone = "bad"
	}
	return row
}

// applicationStates are the values of the filter.
var applicationStates = map[string]collectivesv1.ApplicationState{
	"waiting":  collectivesv1.ApplicationState_APPLICATION_STATE_WAITING,
	"approved": collectivesv1.ApplicationState_APPLICATION_STATE_APPROVED,
	"rejected": collectivesv1.ApplicationState_APPLICATION_STATE_REJECTED,
}

func openingFields(v *visit) []field {
	var options []option
	for _, m := range []collectivesv1.OpeningMode{
		collectivesv1.OpeningMode_OPENING_MODE_INVITATION, collectivesv1.OpeningMode_OPENING_MODE_REQUEST, collectivesv1.OpeningMode_OPENING_MODE_ALL,
	} {
		options = append(options, option{m.String(), v.T("instance." + m.String()), v.T("instance.hint." + m.String())})
	}
	return []field{{Name: "mode", Label: "instance.opening", Kind: "radio", Required: true, Options: options}}
}

func instanceApplications(v *visit) error {
	o, err := v.applications().GetOpening(v.ctx(), &collectivesv1.GetOpeningRequest{Name: "instance/opening"})
	if err != nil {
		return err
	}
	return showApplications(v, v.newForm(openingFields(v), "mode", o.GetMode().String()), o)
}

func showApplications(v *visit, opening *form, o *collectivesv1.Opening) error {
	p := applicationsPage{Opening: opening, Filter: v.queryForm([]field{{Name: "state", Label: "instance.state", Kind: "select", Options: []option{
		{"", v.T("shell.all"), ""},
		{"waiting", v.T("instance.APPLICATION_STATE_WAITING"), ""},
		{"approved", v.T("instance.APPLICATION_STATE_APPROVED"), ""},
		{"rejected", v.T("instance.APPLICATION_STATE_REJECTED"), ""},
	}}})}
	if o.GetMode() != collectivesv1.OpeningMode_OPENING_MODE_INVITATION {
		p.Address = v.PublicURL + "/console/apply"
	}
	list, err := v.applications().ListApplications(v.ctx(), &collectivesv1.ListApplicationsRequest{
		Parent: instanceName, State: applicationStates[p.Filter.Value("state")], PageToken: v.pageToken(),
	})
	if err != nil {
		return err
	}
	for _, a := range list.GetApplications() {
		p.Rows = append(p.Rows, applicationOf(v, a))
	}
	p.Pager = v.pager(list.GetNextPageToken())
	code := http.StatusOK
	if opening.failed() {
		code = http.StatusUnprocessableEntity
	}
	return v.render(code, "instance/applications", v.T("instance.applicationsTitle"), p)
}

func instanceSetOpening(v *visit) error {
	f, err := v.readForm(openingFields(v))
	if err != nil {
		return err
	}
	mode := collectivesv1.OpeningMode(collectivesv1.OpeningMode_value[f.Value("mode")])
	if !f.failed() {
		_, err = v.applications().UpdateOpening(v.ctx(), &collectivesv1.UpdateOpeningRequest{
			Opening: &collectivesv1.Opening{Name: "instance/opening", Mode: mode}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"mode"}},
		})
		if err == nil {
			return v.done("instance.opening", instancePath+"/applications")
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return showApplications(v, f, &collectivesv1.Opening{Mode: mode})
}

// applicationPage is one application, with what can be decided.
type applicationPage struct {
	applicationRow
	Form *form
}

var approveFields = []field{{Name: "collective_id", Label: "instance.collectiveID", Hint: "instance.collectiveIDHint", Required: true, Max: 40, Mono: true}}

func (v *visit) applicationName() string {
	return instanceName + "/applications/" + v.r.PathValue("application")
}

func showApplication(v *visit, f *form) error {
	a, err := v.applications().GetApplication(v.ctx(), &collectivesv1.GetApplicationRequest{Name: v.applicationName()})
	if err != nil {
		return err
	}
	code := http.StatusOK
	if f == nil {
		f = v.newForm(approveFields, "collective_id", a.GetCollectiveId())
	} else if f.failed() {
		code = http.StatusUnprocessableEntity
	}
	return v.render(code, "instance/application", a.GetDisplayName(), applicationPage{applicationOf(v, a), f})
}

func instanceApplication(v *visit) error { return showApplication(v, nil) }

func instanceApprove(v *visit) error {
	f, err := v.readForm(approveFields)
	if err != nil {
		return err
	}
	if !f.failed() {
		_, err = v.applications().ApproveApplication(v.ctx(), &collectivesv1.ApproveApplicationRequest{Name: v.applicationName(), CollectiveId: f.Value("collective_id")})
		if err == nil {
			return v.done("instance.approved", instancePath+"/applications/"+v.r.PathValue("application"))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return showApplication(v, f)
}

var rejectFields = []field{{Name: "reason", Label: "instance.rejectReason", Hint: "instance.rejectReasonHint", Kind: "textarea", Required: true, Max: 1000, Spellcheck: true}}

func rejectConfirmation(v *visit, f *form) confirmation {
	return confirmation{
		Lead: v.T("instance.rejectLead"), Form: f, Button: v.T("instance.reject"), Danger: true,
		Back: instancePath + "/applications/" + v.r.PathValue("application"),
	}
}

func instanceRejectForm(v *visit) error {
	if _, err := v.applications().GetApplication(v.ctx(), &collectivesv1.GetApplicationRequest{Name: v.applicationName()}); err != nil {
		return err
	}
	return v.confirm(v.T("instance.rejectTitle"), rejectConfirmation(v, v.newForm(rejectFields)))
}

func instanceReject(v *visit) error {
	f, err := v.readForm(rejectFields)
	if err != nil {
		return err
	}
	if !f.failed() {
		_, err = v.applications().RejectApplication(v.ctx(), &collectivesv1.RejectApplicationRequest{Name: v.applicationName(), Reason: f.Value("reason")})
		if err == nil {
			return v.done("instance.rejected", instancePath+"/applications/"+v.r.PathValue("application"))
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return v.confirm(v.T("instance.rejectTitle"), rejectConfirmation(v, f))
}

// applyPage is the form for those who want a collective.
type applyPage struct {
	Form *form
	// All says that a collective is opened at once.
	All bool
}

func applyFields() []field {
	return []field{
		{Name: "display_name", Label: "instance.displayName", Required: true, Max: 120, Spellcheck: true},
		{Name: "collective_id", Label: "instance.wishedID", Hint: "instance.wishedIDHint", Required: true, Max: 40, Mono: true},
		{Name: "purpose", Label: "instance.purpose", Hint: "instance.purposeHint", Kind: "textarea", Required: true, Max: 2000, Rows: 6, Spellcheck: true},
		{Name: "applicant", Label: "instance.applicant", Required: true, Max: 120, Autocomplete: "name"},
		{Name: "email", Label: "instance.applicantEmail", Hint: "instance.applicantEmailHint", Kind: "email", Required: true, Max: 254, Autocomplete: "email"},
	}
}

// opened returns how collectives are opened, or errNoPage where nobody can apply.
func opened(v *visit) (*collectivesv1.Opening, error) {
	o, err := v.applications().GetOpening(v.ctx(), &collectivesv1.GetOpeningRequest{Name: "instance/opening"})
	if err == nil && o.GetMode() == collectivesv1.OpeningMode_OPENING_MODE_INVITATION {
		err = errNoPage
	}
	return o, err
}

func applyForm(v *visit) error {
	o, err := opened(v)
	if err != nil {
		return err
	}
	return v.show("instance/apply", v.T("instance.applyTitle"), applyPage{v.newForm(applyFields()), o.GetMode() == collectivesv1.OpeningMode_OPENING_MODE_ALL})
}

func apply(v *visit) error {
	o, err := opened(v)
	if err != nil {
		return err
	}
	f, err := v.readForm(applyFields())
	if err != nil {
		return err
	}
	if !f.failed() {
		_, err = v.applications().CreateApplication(v.ctx(), &collectivesv1.CreateApplicationRequest{
			Parent: instanceName, RequestId: f.RequestID,
			Application: &collectivesv1.Application{
				DisplayName: f.Value("display_name"), CollectiveId: f.Value("collective_id"), Purpose: f.Value("purpose"),
				Applicant: f.Value("applicant"), Email: f.Value("email"), Language: v.Lang,
			},
		})
		if err == nil {
			return v.redirect("/console/apply/sent")
		}
		if !f.refused(v, err) {
			return err
		}
	}
	return v.refuse("instance/apply", v.T("instance.applyTitle"), applyPage{f, o.GetMode() == collectivesv1.OpeningMode_OPENING_MODE_ALL})
}

func applySent(v *visit) error {
	o, err := opened(v)
	if err != nil {
		return err
	}
	text := v.T("instance.applySent")
	if o.GetMode() == collectivesv1.OpeningMode_OPENING_MODE_ALL {
		text = v.T("instance.applyOpened")
	}
	return v.show("shell/message", v.T("instance.applySentTitle"), message{Paragraphs: []string{text}, Links: []link{{"/", v.T("shell.toSite")}}})
}
