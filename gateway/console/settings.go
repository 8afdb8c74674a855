package console

import (
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	accessv1 "github.com/cagnotte/cagnotte/proto/cagnotte/access/v1"
	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	connectv1 "github.com/cagnotte/cagnotte/proto/cagnotte/connect/v1"
	moneyv1 "github.com/cagnotte/cagnotte/proto/cagnotte/money/v1"
)

var (
	// settlers change the settings; the others read them.
	settlers = []accessv1.Role{owner, operator}
	// settingsReaders see the settings.
	settingsReaders = []accessv1.Role{owner, editor, treasurer, auditor, operator}
)

// settingsSection has the settings of a collective: general, bank and cheques, alert addresses, the limit of refunds, and its
// account at Stripe. People, keys, the audit log and what waits for a second person are sections of their own.
func settingsSection() section {
	const settings = "/console/c/{collective}/settings"
	return section{
		name: "settings",
		nav:  []navEntry{{label: "settings.nav", icon: "gear", path: "/settings", roles: settingsReaders}},
		routes: []route{
			{pattern: "GET " + settings, serve: settingsIndex, roles: settingsReaders},
			{pattern: "GET " + settings + "/{$}", serve: settingsIndex, roles: settingsReaders},
			{pattern: "GET " + settings + "/general", serve: settingsPage(generalSettings), roles: settingsReaders},
			{pattern: "POST " + settings + "/general", serve: settingsSave(generalSettings), roles: settlers},
			{pattern: "GET " + settings + "/bank", serve: settingsPage(bankSettings), roles: settingsReaders},
			{pattern: "POST " + settings + "/bank", serve: settingsSave(bankSettings), roles: settlers},
			{pattern: "GET " + settings + "/alerts", serve: settingsPage(alertSettings), roles: settlers},
			{pattern: "POST " + settings + "/alerts", serve: settingsSave(alertSettings), roles: settlers},
			{pattern: "GET " + settings + "/refunds", serve: settingsPage(refundSettings), roles: settingsReaders},
			{pattern: "POST " + settings + "/refunds", serve: settingsSave(refundSettings), roles: settlers},
			{pattern: "GET " + settings + "/stripe", serve: settingsStripe, roles: settingsReaders},
			{pattern: "POST " + settings + "/stripe", serve: settingsOnboard, roles: settlers},
		},
	}
}

// settingsCard leads from the index to a page.
type settingsCard struct{ Title, Text, Now, Path, Tone string }

// settingsIndexPage is the first page of the settings.
type settingsIndexPage struct {
	// Suspended says why the operator suspended the collective; empty when it is not.
	Suspended string
	Cards     []settingsCard
}

func settingsIndex(v *visit) error {
	c, err := v.settings()
	if err != nil {
		return err
	}
	connection, err := v.connection()
	if err != nil {
		return err
	}
	stripe := connectionOf(v, c, connection)
	none := v.T("settings.none")
	limit := v.T("settings.noLimit")
	if m := c.GetRefundApproval(); m != nil {
		limit = v.T("settings.above", "amount", v.Money(m))
	}
	bank := none
	if b := c.GetBankAccount(); b != nil {
		bank = b.GetHolder() + " · " + shortIBAN(b.GetIban())
	}
	alerts := v.T("settings.noAddress")
	if n := len(c.GetAlertEmails()); n > 0 {
		alerts = v.N("settings.addresses", int64(n))
	}
	p := settingsIndexPage{Suspended: c.GetSuspendReason()}
	for _, card := range []struct {
		key, path, now, tone string
		roles                []accessv1.Role
	}{
		{"settings.general", "/general", c.GetDisplayName(), "", settingsReaders},
		{"settings.stripe", "/stripe", stripe.Title, stripe.Tone, settingsReaders},
		{"settings.bank", "/bank", bank, "", settingsReaders},
		{"settings.refunds", "/refunds", limit, "", settingsReaders},
		{"settings.alerts", "/alerts", alerts, "", settlers},
	} {
		if v.can(card.roles...) {
			p.Cards = append(p.Cards, settingsCard{v.T(card.key), v.T(card.key + "Text"), card.now, v.path("/settings" + card.path), card.tone})
		}
	}
	// The other sections of the settings come with their own pages.
	for _, card := range settingsElsewhere {
		if v.can(card.roles...) && v.serves(v.path("/settings"+card.path)) {
			p.Cards = append(p.Cards, settingsCard{Title: v.T(card.key), Text: v.T(card.key + "Text"), Path: v.path("/settings" + card.path)})
		}
	}
	return v.show("settings/index", v.T("settings.title"), p)
}

// settingsElsewhere are pages below the settings that other sections have.
var settingsElsewhere = []struct {
	key, path string
	roles     []accessv1.Role
}{
	{"settings.identity", "/identity", settingsReaders},
	{"settings.people", "/people", settingsReaders},
	{"settings.keys", "/keys", settingsReaders},
	{"settings.approvals", "/approvals", approvalReaders},
	{"settings.audit", "/audit", []accessv1.Role{owner, treasurer, auditor, operator}},
}

// serves reports whether there is a page for this member at an address of the collective's.
func (v *visit) serves(address string) bool {
	wanted := strings.Split(address, "/")
	for i := range v.sections {
		for _, r := range v.sections[i].routes {
			pattern, get := strings.CutPrefix(r.pattern, "GET ")
			same := func(part, want string) bool {
				return part == want || strings.HasPrefix(part, "{") && part != "{$}" && want != ""
			}
			if get && slices.EqualFunc(strings.Split(pattern, "/"), wanted, same) && permits(r.roles, v.roles) {
				return true
			}
		}
	}
	return false
}

// shortIBAN shows an IBAN by its ends.
func shortIBAN(iban string) string {
	if len(iban) < 12 {
		return iban
	}
	return iban[:4] + "…\u2060" + iban[len(iban)-4:] // a word joiner: it is one word in a narrow card
}

// spacedIBAN writes an IBAN in groups of four, as banks do.
func spacedIBAN(iban string) string {
	var groups []string
	for chunk := range slices.Chunk([]byte(iban), 4) {
		groups = append(groups, string(chunk))
	}
	return strings.Join(groups, " ")
}

// spacedAccount writes a bank account as a statement names it: an IBAN in groups, anything else as it is.
func spacedAccount(account string) string {
	if len(account) < 15 || account[0] < 'A' || account[0] > 'Z' || account[1] < 'A' || account[1] > 'Z' {
		return account
	}
	return spacedIBAN(account)
}

// setting is a page of the settings that changes fields of the collective.
type setting struct {
	key string
	// paths are the fields that it changes.
	paths  []string
	fields func(v *visit) []field
	// values are what the form shows at first, as name, value.
	values func(v *visit, c *collectivesv1.Collective) []string
	// read fills in a collective from the form.
	read func(v *visit, f *form, into *collectivesv1.Collective)
	// guarded says that a fresh proof is asked for.
	guarded bool
}

// settingPage is such a page.
type settingPage struct {
	Form *form
	// Lead says what it is for; Guard what a change entails, empty when nothing.
	Lead, Guard string
	Index       string
	// Writable is false for who only reads.
	Writable bool
	// Etag is the version that the form shows.
	Etag string
}

func (s setting) page(v *visit, f *form, etag string) settingPage {
	p := settingPage{Form: f, Lead: v.T("settings." + s.key + "Lead"), Index: v.path("/settings"), Writable: v.can(settlers...), Etag: etag}
	if s.guarded {
		p.Guard = v.T("settings.guard")
	}
	return p
}

// settingsPage serves a page of the settings.
func settingsPage(s setting) func(*visit) error {
	return func(v *visit) error {
		c, err := v.settings()
		if err != nil {
			return err
		}
		return v.show("settings/setting", v.T("settings."+s.key), s.page(v, v.newForm(s.fields(v), s.values(v, c)...), c.GetEtag()))
	}
}

// settingsSave saves one.
func settingsSave(s setting) func(*visit) error {
	return func(v *visit) error {
		f, err := v.readForm(append(s.fields(v), field{Name: "etag", Kind: "hidden"}))
		if err != nil {
			return err
		}
		wanted := &collectivesv1.Collective{Name: v.collective, Etag: f.Value("etag")}
		if s.read(v, f, wanted); !f.failed() {
			var changed *collectivesv1.Collective
			changed, err = v.collectives().UpdateCollective(v.ctx(), &collectivesv1.UpdateCollectiveRequest{
				Collective: wanted, UpdateMask: &fieldmaskpb.FieldMask{Paths: s.paths},
			})
			if err == nil {
				if !s.holds(changed, wanted) {
					return v.done("settings.waits", v.path("/settings/approvals"))
				}
				return v.done("settings.saved", v.path("/settings"))
			}
			if !f.refused(v, err) {
				return err
			}
		}
		// After a change by somebody else the form is sent with the present version, once its reader has looked.
		etag := f.Value("etag")
		if reasonOf(err) == "ETAG_MISMATCH" {
			if c, err := v.settings(); err == nil {
				etag = c.GetEtag()
			}
		}
		return v.refuse("settings/setting", v.T("settings."+s.key), s.page(v, f, etag))
	}
}

// holds reports whether a collective has what was asked for. It has not while a change of what guards money waits for a
// second person.
func (s setting) holds(c, wanted *collectivesv1.Collective) bool {
	if !s.guarded {
		return true
	}
	a, b := c.GetBankAccount(), wanted.GetBankAccount()
	for _, path := range s.paths {
		switch path {
		case "bank_account":
			if strings.ReplaceAll(strings.ToUpper(a.GetIban()), " ", "") != strings.ReplaceAll(strings.ToUpper(b.GetIban()), " ", "") || a.GetHolder() != b.GetHolder() {
				return false
			}
		case "alert_emails":
			if !slices.Equal(c.GetAlertEmails(), wanted.GetAlertEmails()) {
				return false
			}
		case "refund_approval":
			if !proto.Equal(c.GetRefundApproval(), wanted.GetRefundApproval()) {
				return false
			}
		}
	}
	return true
}

// zones are offered first; any other of the IANA database can be typed.
var zones = []string{
	"Europe/Paris", "Europe/Brussels", "Europe/Zurich", "Europe/Luxembourg", "Europe/London", "Europe/Madrid", "Europe/Berlin", "Europe/Rome",
	"America/Guadeloupe", "America/Martinique", "America/Cayenne", "America/Montreal", "America/New_York", "Africa/Algiers", "Africa/Casablanca", "Africa/Dakar",
	"Africa/Tunis", "Indian/Reunion", "Indian/Mayotte", "Pacific/Noumea", "Pacific/Tahiti", "UTC",
}

var generalSettings = setting{
	key: "general", paths: []string{"display_name", "time_zone", "language", "discreet"},
	fields: func(v *visit) []field {
		options := []option{}
		for _, zone := range zones {
			options = append(options, option{zone, strings.ReplaceAll(zone, "_", " "), ""})
		}
		// A zone of its own stays in the list.
		if c, err := v.settings(); err == nil && !slices.Contains(zones, c.GetTimeZone()) {
			options = append(options, option{c.GetTimeZone(), c.GetTimeZone(), ""})
		}
		return []field{
			{Name: "display_name", Label: "settings.displayName", Hint: "settings.displayNameHint", Required: true, Max: 120, Spellcheck: true},
			{Name: "time_zone", Label: "settings.timeZone", Hint: "settings.timeZoneHint", Kind: "select", Required: true, Options: options},
			{Name: "language", Label: "settings.language", Hint: "settings.languageHint", Kind: "select", Required: true, Options: []option{
				{"fr", v.T("settings.french"), ""}, {"en", v.T("settings.english"), ""},
			}},
			{Name: "discreet", Label: "settings.discreet", Hint: "settings.discreetHint", Kind: "checkbox", Path: "collective.discreet"},
		}
	},
	values: func(_ *visit, c *collectivesv1.Collective) []string {
		discreet := ""
		if c.GetDiscreet() {
			discreet = "on"
		}
		return []string{"display_name", c.GetDisplayName(), "time_zone", c.GetTimeZone(), "language", c.GetLanguage(), "discreet", discreet}
	},
	read: func(_ *visit, f *form, c *collectivesv1.Collective) {
		c.DisplayName, c.TimeZone, c.Language = f.Value("display_name"), f.Value("time_zone"), f.Value("language")
		c.Discreet = f.Checked("discreet")
	},
}

var bankSettings = setting{
	key: "bank", paths: []string{"bank_account", "cheque_payee", "postal_address"}, guarded: true,
	fields: func(*visit) []field {
		return []field{
			{Name: "holder", Label: "settings.holder", Hint: "settings.holderHint", Max: 70, Path: "collective.bank_account.holder"},
			{Name: "iban", Label: "settings.iban", Hint: "settings.ibanHint", Max: 50, Mono: true, Path: "collective.bank_account.iban"},
			{Name: "bic", Label: "settings.bic", Hint: "settings.bicHint", Max: 16, Mono: true, Path: "collective.bank_account.bic"},
			{Name: "cheque_payee", Label: "settings.chequePayee", Hint: "settings.chequePayeeHint", Max: 120, Path: "collective.cheque_payee"},
			{Name: "postal_address", Label: "settings.postalAddress", Hint: "settings.postalAddressHint", Kind: "textarea", Max: 500, Path: "collective.postal_address"},
		}
	},
	values: func(_ *visit, c *collectivesv1.Collective) []string {
		b := c.GetBankAccount()
		return []string{
			"holder", b.GetHolder(), "iban", spacedIBAN(b.GetIban()), "bic", b.GetBic(), "cheque_payee", c.GetChequePayee(),
			"postal_address", strings.Join(c.GetPostalAddress(), "\n"),
		}
	},
	read: func(v *visit, f *form, c *collectivesv1.Collective) {
		holder, iban, bic := f.Value("holder"), f.Value("iban"), f.Value("bic")
		if holder+iban+bic != "" {
			c.BankAccount = &collectivesv1.BankAccount{Holder: holder, Iban: iban, Bic: bic}
			for name, value := range map[string]string{"holder": holder, "iban": iban} {
				if value == "" {
					f.fail(name, v.T("settings.bankIncomplete"))
				}
			}
		}
		c.ChequePayee, c.PostalAddress = f.Value("cheque_payee"), lines(f.Value("postal_address"))
	},
}

var alertSettings = setting{
	key: "alerts", paths: []string{"alert_emails"}, guarded: true,
	fields: func(*visit) []field {
		return []field{{Name: "alert_emails", Label: "settings.alertEmails", Hint: "settings.alertEmailsHint", Kind: "textarea", Max: 3000, Path: "collective.alert_emails"}}
	},
	values: func(_ *visit, c *collectivesv1.Collective) []string {
		return []string{"alert_emails", strings.Join(c.GetAlertEmails(), "\n")}
	},
	read: func(_ *visit, f *form, c *collectivesv1.Collective) { c.AlertEmails = lines(f.Value("alert_emails")) },
}

var refundSettings = setting{
	key: "refunds", paths: []string{"refund_approval"}, guarded: true,
	fields: func(v *visit) []field {
		return []field{
			{Name: "rule", Label: "settings.rule", Kind: "radio", Required: true, Options: []option{
				{"none", v.T("settings.ruleNone"), ""}, {"above", v.T("settings.ruleAbove"), ""}, {"all", v.T("settings.ruleAll"), ""},
			}},
			{Name: "amount", Label: "settings.limit", Hint: "settings.limitHint", Kind: "money", Suffix: v.CurrencySymbol(limitCurrency(v)), Path: "collective.refund_approval"},
		}
	},
	values: func(v *visit, c *collectivesv1.Collective) []string {
		switch m := c.GetRefundApproval(); {
		case m == nil:
			return []string{"rule", "none"}
		case m.GetAmountMinor() == 0:
			return []string{"rule", "all"}
		default:
			return []string{"rule", "above", "amount", v.FieldMoney(m)}
		}
	},
	read: func(v *visit, f *form, c *collectivesv1.Collective) {
		switch f.Value("rule") {
		case "all":
			c.RefundApproval = &moneyv1.Money{CurrencyCode: limitCurrency(v)}
		case "above":
			if c.RefundApproval = f.money("amount", limitCurrency(v)); c.RefundApproval == nil {
				f.fail("amount", v.T("shell.required"))
			}
		}
	},
}

// limitCurrency is the currency of the limit of refunds: that of the stored one, else the campaigns'.
func limitCurrency(v *visit) string {
	if c, err := v.settings(); err == nil && c.GetRefundApproval() != nil {
		return c.GetRefundApproval().GetCurrencyCode()
	}
	return currencyOf(v, "")
}

// lines are the lines of a text that are not empty, without space around them.
func lines(text string) (all []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// connection asks what the collective's account may do at Stripe.
func (v *visit) connection() (*connectv1.Connection, error) {
	return connectv1.NewConnectServiceClient(v.Conn).GetConnection(v.ctx(), &connectv1.GetConnectionRequest{Name: v.collective + "/connection"})
}

// connectionView says in words what a collective's account at Stripe may do.
type connectionView struct {
	// Title is its state in a few words, and Text what that means and what to do.
	Title, Text, Tone string
	Facts             []labelled
	// Wants are what Stripe still asks for, Deadline by when; empty for none.
	Wants    []string
	Deadline string
	// Can say whether the onboarding can be begun or continued; Again whether there is an account already.
	Can, Again bool
	// Dashboard is the account's page at Stripe; empty without one.
	Dashboard string
}

func connectionOf(v *visit, c *collectivesv1.Collective, k *connectv1.Connection) connectionView {
	w := connectionView{Can: true}
	state := ""
	switch {
	case k.GetStripeAccount() == "" && c.GetOwnAccountRequired():
		state, w.Tone = "none", "warn"
	case k.GetStripeAccount() == "":
		state, w.Tone, w.Can = "platform", "good", false
	case !k.GetConnected():
		state, w.Tone, w.Can = "disconnected", "bad", false
	case k.GetReadTime() == nil:
		state, w.Tone = "unread", "warn"
	case !k.GetDetailsSubmitted():
		state, w.Tone = "begun", "warn"
	case !k.GetChargesEnabled():
		state, w.Tone = "closed", "bad"
	case !k.GetPayoutsEnabled():
		state, w.Tone = "noPayouts", "warn"
	case len(k.GetRequirementsDue()) > 0:
		state, w.Tone = "wants", "warn"
	default:
		state, w.Tone = "ready", "good"
	}
	w.Title, w.Text = v.T("settings.stripe."+state), v.T("settings.stripeText."+state)
	if k.GetStripeAccount() == "" {
		return w
	}
	w.Again = true
	w.Dashboard = "https://dashboard.stripe.com/"
	yes := func(is bool) (string, string) {
		if is {
			return v.T("shell.yes"), "good"
		}
		return v.T("shell.no"), "warn"
	}
	w.Facts = append(w.Facts, labelled{Label: v.T("settings.account"), Value: k.GetStripeAccount()})
	for _, item := range []struct {
		key string
		is  bool
	}{
		{"settings.charges", k.GetChargesEnabled()}, {"settings.payouts", k.GetPayoutsEnabled()}, {"settings.details", k.GetDetailsSubmitted()},
	} {
		value, tone := yes(item.is)
		w.Facts = append(w.Facts, labelled{Label: v.T(item.key), Value: value, Tone: tone})
	}
	if t := k.GetReadTime(); t != nil {
		w.Facts = append(w.Facts, labelled{Label: v.T("settings.readTime"), Value: v.moment(t)})
	}
	for _, code := range k.GetRequirementsDue() {
		if want := requirement(v, code); !slices.Contains(w.Wants, want) {
			w.Wants = append(w.Wants, want)
		}
	}
	if t := k.GetRequirementsDeadline(); t != nil {
		w.Deadline = v.T("settings.deadline", "date", v.Date(t.AsTime()))
	}
	return w
}

// requirements begin Stripe's codes for what it wants to know, https://docs.stripe.com/api/accounts/object. The first that
// fits says it in words.
var requirements = []struct{ prefix, key string }{
	{"external_account", "settings.want.bank"},
	{"tos_acceptance", "settings.want.terms"},
	{"business_profile.url", "settings.want.site"},
	{"business_profile.mcc", "settings.want.activity"},
	{"business_profile", "settings.want.activity"},
	{"business_type", "settings.want.form"},
	{"company.verification", "settings.want.statutes"},
	{"company", "settings.want.body"},
	{"representative", "settings.want.person"},
	{"individual.verification", "settings.want.identity"},
	{"individual", "settings.want.person"},
	{"person_", "settings.want.person"},
	{"owners", "settings.want.leaders"},
	{"directors", "settings.want.leaders"},
	{"executives", "settings.want.leaders"},
}

// requirement says in words what Stripe wants to know; an unknown code as it is.
func requirement(v *visit, code string) string {
	if strings.Contains(code, "verification.document") || strings.Contains(code, "verification.additional_document") {
		if !strings.HasPrefix(code, "company") {
			return v.T("settings.want.identity")
		}
	}
	for _, r := range requirements {
		if strings.HasPrefix(code, r.prefix) {
			return v.T(r.key)
		}
	}
	return v.T("settings.want.other", "code", code)
}

// stripeSettingsPage is the page about the account at Stripe.
type stripeSettingsPage struct {
	connectionView
	Form     *form
	Index    string
	Writable bool
}

func settingsStripe(v *visit) error { return showStripeSettings(v, v.newForm(nil)) }

func showStripeSettings(v *visit, f *form) error {
	c, err := v.settings()
	if err != nil {
		return err
	}
	k, err := v.connection()
	if err != nil {
		return err
	}
	p := stripeSettingsPage{connectionOf(v, c, k), f, v.path("/settings"), v.can(settlers...)}
	if f.failed() {
		return v.refuse("settings/stripe", v.T("settings.stripe"), p)
	}
	return v.show("settings/stripe", v.T("settings.stripe"), p)
}

// onboardPage leads to Stripe. The address works once and is not an address of this site, so it is a link and no redirect:
// the policy of the pages lets forms lead nowhere else.
type onboardPage struct{ URL, Host, Until, Back string }

func settingsOnboard(v *visit) error {
	f, err := v.readForm(nil)
	if err != nil {
		return err
	}
	l, err := connectv1.NewConnectServiceClient(v.Conn).StartOnboarding(v.ctx(), &connectv1.StartOnboardingRequest{
		Name: v.collective + "/connection", RequestId: f.RequestID,
	})
	if err != nil {
		if f.refused(v, err) {
			return showStripeSettings(v, f)
		}
		return err
	}
	host := ""
	if u, err := url.Parse(l.GetUrl()); err == nil {
		host = u.Host
	}
	zone, err := v.zone()
	if err != nil {
		return err
	}
	return v.show("settings/onboard", v.T("settings.onboardTitle"), onboardPage{
		l.GetUrl(), host, v.DateTime(l.GetExpireTime().AsTime(), zone), v.path("/settings/stripe"),
	})
}
