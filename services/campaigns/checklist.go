package campaigns

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
)

// Subject is what an item of a checklist is about.
type Subject string

// The subjects, in the order of the list.
const (
	SubjectStripe      Subject = "stripe"
	SubjectGoal        Subject = "goal"
	SubjectStory       Subject = "story"
	SubjectImage       Subject = "image"
	SubjectDeadline    Subject = "deadline"
	SubjectLegalNotice Subject = "legal_notice"
	SubjectContact     Subject = "contact"
	SubjectThankYou    Subject = "thank_you"
	SubjectTaxReceipt  Subject = "tax_receipt"
	SubjectPenalties   Subject = "penalties"
	SubjectDeclaration Subject = "declaration"
)

// ItemState is how an item of a checklist is.
type ItemState string

// The states of items.
const (
	ItemReady   ItemState = "ready"
	ItemMissing ItemState = "missing"
	// ItemWarning should be read again, by a lawyer if in doubt.
	ItemWarning ItemState = "warning"
)

// ChecklistItem is one thing that is ready, or missing, before a campaign is published.
type ChecklistItem struct {
	Subject Subject
	State   ItemState
	// Blocking says that [Service.Publish] refuses while it is missing.
	Blocking bool
	// Language is that of the text that it is about; empty for all.
	Language string
	// Excerpt is the words that it is about; may be empty.
	Excerpt string
}

// profileSQL reads whether a collective's profile tells who answers for its pages, and how to reach it, and whether donors
// can pay otherwise than through Stripe: by transfer, by cheque, or in cash, for which they must know whom to ask. A
// collective that must have an account of its own takes nothing at all before it has one: see collectives.MarkInUseTx.
const profileSQL = `
SELECT
	coalesce(p.texts #>> '{fr,legal_notice}', '') <> '',
	coalesce(p.contact_email, '') <> '' OR coalesce(p.contact_url, '') <> '',
	NOT (c.own_account_required AND c.stripe_account = '' AND NOT c.account_in_use)
		AND (
			c.bank_iban <> ''
			OR c.cheque_payee <> ''
			OR coalesce(p.contact_email, '') <> ''
			OR coalesce(p.contact_url, '') <> ''
		)
FROM collectives.collectives AS c
LEFT JOIN collectives.profiles AS p ON p.collective = c.id
WHERE c.id = @collective`

// readiness is what a campaign's publication needs of its collective.
type readiness struct {
	// cards: Stripe takes its payments. otherWays: donors can pay by transfer, by cheque or in cash.
	cards, otherWays bool
	// legalNotice and contact: its profile has them.
	legalNotice, contact bool
}

// payable reports whether anybody could donate.
func (r readiness) payable() bool { return r.cards || r.otherWays }

func (s *Service) readiness(ctx context.Context, collective string) (r readiness, err error) {
	if r.cards, err = s.takesCards(ctx, collective); err != nil {
		return readiness{}, err
	}
	err = s.pool.QueryRow(ctx, profileSQL, pgx.NamedArgs{"collective": collective}).Scan(&r.legalNotice, &r.contact, &r.otherWays)
	if errors.Is(err, pgx.ErrNoRows) {
		return readiness{}, errs.NotFound("collectives/" + collective)
	}
	return r, postgres.Error(err)
}

// takesCards reports whether Stripe takes payments of the collective now.
func (s *Service) takesCards(ctx context.Context, collective string) (bool, error) {
	taking, err := s.takingCards(ctx, []string{collective})
	return taking[collective], err
}

// pausedCards returns for which of the campaigns no payment page is opened for a while.
func (s *Service) pausedCards(ctx context.Context, campaigns []Name) (map[Name]bool, error) {
	if s.cardsPaused == nil || len(campaigns) == 0 {
		return nil, nil
	}
	return s.cardsPaused(ctx, campaigns)
}

// takingCards returns those of the collectives of which Stripe takes payments now.
func (s *Service) takingCards(ctx context.Context, collectives []string) (map[string]bool, error) {
	if s.takingDonations != nil {
		return s.takingDonations(ctx, collectives)
	}
	all := map[string]bool{}
	for _, collective := range collectives {
		all[collective] = true
	}
	return all, nil
}

// Checklist returns what is ready, and what is missing, before the campaign is published; publishable says whether Publish
// would do it now. Errors: NOT_FOUND.
func (s *Service) Checklist(ctx context.Context, name Name) (items []ChecklistItem, publishable bool, err error) {
	c, err := s.Get(ctx, name)
	if err != nil {
		return nil, false, err
	}
	r, err := s.readiness(ctx, name.Collective)
	if err != nil {
		return nil, false, err
	}
	inTime := !c.deadlinePassed(s.now())
	item := func(subject Subject, ready bool) {
		state := ItemReady
		if !ready {
			state = ItemMissing
		}
		items = append(items, ChecklistItem{Subject: subject, State: state, Blocking: subject == SubjectDeadline || subject == SubjectStripe && !r.payable()})
	}
	item(SubjectStripe, r.cards)
	item(SubjectGoal, c.Goal.Minor > 0)
	items = append(items, c.textItems(SubjectStory, func(t Text) string { return t.Story })...)
	item(SubjectImage, c.Image != "")
	item(SubjectDeadline, inTime)
	item(SubjectLegalNotice, r.legalNotice)
	item(SubjectContact, r.contact)
	items = append(items, c.textItems(SubjectThankYou, func(t Text) string { return t.ThankYou })...)
	items = append(items, c.warnings()...)
	return items, c.State == StateDraft && inTime && r.payable(), nil
}

// textItems are one item for each language whose text is missing, or one that is ready.
func (c Content) textItems(subject Subject, text func(Text) string) (items []ChecklistItem) {
	for _, lang := range slices.Sorted(maps.Keys(c.Texts)) {
		if strings.TrimSpace(text(c.Texts[lang])) == "" {
			items = append(items, ChecklistItem{Subject: subject, State: ItemMissing, Language: lang})
		}
	}
	if len(items) == 0 {
		items = []ChecklistItem{{Subject: subject, State: ItemReady}}
	}
	return items
}

// promises are words that a lawyer should read, in the languages of the pages. They may be harmless, so they block nothing.
var promises = []struct {
	subject Subject
	words   *regexp.Regexp
}{
	// CGI art. 200 and 238 bis: only a body of general interest may issue tax receipts.
	{SubjectTaxReceipt, regexp.MustCompile(`(?i)reçus? fisca(l|ux)|déductions? fiscales?|déductibles?|défiscalis\pL*|` +
		`réductions? d.imp[ôo]ts?|(66|75)\s?%|tax[- ](deductible|receipts?|relief|deductions?)|deductible`)},
	// Law of 29 July 1881, art. 40: no public collection to pay fines, costs and damages of a conviction.
	{SubjectPenalties, regexp.MustCompile(`(?i)\bamendes?\b|dommages([- ]et)?[- ]intérêts|(frais|dépens) de (la |sa |leur |notre )?condamnation|` +
		`payer (la|sa|leur|notre) condamnation|\bfines\b|\b(the|his|her|their|our|a) fine\b|\bdamages\b`)},
}

// declaredAboveMinor is 153,000 euros (law 91-772 art. 3, decree 2019-504).
const declaredAboveMinor = 153_000_00

// warnings are about what the texts seem to promise, and about the goal.
func (c Content) warnings() (items []ChecklistItem) {
	for _, promise := range promises {
		for _, lang := range slices.Sorted(maps.Keys(c.Texts)) {
			text := c.Texts[lang]
			if found := promise.words.FindString(readable(text.Title + "\n" + text.Story + "\n" + text.ThankYou)); found != "" {
				items = append(items, ChecklistItem{Subject: promise.subject, State: ItemWarning, Language: lang, Excerpt: found})
			}
		}
	}
	if c.Currency == "EUR" && c.Goal.Minor > declaredAboveMinor {
		items = append(items, ChecklistItem{Subject: SubjectDeclaration, State: ItemWarning})
	}
	return items
}

// readable is a text as people see it: accents composed, without characters that have no width.
func readable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r):
			return -1
		case unicode.Is(unicode.Zs, r):
			return ' '
		}
		return r
	}, norm.NFC.String(text))
}
