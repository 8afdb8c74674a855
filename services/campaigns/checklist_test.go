package campaigns

import (
	"context"
	"testing"
	"time"

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
	s.takesDonations = func(context.Context, string) error {
		if ready {
			return nil
		}
		return errs.New(errorsv1.ErrorReason_STRIPE_ACCOUNT_NOT_READY, "not yet")
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
	if !publishable {
		t.Error("nothing that is missing blocks, and it is not publishable")
	}

	ready = true
	if _, err := pgtest.Owner(t, pool).Exec(ctx, `INSERT INTO collectives.profiles VALUES
		('vallon', '{"fr": {"legal_notice": "Nous"}}', 'nous@vallon.example', '', '', NULL, 1, now())`); err != nil {
		t.Fatal(err)
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
	_, err := s.Publish(ctx, avocat)
	if publishable || err == nil {
		t.Errorf("after the deadline: publishable %v, published %v", publishable, err)
	}
	clock.set(start.Add(time.Hour))
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
