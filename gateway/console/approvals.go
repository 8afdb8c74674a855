package console

import (
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/cagnotte/cagnotte/gateway/text"
	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	approvalsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/approvals/v1"
)

var (
	// approvers decide about changes that wait, approvalReaders see them.
	approvers       = []accessv1.Role{owner, treasurer, operator}
	approvalReaders = []accessv1.Role{owner, treasurer, auditor, operator}
	// rulers change the rule.
	rulers = []accessv1.Role{owner, operator}
)

// approvalsSection has what waits for a second person, and the rule that says when.
func approvalsSection() section {
	const approvals = "/console/c/{collective}/settings/approvals"
	return section{name: "approvals", routes: []route{
		{pattern: "GET " + approvals, serve: approvalsList, roles: approvalReaders},
		{pattern: "GET " + approvals + "/rule", serve: approvalsRule, roles: rulers},
		{pattern: "POST " + approvals + "/rule", serve: approvalsSetRule, roles: rulers},
		{pattern: "GET " + approvals + "/{change}", serve: approvalsOne, roles: approvalReaders},
		{pattern: "GET " + approvals + "/{change}/approve", serve: approvalsConfirm(approve), roles: approvers},
		{pattern: "POST " + approvals + "/{change}/approve", serve: approvalsDecide(approve), roles: approvers},
		{pattern: "GET " + approvals + "/{change}/reject", serve: approvalsConfirm(reject), roles: approvers},
		{pattern: "POST " + approvals + "/{change}/reject", serve: approvalsDecide(reject), roles: approvers},
		{pattern: "GET " + approvals + "/{change}/cancel", serve: approvalsConfirm(cancel), roles: approvers},
		{pattern: "POST " + approvals + "/{change}/cancel", serve: approvalsDecide(cancel), roles: approvers},
	}}
}

func (v *visit) approvals() approvalsv1.ApprovalsServiceClient {
	return approvalsv1.NewApprovalsServiceClient(v.Conn)
}

// changeRow is a change in words.
type changeRow struct {
	Title, Path, Who, Since, Until string
	// Before is empty for a key and an invitation. Change says both values in one line.
	Before, After, Change string
	State, Tone           string
	// Decided says who decided and when; empty while it waits.
	Decided string
}

var changeTones = map[approvalsv1.PendingChangeState]string{
	approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_PENDING:  "warn",
	approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_APPROVED: "good",
}

func (v *visit) changeRow(c *approvalsv1.PendingChange) (changeRow, error) {
	zone, err := v.zone()
	if err != nil {
		return changeRow{}, err
	}
	at := func(t *timestamppb.Timestamp) string { return v.DateTime(t.AsTime(), zone) }
	row := changeRow{
		Title: v.T("approvals." + c.GetKind().String()), Path: v.path("/settings/approvals/" + lastOf(c.GetName())),
		After: v.changeValue(c, c.GetValueAfter()), Who: c.GetRequesterDisplayName(),
		Since: at(c.GetCreateTime()), Until: at(c.GetExpireTime()),
		State: v.T("approvals." + c.GetState().String()), Tone: changeTones[c.GetState()],
	}
	if who := v.invitedBy(c); who != "" {
		row.After = who
	}
	row.Change = row.After
	// A key and an invitation were not there before.
	if k := c.GetKind(); k != approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_API_KEY && k != approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_INVITATION {
		row.Before = v.changeValue(c, c.GetValueBefore())
		row.Change = v.T("approvals.insteadOf", "before", row.Before, "after", row.After)
	}
	switch {
	case c.GetDecideTime() == nil:
	case c.GetDecider() == "":
		row.Decided = at(c.GetDecideTime())
	default:
		row.Decided = v.T("approvals.decidedBy", "who", c.GetDeciderDisplayName(), "time", at(c.GetDecideTime()))
	}
	return row, nil
}

// invitedBy is whom a change invites, with the whole address for who decides: the change itself has it shortened, since it is
// kept. It is empty for every other change.
func (v *visit) invitedBy(c *approvalsv1.PendingChange) string {
	if c.GetKind() != approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_INVITATION || c.GetState() != approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_PENDING || !v.can(approvers...) {
		return ""
	}
	i, err := v.members().GetInvitation(v.ctx(), &accessv1.GetInvitationRequest{Name: c.GetSubject()})
	if err != nil {
		return "" // it was revoked meanwhile, and deleted
	}
	return v.T("approvals.person", "person", i.GetEmail(), "role", v.T("shell."+i.GetRole().String()))
}

// changeValue is a value in words: modes, limits, and roles with whose they are, have some.
func (v *visit) changeValue(c *approvalsv1.PendingChange, value string) string {
	if value == "" {
		return v.T("approvals.none_" + c.GetKind().String())
	}
	switch c.GetKind() {
	case approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_TWO_PERSON_RULE:
		return v.T("approvals.TWO_PERSON_MODE_" + strings.ToUpper(value))
	case approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_API_KEY:
		role, label, _ := strings.Cut(value, " ")
		return v.T("approvals.key", "label", label, "role", v.T("shell.ROLE_"+strings.ToUpper(role)))
	case approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_INVITATION, approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_MEMBER_ROLE:
		role, person, _ := strings.Cut(value, " ")
		return v.T("approvals.person", "person", person, "role", v.T("shell.ROLE_"+strings.ToUpper(role)))
	case approvalsv1.PendingChangeKind_PENDING_CHANGE_KIND_REFUND_APPROVAL:
		amount, currency, _ := strings.Cut(value, " ")
		m, err := text.ParseMoney(amount, currency)
		switch {
		case err != nil:
			return value
		case m.GetAmountMinor() == 0:
			return v.T("approvals.allRefunds")
		}
		return v.T("approvals.refundsAbove", "amount", v.Money(m))
	}
	return value
}

type approvalsPage struct {
	// Rule says whether changes wait, Mode when they do, and RuleText what that means. Change leads to where the rule is
	// changed, empty for who cannot.
	Rule, Mode, RuleText, Change string
	Active                       bool
	Waiting, Decided             []changeRow
	Pager                        pager
	Index                        string
}

func approvalsList(v *visit) error {
	rule, err := v.approvals().GetTwoPersonRule(v.ctx(), &approvalsv1.GetTwoPersonRuleRequest{Name: v.collective + "/twoPersonRule"})
	if err != nil {
		return err
	}
	list, err := v.approvals().ListPendingChanges(v.ctx(), &approvalsv1.ListPendingChangesRequest{Parent: v.collective, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := approvalsPage{
		Rule: v.T("approvals.ruleInactive"), Mode: v.T("approvals.now_" + rule.GetMode().String()), Active: rule.GetActive(), RuleText: v.T("approvals.inactive"),
		Pager: v.pager(list.GetNextPageToken()), Index: v.path("/settings"),
	}
	if rule.GetActive() {
		p.Rule, p.RuleText = v.T("approvals.ruleActive"), v.T("approvals.active")
	}
	if v.can(rulers...) {
		p.Change = v.path("/settings/approvals/rule")
	}
	for _, c := range list.GetPendingChanges() {
		row, err := v.changeRow(c)
		if err != nil {
			return err
		}
		if c.GetState() == approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_PENDING {
			p.Waiting = append(p.Waiting, row)
		} else {
			p.Decided = append(p.Decided, row)
		}
	}
	return v.show("approvals/list", v.T("approvals.title"), p)
}

func ruleFields(v *visit) []field {
	var options []option
	for _, mode := range []approvalsv1.TwoPersonMode{
		approvalsv1.TwoPersonMode_TWO_PERSON_MODE_AUTOMATIC, approvalsv1.TwoPersonMode_TWO_PERSON_MODE_ON, approvalsv1.TwoPersonMode_TWO_PERSON_MODE_OFF,
	} {
		options = append(options, option{mode.String(), v.T("approvals." + mode.String()), v.T("approvals.hint_" + mode.String())})
	}
	return []field{{Name: "mode", Label: "approvals.mode", Kind: "radio", Required: true, Options: options, Path: "two_person_rule.mode"}}
}

type rulePage struct {
	Form *form
	Back string
}

func approvalsRule(v *visit) error {
	rule, err := v.approvals().GetTwoPersonRule(v.ctx(), &approvalsv1.GetTwoPersonRuleRequest{Name: v.collective + "/twoPersonRule"})
	if err != nil {
		return err
	}
	if !v.fresh() {
		return nil
	}
	return v.show("approvals/rule", v.T("approvals.ruleTitle"), rulePage{v.newForm(ruleFields(v), "mode", rule.GetMode().String()), v.path("/settings/approvals")})
}

func approvalsSetRule(v *visit) error {
	f, err := v.readForm(ruleFields(v))
	if err != nil {
		return err
	}
	if !f.failed() {
		rule, err := v.approvals().UpdateTwoPersonRule(v.ctx(), &approvalsv1.UpdateTwoPersonRuleRequest{TwoPersonRule: &approvalsv1.TwoPersonRule{
			Name: v.collective + "/twoPersonRule", Mode: approvalsv1.TwoPersonMode(approvalsv1.TwoPersonMode_value[f.Value("mode")]),
		}})
		switch {
		case err == nil && rule.GetPendingChange() != "" && rule.GetMode().String() != f.Value("mode"):
			return v.done("approvals.waits", v.path("/settings/approvals"))
		case err == nil:
			return v.done("approvals.rule", v.path("/settings/approvals"))
		case !f.refused(v, err):
			return err
		}
	}
	return v.refuse("approvals/rule", v.T("approvals.ruleTitle"), rulePage{f, v.path("/settings/approvals")})
}

func (v *visit) changeName() string {
	return v.collective + "/pendingChanges/" + v.r.PathValue("change")
}

func (v *visit) change() (*approvalsv1.PendingChange, error) {
	return v.approvals().GetPendingChange(v.ctx(), &approvalsv1.GetPendingChangeRequest{Name: v.changeName()})
}

type changePage struct {
	changeRow
	// Approve, Reject and Cancel lead to the confirmations; empty where the reader cannot. WhyNot says why the reader may not
	// decide, and who can; empty for who may, and once it was decided.
	Approve, Reject, Cancel, WhyNot string
	// Pending: it waits.
	Pending bool
	Back    string
}

func approvalsOne(v *visit) error {
	c, err := v.change()
	if err != nil {
		return err
	}
	row, err := v.changeRow(c)
	if err != nil {
		return err
	}
	p := changePage{
		changeRow: row, WhyNot: v.whyNotDecide(c), Back: v.path("/settings/approvals"),
		Pending: c.GetState() == approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_PENDING,
	}
	if c.GetApprovable() {
		p.Approve, p.Reject = p.Path+"/approve", p.Path+"/reject"
	}
	if c.GetCancelable() {
		p.Cancel = p.Path + "/cancel"
	}
	return v.show("approvals/one", p.Title, p)
}

// whyNotDecide says why the reader may not approve a change that waits, and who can; empty for who may. What the service
// answers decides; the reader's roles only choose the words.
func (v *visit) whyNotDecide(c *approvalsv1.PendingChange) string {
	switch {
	case c.GetState() != approvalsv1.PendingChangeState_PENDING_CHANGE_STATE_PENDING, c.GetApprovable():
		return ""
	case c.GetCancelable():
		return v.T("approvals.own")
	case !v.can(approvers...):
		return v.T("approvals.reader")
	}
	if since := v.roleSince(); since != nil && since.AsTime().After(c.GetCreateTime().AsTime()) {
		zone, err := v.zone()
		if err == nil {
			return v.T("approvals.late", "time", v.DateTime(since.AsTime(), zone))
		}
	}
	return v.T("approvals.notYou")
}

// decision is what somebody does with a change.
type decision struct {
	key    string
	danger bool
	// fresh: it needs a fresh proof.
	fresh bool
	call  func(v *visit) error
}

var (
	approve = decision{key: "approve", fresh: true, call: func(v *visit) error {
		_, err := v.approvals().ApprovePendingChange(v.ctx(), &approvalsv1.ApprovePendingChangeRequest{Name: v.changeName()})
		return err
	}}
	reject = decision{key: "reject", danger: true, call: func(v *visit) error {
		_, err := v.approvals().RejectPendingChange(v.ctx(), &approvalsv1.RejectPendingChangeRequest{Name: v.changeName()})
		return err
	}}
	cancel = decision{key: "cancel", danger: true, call: func(v *visit) error {
		_, err := v.approvals().CancelPendingChange(v.ctx(), &approvalsv1.CancelPendingChangeRequest{Name: v.changeName()})
		return err
	}}
)

func (v *visit) decide(d decision, c *approvalsv1.PendingChange, f *form) error {
	row, err := v.changeRow(c)
	if err != nil {
		return err
	}
	points := []string{v.T("approvals.pointAfter", "value", row.After)}
	if row.Before != "" {
		points = append(points, v.T("approvals.pointBefore", "value", row.Before))
	}
	return v.confirm(v.T("approvals."+d.key+"Title"), confirmation{
		Lead: row.Title, Points: append(points, v.T("approvals.askedBy", "who", row.Who, "time", row.Since), v.T("approvals."+d.key+"Does")),
		Form: f, Button: v.T("approvals." + d.key), Danger: d.danger, Back: row.Path,
	})
}

func approvalsConfirm(d decision) func(*visit) error {
	return func(v *visit) error {
		c, err := v.change()
		if err != nil {
			return err
		}
		// Who may not is told why by the change's own page.
		if d.key == "cancel" && !c.GetCancelable() || d.key != "cancel" && !c.GetApprovable() {
			return v.redirect(v.path("/settings/approvals/" + lastOf(c.GetName())))
		}
		if d.fresh && !v.fresh() {
			return nil
		}
		return v.decide(d, c, v.newForm(nil))
	}
}

func approvalsDecide(d decision) func(*visit) error {
	return func(v *visit) error {
		f, err := v.readForm(nil)
		if err != nil {
			return err
		}
		c, err := v.change()
		if err != nil {
			return err
		}
		err = d.call(v)
		switch {
		case err == nil:
			return v.done("approvals."+d.key, v.path("/settings/approvals"))
		case !f.refused(v, err):
			return err
		}
		return v.decide(d, c, f)
	}
}
