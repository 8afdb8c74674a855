package console

import (
	"cmp"
	"strconv"
	"time"

	instancev1 "github.com/cagnotte/cagnotte/proto/cagnotte/instance/v1"
	webhooksv1 "github.com/cagnotte/cagnotte/proto/cagnotte/webhooks/v1"
)

// platformAccount stands for the platform's own Stripe account in addresses, as in the API.
const platformAccount = "platform"

// accountLabel names a Stripe account for people, or a book, which is that of an account; the audit log has one too.
func (v *visit) accountLabel(account string) string {
	switch account {
	case "":
		return v.T("instance.platformAccount")
	case "audit": // no account of Stripe's has this id
		return v.T("instance.auditBook")
	}
	return account
}

// finding says a finding of a check in the reader's language; one that the catalogue lacks in English.
func finding(v *visit, f *instancev1.StripeFinding) string {
	key := "instance.finding." + f.GetCode()
	if !v.Has(key) {
		return f.GetMessage()
	}
	var values []string
	for name, value := range f.GetValues() {
		values = append(values, name, value)
	}
	return v.T(key, values...)
}

// stripePage is what is known of Stripe: endpoints, the last check, the accounts.
type stripePage struct {
	Live      bool
	Facts     []labelled
	Endpoints []endpointRow
	// Checked is when the last check ended; empty before the first.
	Checked  string
	Findings []checkRow
	Accounts []accountHealth
	Form     *form
}

type endpointRow struct {
	Label, URL, Secret, Since, Received string
	Good                                bool
}

type checkRow struct{ Text, Tone, Label string }

// accountHealth is a row of the list of accounts.
type accountHealth struct {
	Label, Path, Received, Delay, Sync, State, Tone string
}

func instanceStripe(v *visit) error {
	i, err := v.getInstance()
	if err != nil {
		return err
	}
	p := stripePage{Live: i.GetStripe().GetLivemode(), Form: v.newForm(nil)}
	st := i.GetStripe()
	p.Facts = []labelled{
		{Label: v.T("instance.stripeAccount"), Value: cmp.Or(st.GetAccount(), v.T("instance.unknown"))},
		{Label: v.T("instance.keys"), Value: v.N("instance.keyCount", int64(st.GetKeyCount()))},
		{Label: v.T("instance.apiVersion"), Value: st.GetApiVersion()},
	}
	for _, e := range i.GetEndpoints() {
		row := endpointRow{Label: v.T("instance." + e.GetKind().String()), URL: e.GetUrl(), Received: v.moment(e.GetLastReceiveTime())}
		switch {
		case e.GetStoredSecretCount() > 0:
			row.Secret, row.Since, row.Good = v.T("instance.secretStored"), v.T("instance.storedSince", "time", v.moment(e.GetStoreTime())), true
		case e.GetSettingsSecretCount() > 0:
			row.Secret, row.Good = v.T("instance.secretSet"), true
		default:
			row.Secret = v.T("instance.secretNone")
		}
		p.Endpoints = append(p.Endpoints, row)
	}
	if c := st.GetLastCheck(); c != nil {
		p.Checked = v.moment(c.GetCheckTime())
		p.Findings = checkRows(v, c)
	}
	health, err := v.webhooks().ListWebhookHealth(v.ctx(), &webhooksv1.ListWebhookHealthRequest{Parent: instanceName, PageSize: 200})
	if err != nil {
		return err
	}
	for _, h := range health.GetWebhookHealth() {
		p.Accounts = append(p.Accounts, healthOf(v, h))
	}
	return v.show("instance/stripe", v.T("instance.stripeTitle"), p)
}

// checkRows lists what is wrong first, then notes, then what is in order.
func checkRows(v *visit, c *instancev1.StripeCheck) (rows []checkRow) {
	for _, severity := range []struct {
		is          instancev1.FindingSeverity
		tone, label string
	}{
		{instancev1.FindingSeverity_FINDING_SEVERITY_WRONG, "bad", "instance.wrong"},
		{instancev1.FindingSeverity_FINDING_SEVERITY_NOTE, "warn", "instance.note"},
		{instancev1.FindingSeverity_FINDING_SEVERITY_OK, "good", "instance.ok"},
	} {
		for _, f := range c.GetFindings() {
			if f.GetSeverity() == severity.is {
				rows = append(rows, checkRow{finding(v, f), severity.tone, v.T(severity.label)})
			}
		}
	}
	return rows
}

func healthOf(v *visit, h *webhooksv1.WebhookHealth) accountHealth {
	row := accountHealth{
		Label: v.accountLabel(h.GetStripeAccount()), Path: instancePath + "/stripe/accounts/" + cmp.Or(h.GetStripeAccount(), platformAccount),
		Received: v.T("instance.receivedMissed", "received", v.Number(h.GetReceivedCount()), "missed", v.Number(h.GetMissedCount())),
		Sync:     v.moment(h.GetLastSyncTime()),
	}
	switch {
	case h.GetDeadCount() > 0:
		row.State, row.Tone = v.N("instance.healthDead", h.GetDeadCount()), "bad"
	case h.GetSyncFailures() > 0:
		row.State, row.Tone = v.T("instance.healthSync"), "bad"
	case h.GetFailedCount() > 0 || h.GetParkedCount() > 0:
		row.State, row.Tone = v.T("instance.healthRetry"), "warn"
	default:
		row.State, row.Tone = v.T("instance.healthGood"), "good"
	}
	return row
}

// instanceCheck compares the installation with Stripe, and leads to what was found.
func instanceCheck(v *visit) error {
	if _, err := v.readForm(nil); err != nil {
		return err
	}
	if _, err := v.instance().CheckStripe(v.ctx(), &instancev1.CheckStripeRequest{Name: instanceName}); err != nil {
		return err
	}
	return v.done("instance.checked", nextOf(v, "/stripe"))
}

// nextOf is the page that a step of the guided start goes on to.
func nextOf(v *visit, otherwise string) string {
	if v.r.URL.Query().Get("next") == "start" {
		return instancePath + "/start"
	}
	return instancePath + otherwise
}

var endpointFields = []field{{Name: "replace", Label: "instance.replace", Hint: "instance.replaceHint", Kind: "checkbox"}}

func endpointsConfirmation(v *visit, f *form) confirmation {
	return confirmation{
		Lead:   v.T("instance.endpointsLead"),
		Points: []string{v.T("instance.endpointsPoint1"), v.T("instance.endpointsPoint2"), v.T("instance.endpointsPoint3")},
		Form:   f, Button: v.T("instance.do.endpoints"), Back: nextOf(v, "/stripe"),
	}
}

func instanceEndpointsForm(v *visit) error {
	if !v.fresh() {
		return nil
	}
	return v.confirm(v.T("instance.endpointsTitle"), endpointsConfirmation(v, v.newForm(endpointFields)))
}

// endpointsPage says what was done at each endpoint.
type endpointsPage struct {
	Rows []endpointResult
	Next string
}

type endpointResult struct{ Label, URL, Text, Tone string }

func instanceEndpoints(v *visit) error {
	f, err := v.readForm(endpointFields)
	if err != nil {
		return err
	}
	answer, err := v.instance().SetUpStripeEndpoints(v.ctx(), &instancev1.SetUpStripeEndpointsRequest{Name: instanceName, Replace: f.Checked("replace")})
	if err != nil {
		if f.refused(v, err) {
			return v.confirm(v.T("instance.endpointsTitle"), endpointsConfirmation(v, f))
		}
		return err
	}
	p := endpointsPage{Next: nextOf(v, "/stripe")}
	failed := false
	for _, r := range answer.GetResults() {
		row := endpointResult{Label: v.T("instance." + r.GetKind().String()), URL: r.GetUrl(), Text: v.T("instance." + r.GetOutcome().String()), Tone: "good"}
		if r.GetOutcome() == instancev1.EndpointOutcome_ENDPOINT_OUTCOME_FAILED {
			failed = true
			row.Text, row.Tone = v.T("instance.failure."+r.GetFailureCode()), "bad"
			if key := "instance.failure." + r.GetFailureCode(); !v.Has(key) {
				row.Text = r.GetMessage()
			}
		}
		p.Rows = append(p.Rows, row)
	}
	// The check is what the step of the guided start looks at. What Stripe does not answer now is left to the next check.
	_, _ = v.instance().CheckStripe(v.ctx(), &instancev1.CheckStripeRequest{Name: instanceName})
	if !failed {
		return v.done("instance.endpoints", p.Next)
	}
	return v.refuse("instance/endpoints", v.T("instance.endpointsTitle"), p)
}

// accountHealthPage is the health of one Stripe account.
type accountHealthPage struct {
	Label  string
	State  accountHealth
	Facts  []labelled
	Events []eventRow
	Base   string
}

func instanceAccount(v *visit) error {
	id := v.r.PathValue("account")
	h, err := v.webhooks().GetWebhookHealth(v.ctx(), &webhooksv1.GetWebhookHealthRequest{Name: instanceName + "/webhookHealth/" + id})
	if err != nil {
		return err
	}
	p := accountHealthPage{Label: v.accountLabel(h.GetStripeAccount()), State: healthOf(v, h), Base: instancePath}
	seconds := func(name string, count int64, tone string) labelled {
		f := labelled{Label: v.T(name), Value: v.Number(count)}
		if count > 0 {
			f.Tone = tone
		}
		return f
	}
	none := v.T("instance.never")
	p.Facts = []labelled{
		{Label: v.T("instance.lastEvent"), Value: cmp.Or(v.moment(h.GetLastReceiveTime()), none)},
		{Label: v.T("instance.lastDay"), Value: p.State.Received},
		{Label: v.T("instance.delay"), Value: delays(v, h)},
		seconds("instance.waiting", h.GetWaitingCount(), ""),
		seconds("instance.retried", h.GetFailedCount(), "warn"),
		seconds("instance.givenUp", h.GetDeadCount(), "bad"),
		seconds("instance.parkedCount", h.GetParkedCount(), "warn"),
		{Label: v.T("instance.lastSync"), Value: cmp.Or(p.State.Sync, none)},
		{Label: v.T("instance.backfilled"), Value: cmp.Or(v.moment(h.GetBackfilledUntilTime()), none)},
	}
	if h.GetSyncFailures() > 0 {
		p.Facts = append(p.Facts, labelled{Label: v.T("instance.syncFailures"), Tone: "bad", Value: v.T("instance.syncFailed", "n", v.Number(int64(h.GetSyncFailures())), "reason", reasonText(v, h.GetSyncFailureReason()))})
	}
	for _, e := range h.GetFailures() {
		p.Events = append(p.Events, eventOf(v, e))
	}
	return v.show("instance/account", p.Label, p)
}

// delays are how long webhooks take: the median, and the slowest but one percent.
func delays(v *visit, h *webhooksv1.WebhookHealth) string {
	if h.GetDelayP50() == nil {
		return v.T("instance.unknown")
	}
	return v.T("instance.delays", "half", brief(h.GetDelayP50().AsDuration()), "most", brief(h.GetDelayP99().AsDuration()))
}

// brief writes a duration in its largest unit, rounded up. The units are written the same in both languages.
func brief(d time.Duration) string {
	unit, name := time.Second, "s"
	if d > time.Minute {
		unit, name = time.Minute, "min"
	}
	if d > time.Hour {
		unit, name = time.Hour, "h"
	}
	return strconv.FormatInt(int64((d+unit-1)/unit), 10) + "\u00a0" + name
}

// reasonText says a reason in words, with the reason itself for those who search for it.
func reasonText(v *visit, reason string) string {
	if reason == "" {
		return ""
	}
	if key := "instance.reason." + reason; v.Has(key) {
		return v.T(key)
	}
	return v.T("instance.reason.OTHER", "reason", reason)
}

// eventsPage lists stored events.
type eventsPage struct {
	Filter *form
	Rows   []eventRow
	Pager  pager
	Failed bool
}

type eventRow struct {
	ID, Type, Account, State, Tone, Why, Received, Happened, Finished, Next, Attempts, Path string
	// Failed can be replayed.
	Failed bool
}

func eventOf(v *visit, e *webhooksv1.WebhookEvent) eventRow {
	row := eventRow{
		ID: lastOf(e.GetName()), Type: e.GetType(), Account: v.accountLabel(e.GetStripeAccount()), State: v.T("instance." + e.GetState().String()),
		Why: reasonText(v, e.GetFailureReason()), Received: v.moment(e.GetReceiveTime()), Happened: v.moment(e.GetEventTime()),
		Finished: v.moment(e.GetFinishTime()), Next: v.moment(e.GetNextAttemptTime()), Attempts: v.Number(int64(e.GetAttempts())),
		Path: instancePath + "/events/" + lastOf(e.GetName()),
	}
	switch e.GetState() {
	case webhooksv1.EventState_EVENT_STATE_APPLIED:
		row.Tone = "good"
	case webhooksv1.EventState_EVENT_STATE_FAILED:
		row.Failed, row.Tone = true, "warn"
		if e.GetNextAttemptTime() == nil {
			row.State, row.Tone = v.T("instance.eventDead"), "bad"
		}
	}
	return row
}

// eventStates are the values of the filter.
var eventStates = map[string]webhooksv1.EventState{
	"failed":   webhooksv1.EventState_EVENT_STATE_FAILED,
	"received": webhooksv1.EventState_EVENT_STATE_RECEIVED,
	"applied":  webhooksv1.EventState_EVENT_STATE_APPLIED,
	"ignored":  webhooksv1.EventState_EVENT_STATE_IGNORED,
}

// accountOptions are the Stripe accounts for a filter.
func accountOptions(v *visit) ([]option, error) {
	health, err := v.webhooks().ListWebhookHealth(v.ctx(), &webhooksv1.ListWebhookHealthRequest{Parent: instanceName, PageSize: 200})
	if err != nil {
		return nil, err
	}
	options := []option{{Value: "", Label: v.T("shell.all")}}
	for _, h := range health.GetWebhookHealth() {
		options = append(options, option{Value: cmp.Or(h.GetStripeAccount(), platformAccount), Label: v.accountLabel(h.GetStripeAccount())})
	}
	return options, nil
}

func instanceEvents(v *visit) error {
	accounts, err := accountOptions(v)
	if err != nil {
		return err
	}
	p := eventsPage{Filter: v.queryForm([]field{
		{Name: "state", Label: "instance.state", Kind: "select", Options: []option{
			{"", v.T("shell.all"), ""},
			{"failed", v.T("instance.filterFailed"), ""},
			{"received", v.T("instance.EVENT_STATE_RECEIVED"), ""},
			{"applied", v.T("instance.EVENT_STATE_APPLIED"), ""},
			{"ignored", v.T("instance.EVENT_STATE_IGNORED"), ""},
		}},
		{Name: "account", Label: "instance.account", Kind: "select", Options: accounts},
	})}
	list, err := v.webhooks().ListWebhookEvents(v.ctx(), &webhooksv1.ListWebhookEventsRequest{
		Parent: instanceName, State: eventStates[p.Filter.Value("state")], StripeAccount: p.Filter.Value("account"), PageToken: v.pageToken(),
	})
	if err != nil {
		return err
	}
	for _, e := range list.GetWebhookEvents() {
		row := eventOf(v, e)
		p.Rows, p.Failed = append(p.Rows, row), p.Failed || row.Failed
	}
	p.Pager = v.pager(list.GetNextPageToken())
	return v.show("instance/events", v.T("instance.eventsTitle"), p)
}

func instanceReplayAllForm(v *visit) error {
	return v.confirm(v.T("instance.replayAllTitle"), confirmation{
		Lead: v.T("instance.replayAllLead"), Points: []string{v.T("instance.replayPoint1"), v.T("instance.replayPoint2")},
		Form: v.newForm(nil), Button: v.T("instance.replayAll"), Back: instancePath + "/events?state=failed",
	})
}

func instanceReplayAll(v *visit) error {
	if _, err := v.readForm(nil); err != nil {
		return err
	}
	if _, err := v.webhooks().ReplayWebhookEvents(v.ctx(), &webhooksv1.ReplayWebhookEventsRequest{Parent: instanceName}); err != nil {
		return err
	}
	return v.done("instance.replayed", instancePath+"/events?state=failed")
}

// eventPage is one event.
type eventPage struct {
	eventRow
	Form *form
}

func instanceEvent(v *visit) error {
	e, err := v.webhooks().GetWebhookEvent(v.ctx(), &webhooksv1.GetWebhookEventRequest{Name: instanceName + "/webhookEvents/" + v.r.PathValue("event")})
	if err != nil {
		return err
	}
	return v.show("instance/event", v.T("instance.eventTitle"), eventPage{eventOf(v, e), v.newForm(nil)})
}

func instanceReplay(v *visit) error {
	if _, err := v.readForm(nil); err != nil {
		return err
	}
	name := instanceName + "/webhookEvents/" + v.r.PathValue("event")
	if _, err := v.webhooks().ReplayWebhookEvent(v.ctx(), &webhooksv1.ReplayWebhookEventRequest{Name: name}); err != nil {
		return err
	}
	return v.done("instance.replayed", instancePath+"/events/"+lastOf(name))
}

// parkedPage lists money that cannot be booked yet.
type parkedPage struct {
	Filter *form
	Rows   []parkedRow
	Pager  pager
	Form   *form
}

type parkedRow struct{ ID, Account, Why, Do, Since, Next, Attempts string }

func instanceParked(v *visit) error {
	accounts, err := accountOptions(v)
	if err != nil {
		return err
	}
	p := parkedPage{Form: v.newForm(nil), Filter: v.queryForm([]field{{Name: "account", Label: "instance.account", Kind: "select", Options: accounts}})}
	list, err := v.webhooks().ListParkedTransactions(v.ctx(), &webhooksv1.ListParkedTransactionsRequest{
		Parent: instanceName, StripeAccount: p.Filter.Value("account"), PageToken: v.pageToken(),
	})
	if err != nil {
		return err
	}
	for _, t := range list.GetParkedTransactions() {
		do := "instance.parkedDo." + t.GetReason()
		if !v.Has(do) {
			do = "instance.parkedDo.OTHER"
		}
		p.Rows = append(p.Rows, parkedRow{
			ID: t.GetBalanceTransaction(), Account: v.accountLabel(t.GetStripeAccount()), Why: reasonText(v, t.GetReason()), Do: v.T(do),
			Since: v.moment(t.GetParkTime()), Next: v.moment(t.GetNextAttemptTime()), Attempts: v.Number(int64(t.GetAttempts())),
		})
	}
	p.Pager = v.pager(list.GetNextPageToken())
	return v.show("instance/parked", v.T("instance.parkedTitle"), p)
}

func instanceRetry(v *visit) error {
	if _, err := v.readForm(nil); err != nil {
		return err
	}
	if _, err := v.webhooks().RetryParkedTransactions(v.ctx(), &webhooksv1.RetryParkedTransactionsRequest{Parent: instanceName}); err != nil {
		return err
	}
	return v.done("instance.retried", instancePath+"/parked")
}
