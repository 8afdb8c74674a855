package console

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	instancev1 "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
)

// instanceOperators run the installation.
var instanceOperators = []accessv1.Role{operator}

const (
	instancePath = "/console/instance"
	instanceName = "instance"
)

// instanceSection has the operator's pages: the guided start, collectives and applications, Stripe, events, parked money,
// verifications of the books. instancestripe.go and instancecollectives.go have the pages of these parts.
func instanceSection() section {
	const at = instancePath
	return section{
		name: "instance",
		nav: []navEntry{
			{label: "instance.nav", icon: "server", path: at, roles: instanceOperators},
			{label: "notices.nav", icon: "bell", path: at + "/notices", roles: instanceOperators, badge: openNotices},
			{label: "instance.navCollectives", icon: "people", path: at + "/collectives", roles: instanceOperators},
			{label: "instance.navApplications", icon: "news", path: at + "/applications", roles: instanceOperators},
			{label: "instance.navStripe", icon: "bank", path: at + "/stripe", roles: instanceOperators},
			{label: "instance.navEvents", icon: "download", path: at + "/events", roles: instanceOperators},
			{label: "instance.navParked", icon: "alert", path: at + "/parked", roles: instanceOperators},
			{label: "instance.navVerification", icon: "seal", path: at + "/verification", roles: instanceOperators},
			{label: "audit.nav", icon: "search", path: at + "/audit", roles: instanceOperators},
		},
		routes: []route{
			{pattern: "GET " + at, serve: instanceHome, roles: instanceOperators},
			{pattern: "GET " + at + "/{$}", serve: instanceHome, roles: instanceOperators},
			{pattern: "GET " + at + "/start", serve: instanceStart, roles: instanceOperators},
			{pattern: "POST " + at + "/start/address", serve: instanceAddress, roles: instanceOperators},
			{pattern: "POST " + at + "/start/mail", serve: instanceMail, roles: instanceOperators},

			{pattern: "GET " + at + "/stripe", serve: instanceStripe, roles: instanceOperators},
			{pattern: "POST " + at + "/stripe/check", serve: instanceCheck, roles: instanceOperators},
			{pattern: "GET " + at + "/stripe/endpoints", serve: instanceEndpointsForm, roles: instanceOperators},
			{pattern: "POST " + at + "/stripe/endpoints", serve: instanceEndpoints, roles: instanceOperators},
			{pattern: "GET " + at + "/stripe/accounts/{account}", serve: instanceAccount, roles: instanceOperators},
			{pattern: "GET " + at + "/events", serve: instanceEvents, roles: instanceOperators},
			{pattern: "GET " + at + "/events/replay", serve: instanceReplayAllForm, roles: instanceOperators},
			{pattern: "POST " + at + "/events/replay", serve: instanceReplayAll, roles: instanceOperators},
			{pattern: "GET " + at + "/events/{event}", serve: instanceEvent, roles: instanceOperators},
			{pattern: "POST " + at + "/events/{event}", serve: instanceReplay, roles: instanceOperators},
			{pattern: "GET " + at + "/parked", serve: instanceParked, roles: instanceOperators},
			{pattern: "POST " + at + "/parked", serve: instanceRetry, roles: instanceOperators},

			{pattern: "GET " + at + "/verification", serve: instanceVerifications, roles: instanceOperators},
			{pattern: "POST " + at + "/verification", serve: instanceVerify, roles: instanceOperators},
			{pattern: "GET " + at + "/verification/{verification}", serve: instanceVerification, roles: instanceOperators},

			{pattern: "GET " + at + "/collectives", serve: instanceCollectives, roles: instanceOperators},
			{pattern: "GET " + at + "/collectives/new", serve: instanceCollectiveForm, roles: instanceOperators},
			{pattern: "POST " + at + "/collectives/new", serve: instanceCreateCollective, roles: instanceOperators},
			{pattern: "GET " + at + "/collectives/{id}", serve: instanceCollective, roles: instanceOperators},
			{pattern: "POST " + at + "/collectives/{id}/invite", serve: instanceInvite, roles: instanceOperators},
			{pattern: "GET " + at + "/collectives/{id}/suspend", serve: instanceSuspendForm, roles: instanceOperators},
			{pattern: "POST " + at + "/collectives/{id}/suspend", serve: instanceSuspend, roles: instanceOperators},
			{pattern: "GET " + at + "/collectives/{id}/resume", serve: instanceResumeForm, roles: instanceOperators},
			{pattern: "POST " + at + "/collectives/{id}/resume", serve: instanceResume, roles: instanceOperators},
			{pattern: "GET " + at + "/applications", serve: instanceApplications, roles: instanceOperators},
			{pattern: "POST " + at + "/applications", serve: instanceSetOpening, roles: instanceOperators},
			{pattern: "GET " + at + "/applications/{application}", serve: instanceApplication, roles: instanceOperators},
			{pattern: "POST " + at + "/applications/{application}", serve: instanceApprove, roles: instanceOperators},
			{pattern: "GET " + at + "/applications/{application}/reject", serve: instanceRejectForm, roles: instanceOperators},
			{pattern: "POST " + at + "/applications/{application}/reject", serve: instanceReject, roles: instanceOperators},

			// Whoever wants a collective is no member yet.
			{pattern: "GET /console/apply", serve: applyForm, public: true},
			{pattern: "POST /console/apply", serve: apply, public: true},
			{pattern: "GET /console/apply/sent", serve: applySent, public: true},
		},
	}
}

func (v *visit) instance() instancev1.InstanceServiceClient {
	return instancev1.NewInstanceServiceClient(v.Conn)
}

func (v *visit) collectives() collectivesv1.CollectivesServiceClient {
	return collectivesv1.NewCollectivesServiceClient(v.Conn)
}

func (v *visit) applications() collectivesv1.ApplicationsServiceClient {
	return collectivesv1.NewApplicationsServiceClient(v.Conn)
}

func (v *visit) webhooks() webhooksv1.WebhooksServiceClient {
	return webhooksv1.NewWebhooksServiceClient(v.Conn)
}

// moment writes an instant for the operator, who has no collective's zone; empty for none.
func (v *visit) moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return v.T("instance.moment", "time", v.DateTime(t.AsTime(), time.UTC))
}

// getInstance asks for the state of the installation.
func (v *visit) getInstance() (*instancev1.Instance, error) {
	return v.instance().GetInstance(v.ctx(), &instancev1.GetInstanceRequest{Name: instanceName})
}

// labelled is a label and what it is; Tone colours its badge.
type labelled struct{ Label, Value, Tone, Path string }

// instancePage is the first page of the operator.
type instancePage struct {
	// Start says how many steps of the guided start are left; zero when all are done.
	Left int64
	// Live is false while the money is Stripe's test money.
	Live bool
	// Work is what waits for somebody.
	Work []labelled
	// Facts are versions, queue and what was last checked.
	Facts []labelled
}

func instanceHome(v *visit) error {
	i, err := v.getInstance()
	if err != nil {
		return err
	}
	steps, err := startSteps(v, i)
	if err != nil {
		return err
	}
	p := instancePage{Live: i.GetStripe().GetLivemode()}
	for _, s := range steps {
		if !s.Done {
			p.Left++
		}
	}
	if _, words := openNotices(v); words != "" {
		p.Work = append(p.Work, labelled{Value: words, Path: instancePath + "/notices"})
	}
	w := i.GetOpenWork()
	for _, item := range []struct {
		key, path string
		count     int64
	}{
		{"instance.workApplications", "/applications?state=waiting", w.GetApplicationCount()},
		{"instance.workDead", "/events?state=failed", w.GetDeadEventCount()},
		{"instance.workParked", "/parked", w.GetParkedTransactionCount()},
		{"instance.workAccounts", "/stripe", w.GetFailingAccountCount()},
		{"instance.workJobs", "", i.GetQueue().GetDiscardedCount()},
	} {
		if item.count > 0 {
			p.Work = append(p.Work, labelled{Value: v.N(item.key, item.count), Path: instancePath + item.path})
		}
	}
	p.Facts = instanceFacts(v, i)
	return v.show("instance/home", v.T("instance.title"), p)
}

// instanceFacts are what the installation runs with.
func instanceFacts(v *visit, i *instancev1.Instance) []labelled {
	migrations := labelled{Label: v.T("instance.migrations"), Value: v.T("instance.migrationsAre", "applied", v.Number(i.GetAppliedMigrations()), "needed", v.Number(i.GetNeededMigrations()))}
	if i.GetAppliedMigrations() < i.GetNeededMigrations() {
		migrations.Tone = "bad"
	}
	q := i.GetQueue()
	queue := labelled{Label: v.T("instance.queue"), Value: v.T("instance.queueIs",
		"waiting", v.Number(q.GetWaitingCount()), "running", v.Number(q.GetRunningCount()), "retrying", v.Number(q.GetRetryingCount()))}
	if oldest := q.GetOldestWaitingTime(); oldest != nil && time.Since(oldest.AsTime()) > 10*time.Minute {
		queue.Tone, queue.Value = "warn", queue.Value+" "+v.T("instance.queueOld", "time", v.moment(oldest))
	}
	mode := v.T("instance.modeTest")
	if i.GetStripe().GetLivemode() {
		mode = v.T("instance.modeLive")
	}
	facts := []labelled{
		{Label: v.T("instance.version"), Value: versionOf(v, i.GetVersion())},
		migrations,
		{Label: v.T("instance.publicURL"), Value: i.GetPublicUrl()},
		{Label: v.T("instance.stripeMode"), Value: mode},
		queue,
	}
	checked := labelled{Label: v.T("instance.lastCheck"), Value: v.T("instance.never"), Path: instancePath + "/stripe"}
	if c := i.GetStripe().GetLastCheck(); c != nil {
		checked.Value = v.moment(c.GetCheckTime())
		if c.GetWrongCount() > 0 {
			checked.Tone, checked.Value = "bad", v.N("instance.checkWrong", int64(c.GetWrongCount()))+" "+checked.Value
		}
	}
	verified := labelled{Label: v.T("instance.lastVerification"), Value: v.T("instance.never"), Path: instancePath + "/verification"}
	if l := i.GetLastVerification(); l != nil {
		verified.Value = v.T("instance."+l.GetState().String()) + " · " + v.moment(l.GetCreateTime())
		verified.Tone = verificationTone(l.GetState())
		verified.Path = instancePath + "/verification/" + lastOf(l.GetName())
	}
	return append(facts, checked, verified)
}

// step is one of the guided start. It verifies itself, and can be repeated.
type step struct {
	// ID is its anchor, and the part of the catalogue's keys.
	ID    string
	Title string
	Lead  string
	Done  bool
	// Now says what is known of it.
	Now string
	// Problem says what is wrong; empty when nothing is.
	Problem string
	// Action is where its button sends a form, or leads to when Link is set.
	Action, Link, Button string
	RequestID            string
}

// startPage is the guided start.
type startPage struct {
	Steps []step
	Done  int64
}

// startSteps are the steps, each with what the services say of it.
func startSteps(v *visit, i *instancev1.Instance) ([]step, error) {
	list, err := v.collectives().ListCollectives(v.ctx(), &collectivesv1.ListCollectivesRequest{PageSize: 1})
	if err != nil {
		return nil, err
	}
	steps := []step{addressStep(v, i), mailStep(v, i), keyStep(v, i), endpointsStep(v, i)}
	first := step{ID: "collective", Link: instancePath + "/collectives/new"}
	invite := step{ID: "invitation", Link: instancePath + "/collectives"}
	if all := list.GetCollectives(); len(all) > 0 {
		first.Done, first.Now, first.Link = true, v.T("instance.collectiveIs", "name", all[0].GetDisplayName()), instancePath+"/collectives"
		invite.Link = instancePath + "/collectives/" + lastOf(all[0].GetName()) + "#invite"
		members, invited, err := peopleOf(v.ctx(), v, all[0].GetName())
		if err != nil {
			return nil, err
		}
		if invite.Done = members+invited > 0; invite.Done {
			invite.Now = v.T("instance.invitationIs", "members", v.N("instance.members", int64(members)), "invited", v.N("instance.invited", int64(invited)))
		}
	}
	steps = append(steps, first, invite)
	for n := range steps {
		s := &steps[n]
		s.Title, s.Lead, s.RequestID = v.T("instance.step."+s.ID), v.T("instance.lead."+s.ID), v.newForm(nil).RequestID
		if s.Button = v.T("instance.do." + s.ID); s.Done {
			s.Button = v.T("instance.again." + s.ID)
		}
	}
	return steps, nil
}

// addressStep compares the address that this page was asked at with the public one: whoever reads it there has shown that
// name, certificate and proxy work.
func addressStep(v *visit, i *instancev1.Instance) step {
	s := step{ID: "address", Now: i.GetPublicUrl(), Link: i.GetPublicUrl() + instancePath + "/start"}
	u, err := url.Parse(i.GetPublicUrl())
	s.Done = err == nil && strings.EqualFold(u.Host, v.r.Host)
	if !s.Done {
		s.Problem = v.T("instance.addressElsewhere", "here", v.r.Host, "there", i.GetPublicUrl())
	}
	return s
}

func mailStep(v *visit, i *instancev1.Instance) step {
	s := step{ID: "mail", Action: instancePath + "/start/mail"}
	m := i.GetMail()
	switch {
	case !m.GetConfigured():
		s.Action, s.Problem = "", v.T("instance.mailMissing")
	case m.GetLastTestFailureReason() != "":
		s.Problem = v.T("instance.mailFailed", "time", v.moment(m.GetLastTestTime()))
	case m.GetLastTestTime() != nil:
		s.Done, s.Now = true, v.T("instance.mailSent", "time", v.moment(m.GetLastTestTime()))
	}
	return s
}

// keyCodes begin the findings that are about keys and the clock; those of endpoints are another step.
func keyStep(v *visit, i *instancev1.Instance) step {
	s := step{ID: "key", Action: instancePath + "/stripe/check?next=start"}
	c := i.GetStripe().GetLastCheck()
	if c == nil {
		return s
	}
	s.Now = v.T("instance.keyChecked", "time", v.moment(c.GetCheckTime()))
	for _, f := range c.GetFindings() {
		if f.GetSeverity() != instancev1.FindingSeverity_FINDING_SEVERITY_WRONG || strings.HasPrefix(f.GetCode(), "ENDPOINT") || strings.HasPrefix(f.GetCode(), "SECRET") {
			continue
		}
		s.Problem = finding(v, f)
		return s
	}
	s.Done = true
	return s
}

// endpointsStep says what the check of Stripe says, which looks at what Stripe has: a secret in the settings alone does not
// mean that Stripe sends events. So nothing is done before the first check.
func endpointsStep(v *visit, i *instancev1.Instance) step {
	s := step{ID: "endpoints", Link: instancePath + "/stripe/endpoints?next=start"}
	checked := i.GetStripe().GetLastCheck()
	for _, e := range i.GetEndpoints() {
		if e.GetKind() == instancev1.EndpointKind_ENDPOINT_KIND_PLATFORM {
			s.Done = checked != nil && e.GetStoredSecretCount()+e.GetSettingsSecretCount() > 0
			if last := e.GetLastReceiveTime(); last != nil {
				s.Now = v.T("instance.endpointReceived", "time", v.moment(last))
			}
		}
	}
	if checked == nil {
		s.Now = strings.TrimSpace(s.Now + " " + v.T("instance.endpointsUnchecked"))
	}
	for _, f := range checked.GetFindings() {
		if f.GetSeverity() == instancev1.FindingSeverity_FINDING_SEVERITY_WRONG && (strings.HasPrefix(f.GetCode(), "ENDPOINT") || strings.HasPrefix(f.GetCode(), "SECRET")) {
			s.Done, s.Problem = false, finding(v, f)
			break
		}
	}
	return s
}

// peopleOf counts the members of a collective, and the invitations that can be accepted.
func peopleOf(ctx context.Context, v *visit, collective string) (members, invited int, err error) {
	client := accessv1.NewMembersServiceClient(v.Conn)
	list, err := client.ListMemberships(ctx, &accessv1.ListMembershipsRequest{Parent: collective, PageSize: 200})
	if err != nil {
		return 0, 0, err
	}
	invitations, err := client.ListInvitations(ctx, &accessv1.ListInvitationsRequest{Parent: collective, PageSize: 200})
	if err != nil {
		return 0, 0, err
	}
	for _, i := range invitations.GetInvitations() {
		if i.GetState() == accessv1.InvitationState_INVITATION_STATE_PENDING {
			invited++
		}
	}
	return len(list.GetMemberships()), invited, nil
}

func instanceStart(v *visit) error {
	i, err := v.getInstance()
	if err != nil {
		return err
	}
	p := startPage{}
	if p.Steps, err = startSteps(v, i); err != nil {
		return err
	}
	for _, s := range p.Steps {
		if s.Done {
			p.Done++
		}
	}
	return v.show("instance/start", v.T("instance.startTitle"), p)
}

// instanceAddress only leads back: the step looks at the address each time.
func instanceAddress(v *visit) error { return v.redirect(instancePath + "/start#address") }

// instanceMail sends a test mail to the operator's own address.
func instanceMail(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	_, err = v.instance().SendTestMail(v.ctx(), &instancev1.SendTestMailRequest{Name: instanceName, RequestId: f.RequestID})
	switch reason := reasonOf(err); {
	case err == nil:
		return v.done("instance.mail", instancePath+"/start")
	// The step says what failed: the outcome is stored.
	case reason == "MAIL_UNAVAILABLE", reason == "MAIL_REFUSED", reason == "MAIL_NOT_CONFIGURED":
		return v.done("instance.mail-failed", instancePath+"/start")
	}
	return err
}

// verificationsPage lists verifications of the books.
type verificationsPage struct {
	Form  *form
	Rows  []verificationRow
	Pager pager
	// Running is true while one waits or runs.
	Running bool
}

type verificationRow struct {
	Time, State, Tone, Path, Progress string
}

func verificationTone(s instancev1.VerificationState) string {
	switch s {
	case instancev1.VerificationState_VERIFICATION_STATE_SOUND:
		return "good"
	case instancev1.VerificationState_VERIFICATION_STATE_DIFFERS, instancev1.VerificationState_VERIFICATION_STATE_FAILED:
		return "bad"
	default:
		return "warn"
	}
}

func verificationOf(v *visit, l *instancev1.LedgerVerification) verificationRow {
	return verificationRow{
		Time: v.moment(l.GetCreateTime()), State: v.T("instance." + l.GetState().String()), Tone: verificationTone(l.GetState()),
		Path:     instancePath + "/verification/" + lastOf(l.GetName()),
		Progress: v.T("instance.verificationProgress", "done", strconv.Itoa(int(l.GetVerifiedCount())), "all", strconv.Itoa(int(l.GetBookCount()))),
	}
}

func instanceVerifications(v *visit) error {
	list, err := v.instance().ListLedgerVerifications(v.ctx(), &instancev1.ListLedgerVerificationsRequest{Parent: instanceName, PageToken: v.pageToken()})
	if err != nil {
		return err
	}
	p := verificationsPage{Form: v.newForm(nil), Pager: v.pager(list.GetNextPageToken())}
	for _, l := range list.GetLedgerVerifications() {
		p.Rows = append(p.Rows, verificationOf(v, l))
		p.Running = p.Running || l.GetEndTime() == nil
	}
	return v.show("instance/verifications", v.T("instance.verificationsTitle"), p)
}

// instanceVerify starts a verification, and leads to it.
func instanceVerify(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	l, err := v.instance().CreateLedgerVerification(v.ctx(), &instancev1.CreateLedgerVerificationRequest{Parent: instanceName, RequestId: f.RequestID})
	if err != nil {
		return err
	}
	return v.redirect(instancePath + "/verification/" + lastOf(l.GetName()))
}

// verificationPage is one verification, book by book.
type verificationPage struct {
	verificationRow
	Ended   string
	Running bool
	Books   []bookRow
}

type bookRow struct {
	Account, Sealed, Waiting, Signed, Key string
	Differences                           []string
	Count                                 string
	Sound                                 bool
}

func instanceVerification(v *visit) error {
	l, err := v.instance().GetLedgerVerification(v.ctx(), &instancev1.GetLedgerVerificationRequest{
		Name: instanceName + "/ledgerVerifications/" + v.r.PathValue("verification"),
	})
	if err != nil {
		return err
	}
	p := verificationPage{verificationRow: verificationOf(v, l), Ended: v.moment(l.GetEndTime()), Running: l.GetEndTime() == nil}
	for _, b := range l.GetBooks() {
		p.Books = append(p.Books, bookRow{
			Account: v.accountLabel(b.GetStripeAccount()), Sealed: v.Number(b.GetSealedCount()), Waiting: v.Number(b.GetUnsealedCount()),
			Signed: v.moment(b.GetSignTime()), Key: b.GetVerifierKey(), Differences: b.GetDifferences(),
			Count: v.N("instance.differences", b.GetDifferenceCount()), Sound: b.GetDifferenceCount() == 0,
		})
	}
	return v.show("instance/verification", v.T("instance.verificationTitle"), p)
}

// versionOf is the program's version in words: a build that was not made from a release has none.
func versionOf(v *visit, version string) string {
	if version == "" || version == "unknown" {
		return v.T("instance.devVersion")
	}
	return version
}
