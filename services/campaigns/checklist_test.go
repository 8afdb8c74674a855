package campaigns

import (
	"context"
	"errors"
	"testing"
	"time"

	campaignsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/campaigns/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
)

// states are the items of a checklist by subject and language.
func states(t *testing.T, s *Service, name Name) (map[string]ItemState, bool) {
	t.Helper()
	items, publishable, err := s.Checklist(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]ItemState{}
	for _, item := range items {
		found[string(item.Subject)+item.Language] = item.State
	}
	return found, publishable
}

func TestChecklist(t *testing.T) {
	s, pool, clock := fresh(t)
	ctx := context.Background()
	ready := false
	s.takingDonations = func(context.Context, []string) (map[string]bool, error) {
		return map[string]bool{avocat.Collective: ready}, nil
	}
	mustCreate(t, s, avocat, lawyer())
	got, publishable := states(t, s, avocat)
	for subject, want := range map[string]ItemState{
		"stripe": ItemMissing, "goal": ItemReady, "storyen": ItemMissing, "image": ItemMissing, "deadline": ItemReady,
		"legal_notice": ItemMissing, "contact": ItemMissing, "thank_youfr": ItemMissing, "thank_youen": ItemMissing,
		"tax_receiptfr": "", "penaltiesfr": "", "declaration": "",
	} {
		if got[subject] != want {
			t.Errorf("%s is %q, want %q", subject, got[subject], want)
		}
	}
	if publishable {
		t.Error("nobody could pay, and it is publishable")
	}

	ready = true
	if _, err := pgtest.Owner(t, pool).Exec(ctx, `INSERT INTO collectives.profiles VALUES
		('vallon', '{"fr": {"legal_notice": "Nous"}}', 'nous@vallon.example', '', '', NULL, 1, now())`); err != nil {
		t.Fatal(err)
	}
	if _, publishable := states(t, s, avocat); !publishable {
		t.Error("nothing that is missing blocks, and it is not publishable")
	}
	clock.set(lawyer().Deadline)
	got, publishable = states(t, s, avocat)
	for subject, want := range map[string]ItemState{
		"stripe": ItemReady, "legal_notice": ItemReady, "contact": ItemReady, "deadline": ItemMissing,
	} {
		if got[subject] != want {
			t.Errorf("%s is %q, want %q", subject, got[subject], want)
		}
	}
	_, err := s.Publish(ctx, avocat, "")
	if publishable || err == nil {
		t.Errorf("after the deadline: publishable %v, published %v", publishable, err)
	}
	clock.set(start.Add(time.Hour))
}

// A campaign for which nobody could pay is not published. Each way to pay is enough, but for a collective that must have an
// account of its own: nothing is taken for it before it has one.
func TestNobodyPublishesWhatCannotBePaid(t *testing.T) {
	s, pool, _ := fresh(t)
	ctx, owner := context.Background(), pgtest.Owner(t, pool)
	exec := func(sql string) {
		t.Helper()
		if _, err := owner.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	ready := false
	s.takingDonations = func(context.Context, []string) (map[string]bool, error) {
		return map[string]bool{avocat.Collective: ready}, nil
	}
	mustCreate(t, s, avocat, lawyer())
	blocked := func() bool {
		t.Helper()
		items, publishable, err := s.Checklist(ctx, avocat)
		if err != nil {
			t.Fatal(err)
		}
		if items[0].Subject != SubjectStripe || items[0].Blocking == publishable {
			t.Fatalf("publishable is %v, and of Stripe's account the list says %+v", publishable, items[0])
		}
		return !publishable
	}
	const none = `UPDATE collectives.collectives SET bank_iban = '', bank_holder = '', cheque_payee = '', own_account_required = false WHERE id = 'vallon'`
	for _, c := range []struct {
		name, sql string
		want      bool
	}{
		{"no way", `SELECT`, true},
		{"a bank account", `UPDATE collectives.collectives SET bank_iban = 'FR1420041010050500013M02606', bank_holder = 'Vallon' WHERE id = 'vallon'`, false},
		{"cheques", `UPDATE collectives.collectives SET cheque_payee = 'Vallon' WHERE id = 'vallon'`, false},
	} {
		exec(none)
		exec(c.sql)
		if got := blocked(); got != c.want {
			t.Errorf("%s: blocked %v", c.name, got)
		}
	}
	exec(`UPDATE collectives.collectives SET own_account_required = true, cheque_payee = 'Vallon' WHERE id = 'vallon'`)
	if !blocked() {
		t.Error("it must have an account of its own, has none, and is not blocked")
	}
	exec(none)
	_, err := s.Publish(ctx, avocat, "")
	if !errors.Is(err, errs.New(errorsv1.ErrorReason_NO_WAY_TO_PAY, "")) {
		t.Fatalf("Publish: %v", err)
	}
	if c, err := s.Get(ctx, avocat); err != nil || c.State != StateDraft {
		t.Fatalf("after a refusal it is %s, %v", c.State, err)
	}

	// Whom to hand cash to is what the profile tells.
	exec(`INSERT INTO collectives.profiles VALUES ('vallon', '{}', 'nous@vallon.example', '', '', NULL, 1, now())`)
	if blocked() {
		t.Error("donors know whom to hand cash to, and it is blocked")
	}
	if _, err := s.Publish(ctx, avocat, ""); err != nil {
		t.Fatal(err)
	}
	// What is published stays so, and the public is told that it takes no cards.
	exec(`DELETE FROM collectives.profiles`)
	if c, err := s.Publish(ctx, avocat, ""); err != nil || c.State != StatePublished {
		t.Errorf("published again: %s, %v", c.State, err)
	}
	// Paused, it is not opened again: the check is that of publishing.
	if _, err := s.Pause(ctx, avocat); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resume(ctx, avocat); !errors.Is(err, errs.New(errorsv1.ErrorReason_NO_WAY_TO_PAY, "")) {
		t.Errorf("Resume: %v", err)
	}
	exec(`UPDATE collectives.collectives SET own_account_required = false, cheque_payee = 'Vallon' WHERE id = 'vallon'`)
	if c, err := s.Resume(ctx, avocat); err != nil || c.State != StatePublished {
		t.Errorf("with a way to pay: %s, %v", c.State, err)
	}
	exec(none)
	if c, err := s.Resume(ctx, avocat); err != nil || c.State != StatePublished {
		t.Errorf("resumed again: %s, %v", c.State, err)
	}
	server := NewServer(s, func(context.Context, []Name) (map[Name]Progress, error) { return nil, nil })
	for _, ready = range []bool{false, true} {
		c, err := server.GetCampaign(ctx, &campaignsv1.GetCampaignRequest{Name: avocat.String()})
		if err != nil || !c.GetAcceptingDonations() || c.GetAcceptingCards() != ready {
			t.Errorf("Stripe ready %v: donations %v, cards %v, %v", ready, c.GetAcceptingDonations(), c.GetAcceptingCards(), err)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, test := range []struct {
		text string
		want Subject
	}{
		{"Votre don est déductible de vos impôts.", SubjectTaxReceipt},
		{"Vous recevrez un reçu fiscal.", SubjectTaxReceipt},
		{"Vous recevrez un rec\u0327u fiscal.", SubjectTaxReceipt},
		{"Un re\u200bçu fis\u200bcal vous attend.", SubjectTaxReceipt},
		{"66\u00a0% de réduction d'impôt", SubjectTaxReceipt},
		{"Your gift is tax-deductible.", SubjectTaxReceipt},
		{"Pour payer l'amende de Jeanne.", SubjectPenalties},
		{"Les dommages et intérêts s'élèvent à 3 000 €.", SubjectPenalties},
		{"We collect for her fine.", SubjectPenalties},
		{"Nous demandons la condamnation de la commune.", ""},
		{"Tout va bien: we are fine.", ""},
		{"Un amendement a été déposé.", ""},
	} {
		c := lawyer()
		c.Texts = map[string]Text{"fr": {Title: "Un avocat", Story: test.text}}
		var got Subject
		if items := c.warnings(); len(items) > 0 {
			got = items[0].Subject
		}
		if got != test.want {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
	c := lawyer()
	c.Currency, c.Goal = "EUR", eur(153_000_01)
	if items := c.warnings(); len(items) != 1 || items[0].Subject != SubjectDeclaration {
		t.Errorf("above 153,000 €: %v", items)
	}
}
