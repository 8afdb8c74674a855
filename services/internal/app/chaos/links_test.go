package chaos_test

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	donationsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/donations/v1"
	recurringv1 "github.com/cagnotte/cagnotte/proto/cagnotte/recurring/v1"
	"github.com/cagnotte/cagnotte/services/internal/apptest"
	"github.com/cagnotte/cagnotte/services/internal/stripesim"
)

// linkSteps are what donors do with their monthly donations through mailed links.
func (h *history) linkSteps() []step {
	return []step{
		{"a donor asks for a link", 3, h.askForLink},
		{"a donor opens a link", 3, h.openLink},
		{"a donor changes the amount", 3, h.changeMonthly},
		{"a donor stops", 1, h.stopMonthly},
		{"the program is killed while a donor changes or stops", 1, func() {
			h.killDuring([]func(){h.changeMonthly, h.changeMonthly, h.stopMonthly}[h.dice.IntN(3)], 30)
		}},
	}
}

// monthlyDonation is a monthly donation as its donor knows it.
type monthlyDonation struct {
	name string
	// asked is when the donor first asked for a link; zero if never.
	asked time.Time
	// page is the token of the donor's page, valid until pageEnds; empty if there is none.
	page     string
	pageEnds time.Time
	// amounts are the possible monthly amounts: the last one that was confirmed, and those that were asked for since.
	amounts []int64
	// stopped means that its end was confirmed.
	stopped bool
}

// someMonthly draws a monthly donation whose donor got an answer, paid or not.
func (h *history) someMonthly(is func(*monthlyDonation) bool) (*monthlyDonation, bool) {
	for _, d := range h.donors {
		if d.request.GetRecurrence() != donationsv1.Recurrence_RECURRENCE_MONTHLY || d.donation == "" {
			continue
		}
		name := h.campaign + "/recurringDonations/" + last(d.donation)
		if !slices.ContainsFunc(h.monthly, func(m *monthlyDonation) bool { return m.name == name }) {
			h.monthly = append(h.monthly, &monthlyDonation{name: name, amounts: []int64{d.request.GetDonation().GetAmount().GetAmountMinor()}})
		}
	}
	some := slices.DeleteFunc(slices.Clone(h.monthly), func(m *monthlyDonation) bool { return !is(m) })
	if len(some) == 0 {
		return nil, false
	}
	return some[h.dice.IntN(len(some))], true
}

// mailWait is how long a donor waits for a mail. A later mail is found at the next look.
const mailWait = 300 * time.Millisecond

// askForLink asks for a link. If there is no active monthly donation, it begins one first.
func (h *history) askForLink() {
	m, ok := h.someMonthly(h.goesOn)
	if !ok {
		h.giveMonthly()
		if s, open := h.pageOf(h.donors[len(h.donors)-1]); open {
			h.must(h.Sim.Pay(s.ID, stripesim.CardOK))
			h.breathe()
		}
		if m, ok = h.someMonthly(h.goesOn); !ok {
			return
		}
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), 12*time.Second)
	defer cancel()
	if m.asked.IsZero() {
		m.asked = h.Clock.Now()
	}
	_, err := recurringv1.NewRecurringServiceClient(h.rest).RequestManageLink(ctx, &recurringv1.RequestManageLinkRequest{Name: m.name})
	if err != nil {
		if !h.unanswered(err) && !slices.Contains([]string{"TOO_MANY_LINKS", "STRIPE_ACCOUNT_DISCONNECTED"}, reasonOf(err)) {
			h.t.Fatalf("a link was refused: %v", err)
		}
		h.note("  … %s", reasonOf(err))
		return
	}
	before := len(h.mailed(m))
	for deadline := time.Now().Add(mailWait); len(h.mailed(m)) == before && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}

// goesOn reports whether Stripe still collects a monthly donation.
func (h *history) goesOn(m *monthlyDonation) bool {
	return slices.ContainsFunc(h.Sim.Subscriptions(h.account), func(sub stripesim.Subscription) bool {
		return sub.Metadata["recurring_donation"] == last(m.name) && sub.Status != "canceled"
	})
}

var linkInMail = regexp.MustCompile(`http\S+/monthly/\S+`)

// mailed returns the tokens that were mailed to a donor, the newest last.
func (h *history) mailed(m *monthlyDonation) (tokens []string) {
	for _, mail := range h.box.Mails() {
		link, err := url.Parse(linkInMail.FindString(mail.Text))
		if err != nil {
			h.t.Fatal(err)
		}
		// The mail at the start has none.
		token := link.Query().Get("token")
		if token != "" && strings.HasSuffix(link.Path, "/monthly/"+last(m.name)) {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// openLink opens one of a donor's links. A link opens for half an hour, within a day.
func (h *history) openLink() {
	mailed := func(m *monthlyDonation) bool { return len(h.mailed(m)) > 0 }
	m, ok := h.someMonthly(mailed)
	if !ok {
		h.askForLink()
		if m, ok = h.someMonthly(mailed); !ok {
			return
		}
	}
	tokens := h.mailed(m)
	token := tokens[len(tokens)-1]
	if h.dice.IntN(4) == 0 {
		token = tokens[h.dice.IntN(len(tokens))]
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), 12*time.Second)
	defer cancel()
	used, tried := h.usedLinks[token]
	fresh := h.Clock.Now().Before(m.asked.Add(23 * time.Hour))
	h.usedLinks[token] = used
	opened, err := recurringv1.NewRecurringServiceClient(h.rest).RedeemManageLink(ctx, &recurringv1.RedeemManageLinkRequest{Name: m.name, Token: token})
	switch {
	case err == nil && used && !opened.GetExpireTime().AsTime().After(h.Clock.Now()):
		h.t.Error("a spent link opened")
	case err == nil:
		h.usedLinks[token] = true
		m.page, m.pageEnds = opened.GetManageToken(), opened.GetExpireTime().AsTime()
	case h.unanswered(err):
		h.note("  … and is not answered")
	case reasonOf(err) == "LINK_INVALID" && (tried || !fresh):
		h.note("  … it is good no more")
	default:
		h.t.Fatalf("a link was refused: %v", err)
	}
}

// withPage draws a monthly donation whose page is open, or opens a page.
func (h *history) withPage() (*monthlyDonation, bool) {
	open := func(m *monthlyDonation) bool { return m.page != "" }
	if m, ok := h.someMonthly(open); ok {
		return m, true
	}
	h.openLink()
	return h.someMonthly(open)
}

func (h *history) changeMonthly() {
	m, ok := h.withPage()
	if !ok {
		return
	}
	minor := 1_00 + h.dice.Int64N(99_00)
	ctx, cancel := context.WithTimeout(h.t.Context(), 12*time.Second)
	defer cancel()
	changed, err := recurringv1.NewRecurringServiceClient(h.rest).ChangeRecurringDonation(ctx, &recurringv1.ChangeRecurringDonationRequest{
		Name: m.name, ManageToken: m.page, Amount: apptest.Euros(minor),
	})
	switch {
	case err == nil:
		m.amounts = []int64{minor}
		h.note("  … to %d, pending: %v", minor, changed.GetChangePending())
	case h.unanswered(err):
		m.amounts = append(m.amounts, minor)
		h.note("  … and is not answered")
	default:
		h.pageRefused(m, err)
	}
}

func (h *history) stopMonthly() {
	m, ok := h.withPage()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), 12*time.Second)
	defer cancel()
	_, err := recurringv1.NewRecurringServiceClient(h.rest).StopRecurringDonation(ctx, &recurringv1.StopRecurringDonationRequest{
		Name: m.name, ManageToken: m.page,
	})
	switch {
	case err == nil:
		m.stopped = true
	case h.unanswered(err):
		h.note("  … and is not answered")
	default:
		h.pageRefused(m, err)
	}
}

// pageRefused reports whether a change was refused because the page has expired or the donation has ended.
func (h *history) pageRefused(m *monthlyDonation, err error) {
	reason := reasonOf(err)
	switch reason {
	case "MANAGE_TOKEN_INVALID":
		if h.Clock.Now().Before(m.pageEnds.Add(-time.Minute)) {
			h.t.Errorf("a page was refused %s before its end", m.pageEnds.Sub(h.Clock.Now()))
		}
		m.page = ""
	case "RECURRING_ENDED", "TOO_MANY_CHANGES", "STRIPE_ACCOUNT_DISCONNECTED":
	default:
		h.t.Fatalf("a donor's change was refused: %v", err)
	}
	h.note("  … %s", reason)
}

// compareChanges checks that each monthly donation has its donor's last amount, and that a stopped one has ended.
func (h *history) compareChanges(ctx context.Context) string {
	monthly, err := h.monthlyDonations(ctx)
	if err != nil {
		return fmt.Sprintf("the monthly donations cannot be read: %v", err)
	}
	for _, r := range monthly {
		for _, m := range h.monthly {
			if m.name != r.GetName() || r.GetState() == recurringv1.RecurringDonationState_RECURRING_DONATION_STATE_CANCELED {
				continue
			}
			switch {
			case m.stopped:
				return fmt.Sprintf("%s is %s, and its donor was told that it ends", m.name, r.GetState())
			case r.GetChangePending():
				return fmt.Sprintf("%s waits to be changed", m.name)
			case !slices.Contains(m.amounts, r.GetAmount().GetAmountMinor()):
				return fmt.Sprintf("%s is of %v, and its donor wants one of %d", m.name, r.GetAmount(), m.amounts)
			}
		}
	}
	return ""
}
