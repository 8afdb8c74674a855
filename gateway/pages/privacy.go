package pages

import "net/http"

// privacyPath is linked from every public page.
const privacyPath = "/privacy"

// privacyView is what the service keeps and who sees what, in sections of sentences.
type privacyView struct {
	Sections []privacySection
	// Host are the lines of who runs the service; none where the operator has not said it.
	Host []hostLine
}

type privacySection struct {
	ID, Heading string
	Items       []string
}

// privacy tells what is kept of a donor, for how long, and who else learns what. It says what is true of the tables, the logs
// and the calls to Stripe of this program: whoever changes these changes it, too.
func (s *site) privacy(w http.ResponseWriter, r *http.Request) {
	p := s.begin(w, r)
	v := privacyView{Host: s.host, Sections: []privacySection{
		{"kept", p.T("privacy.keptTitle"), []string{
			p.T("privacy.keptDonation"), p.T("privacy.keptNot"), p.T("privacy.keptStripe"), p.T("privacy.keptReceipt"), p.T("privacy.keptPledge"), p.T("privacy.keptNetwork"),
		}},
		{"long", p.T("privacy.longTitle"), []string{p.T("privacy.longBooks"), p.T("privacy.longEvents"), p.T("privacy.longNetwork"), p.T("privacy.longBackups")}},
		{"stripe", p.T("privacy.stripeTitle"), []string{p.T("privacy.stripeAsks"), p.T("privacy.stripeWho"), p.T("privacy.stripeMail"), p.T("privacy.stripeOwn")}},
		{"bank", p.T("privacy.bankTitle"), []string{p.T("privacy.bankLine"), p.T("privacy.bankTransfer"), p.T("privacy.bankCheque"), p.T("privacy.bankCash")}},
		{"named", p.T("privacy.namedTitle"), []string{
			p.T("privacy.namedChoice"), p.T("privacy.namedBank"), p.T("privacy.namedStripe"), p.T("privacy.namedMail"), p.T("privacy.namedHistory"),
			p.T("privacy.namedNetwork"), p.T("privacy.namedReceipt"),
		}},
		{"site", p.T("privacy.siteTitle"), []string{p.T("privacy.siteVisit"), p.T("privacy.siteScript"), p.T("privacy.siteFrame")}},
		{"seen", p.T("privacy.seenTitle"), []string{p.T("privacy.seenSum"), p.T("privacy.seenBatches"), p.T("privacy.seenPage"), p.T("privacy.seenMembers"), p.T("privacy.seenFollow")}},
		{"cookies", p.T("privacy.cookiesTitle"), []string{p.T("privacy.cookiesNone"), p.T("privacy.cookiesMembers")}},
		{"logs", p.T("privacy.logsTitle"), []string{p.T("privacy.logsOurs"), p.T("privacy.logsProxy")}},
		{"rights", p.T("privacy.rightsTitle"), []string{p.T("privacy.rightsWho"), p.T("privacy.rightsFind"), p.T("privacy.rightsComplain")}},
	}}
	p.Title, p.Description, p.Content = p.T("privacy.title"), p.T("privacy.lead"), v
	s.share(p, privacyPath)
	s.answer(w, r, http.StatusOK, "privacy", p, cachePublic)
}
