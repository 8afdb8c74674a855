package collectives_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	collectivesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/collectives/v1"
	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	noticesv1 "github.com/cagnotte/cagnotte/proto/cagnotte/notices/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/collectives"
	"github.com/cagnotte/cagnotte/services/internal/errstest"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func settled() collectives.Collective {
	c := vallon()
	c.Settings = collectives.Settings{
		Language:           "en",
		AlertEmails:        []string{"une@example.org", "deux@example.org"},
		RefundApproval:     money.Amount{Minor: 50_00, Currency: "EUR"},
		BankAccount:        collectives.BankAccount{Holder: "Vallon", IBAN: "FR7630006000011234567890189", BIC: "AGRIFRPP"},
		ChequePayee:        "Maître Durand",
		PostalAddress:      []string{"Vallon contre caméras", "1, place de l’Église", "12330 Salles-la-Source"},
		OwnAccountRequired: true,
	}
	return c
}

func TestSettingsAreKept(t *testing.T) {
	s, _ := fresh(t)
	ctx := context.Background()
	created := mustCreate(t, s, settled())
	if diff := cmp.Diff(settled().Settings, created.Settings); diff != "" {
		t.Errorf("created (-want +got)\n%s", diff)
	}
	read, err := s.Get(ctx, "vallon")
	if err != nil || !equal(read, created) {
		t.Errorf("%v (-created +read)\n%s", err, cmp.Diff(created.Settings, read.Settings))
	}
	if again := mustCreate(t, s, settled()); !equal(again, created) {
		t.Errorf("sent twice: %+v", again)
	}
	t.Run("and taken away", func(t *testing.T) {
		updated, err := s.Update(ctx, "vallon", "", func(c *collectives.Collective) error {
			c.Settings = collectives.Settings{}
			return nil
		})
		want := collectives.Settings{Language: "fr", AlertEmails: []string{}, PostalAddress: []string{}}
		if diff := cmp.Diff(want, updated.Settings); err != nil || diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	})
	t.Run("an IBAN as people write it is the same", func(t *testing.T) {
		for _, iban := range []string{"fr76 3000 6000 0112 3456 7890 189", "FR7630006000011234567890189"} {
			updated, err := s.Update(ctx, "vallon", "", func(c *collectives.Collective) error {
				c.BankAccount = collectives.BankAccount{Holder: " Vallon ", IBAN: iban, BIC: "agri fr pp"}
				return nil
			})
			if err != nil || updated.BankAccount != settled().BankAccount {
				t.Errorf("%q: %+v, %v", iban, updated.BankAccount, err)
			}
		}
	})
}

func TestSettingsThatCannotBe(t *testing.T) {
	s, _ := fresh(t)
	many := make([]string, 21)
	for i := range many {
		many[i] = "a" + strconv.Itoa(i) + "@example.org"
	}
	iban := func(text string) func(*collectives.Collective) {
		return func(c *collectives.Collective) { c.BankAccount = collectives.BankAccount{Holder: "Vallon", IBAN: text} }
	}
	for name, test := range map[string]struct {
		spoil func(*collectives.Collective)
		field string
	}{
		"a language that nobody wrote":   {func(c *collectives.Collective) { c.Language = "de" }, "language"},
		"an address with a name":         {func(c *collectives.Collective) { c.AlertEmails = []string{"A <a@example.org>"} }, "alert_emails"},
		"an address with another header": {func(c *collectives.Collective) { c.AlertEmails = []string{"a@example.org\nBcc: b@example.org"} }, "alert_emails"},
		"an address twice":               {func(c *collectives.Collective) { c.AlertEmails = []string{"a@b.org", "a@b.org"} }, "alert_emails"},
		"too many addresses":             {func(c *collectives.Collective) { c.AlertEmails = many }, "alert_emails"},
		"an approval without a currency": {func(c *collectives.Collective) { c.RefundApproval = money.Amount{Minor: 1} }, "refund_approval"},
		"an approval below nothing":      {func(c *collectives.Collective) { c.RefundApproval = money.Amount{Minor: -1, Currency: "EUR"} }, "refund_approval"},
		"wrong check digits":             {iban("FR7630006000011234567890188"), "bank_account.iban"},
		"two digits changed places":      {iban("FR7630006000011234567809189"), "bank_account.iban"},
		"an IBAN of another length":      {iban("FR763000600001123456789018"), "bank_account.iban"},
		"an IBAN with other signs":       {iban("FR76-3000-6000-0112-3456-7890-189"), "bank_account.iban"},
		"no IBAN":                        {iban(""), "bank_account.iban"},
		"no holder":                      {func(c *collectives.Collective) { c.BankAccount.IBAN = "FR7630006000011234567890189" }, "bank_account.holder"},
		"a BIC of nine characters": {func(c *collectives.Collective) {
			c.BankAccount = settled().BankAccount
			c.BankAccount.BIC = "AGRIFRPPX"
		}, "bank_account.bic"},
		"a BIC without an account":         {func(c *collectives.Collective) { c.BankAccount.BIC = "AGRIFRPP" }, "bank_account.holder"},
		"a payee of two lines":             {func(c *collectives.Collective) { c.ChequePayee = "A\nB" }, "cheque_payee"},
		"an address of eight lines":        {func(c *collectives.Collective) { c.PostalAddress = strings.Split("12345678", "") }, "postal_address"},
		"an empty line in the address":     {func(c *collectives.Collective) { c.PostalAddress = []string{"a", " ", "b"} }, "postal_address"},
		"a line that no envelope can bear": {func(c *collectives.Collective) { c.PostalAddress = []string{strings.Repeat("x", 71)} }, "postal_address"},
	} {
		t.Run(name, func(t *testing.T) {
			c := vallon()
			test.spoil(&c)
			_, err := s.Create(context.Background(), c)
			errstest.Want(t, err, codes.InvalidArgument, errorsv1.ErrorReason_INVALID_FIELD, "collective."+test.field)
		})
	}
}

func TestIBANs(t *testing.T) {
	s, _ := fresh(t)
	// The examples of the registry: https://www.swift.com/resource/iban-registry-pdf.
	for i, iban := range []string{
		"BE68539007547034", "CH9300762011623852957", "DE89370400440532013000", "ES9121000418450200051332",
		"FR1420041010050500013M02606", "GB29NWBK60161331926819", "IT60X0542811101000000123456", "LU280019400644750000",
		"MC5811222000010123456789030", "NL91ABNA0417164300", "NO9386011117947", "PT50000201231234567890154",
	} {
		c := vallon()
		c.ID = "iban-" + string(rune('a'+i))
		c.BankAccount = collectives.BankAccount{Holder: "Vallon", IBAN: iban}
		if created := mustCreate(t, s, c); created.BankAccount.IBAN != iban {
			t.Errorf("%s became %s", iban, created.BankAccount.IBAN)
		}
	}
}

func TestWhoSeesAndChangesSettings(t *testing.T) {
	s, _ := fresh(t)
	mustCreate(t, s, settled())
	server := collectives.NewServer(s)
	for role, sees := range map[access.Role]bool{
		access.RoleOwner: true, access.RoleOperator: true, access.RoleEditor: false, access.RoleTreasurer: false, access.RoleAuditor: false,
	} {
		got, err := server.GetCollective(as(role, "vallon"), &collectivesv1.GetCollectiveRequest{Name: "collectives/vallon"})
		if err != nil || (len(got.GetAlertEmails()) == 2) != sees || got.GetBankAccount().GetIban() != settled().BankAccount.IBAN {
			t.Errorf("%s: %v, %v", role, got, err)
		}
		list, err := server.ListCollectives(as(role, "vallon"), &collectivesv1.ListCollectivesRequest{})
		if err != nil || (len(list.GetCollectives()[0].GetAlertEmails()) == 2) != sees {
			t.Errorf("%s lists %v, %v", role, list, err)
		}
	}
	t.Run("an owner sends back what it read", func(t *testing.T) {
		owner := as(access.RoleOwner, "vallon")
		read, err := server.GetCollective(owner, &collectivesv1.GetCollectiveRequest{Name: "collectives/vallon"})
		if err != nil {
			t.Fatal(err)
		}
		read.CreateTime, read.UpdateTime = nil, nil
		back, err := server.UpdateCollective(owner, &collectivesv1.UpdateCollectiveRequest{Collective: read})
		if err != nil || back.GetEtag() != read.GetEtag() {
			t.Errorf("%v, %v", back, err)
		}
	})
	t.Run("and cannot let others' money stand on the platform's account", func(t *testing.T) {
		_, err := server.UpdateCollective(as(access.RoleOwner, "vallon"), &collectivesv1.UpdateCollectiveRequest{
			Collective: &collectivesv1.Collective{Name: "collectives/vallon"},
			UpdateMask: mask("own_account_required"),
		})
		errstest.Want(t, err, codes.NotFound, errorsv1.ErrorReason_NOT_FOUND)
		got, err := server.UpdateCollective(operator(), &collectivesv1.UpdateCollectiveRequest{
			Collective: &collectivesv1.Collective{Name: "collectives/vallon"},
			UpdateMask: mask("own_account_required"),
		})
		if err != nil || got.GetOwnAccountRequired() {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("one part of the bank account changes alone", func(t *testing.T) {
		got, err := server.UpdateCollective(as(access.RoleOwner, "vallon"), &collectivesv1.UpdateCollectiveRequest{
			Collective: &collectivesv1.Collective{
				Name: "collectives/vallon", BankAccount: &collectivesv1.BankAccount{Holder: "Les amis de Vallon"},
			},
			UpdateMask: mask("bank_account.holder"),
		})
		want := &collectivesv1.BankAccount{Holder: "Les amis de Vallon", Iban: settled().BankAccount.IBAN, Bic: settled().BankAccount.BIC}
		if err != nil || !proto.Equal(got.GetBankAccount(), want) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestWhatAThiefWouldChangeIsTold(t *testing.T) {
	s, pool := fresh(t)
	server := notices.NewServer(notices.New(notices.Config{Pool: pool, Now: func() time.Time { return start }}))
	mustCreate(t, s, vallon())
	change := func(edit func(*collectives.Collective)) {
		t.Helper()
		if _, err := s.Update(context.Background(), "vallon", "", func(c *collectives.Collective) error { edit(c); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	check := func(told ...string) {
		t.Helper()
		want = append(told, want...)
		if diff := cmp.Diff(want, listed(t, server), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	change(func(c *collectives.Collective) { c.AlertEmails = settled().AlertEmails })
	check("alert_emails_changed")
	change(func(c *collectives.Collective) { c.BankAccount = settled().BankAccount })
	check("bank_account_changed")
	change(func(c *collectives.Collective) { c.BankAccount = settled().BankAccount })
	check()
	change(func(c *collectives.Collective) { c.ChequePayee = "Un voleur" })
	check("cheque_details_changed")
	change(func(c *collectives.Collective) { c.PostalAddress = []string{"Ailleurs"} })
	check("cheque_details_changed")
	change(func(c *collectives.Collective) { c.RefundApproval = money.Amount{Minor: 50_00, Currency: money.EUR} })
	check("refund_approval_changed")
	change(func(c *collectives.Collective) { c.RefundApproval = money.Amount{} })
	check("refund_approval_changed")
	change(func(c *collectives.Collective) { c.AlertEmails = []string{"thief@example.org"} })
	check("alert_emails_changed")
}

func listed(t *testing.T, server noticesv1.NoticesServiceServer) (kinds []string) {
	t.Helper()
	resp, err := server.ListNotices(operator(), &noticesv1.ListNoticesRequest{Parent: "collectives/vallon"})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range resp.GetNotices() {
		kinds = append(kinds, n.GetKind())
	}
	return kinds
}

func TestWhoHasCardsOrChequesPaidElsewhereProvesToBeThere(t *testing.T) {
	s, _ := fresh(t)
	mustCreate(t, s, settled())
	for rule, change := range map[string]func(*collectives.Collective){
		"cards":          func(c *collectives.Collective) { c.StripeAccount = "acct_1Elsewhere" },
		"cheques":        func(c *collectives.Collective) { c.ChequePayee = "Somebody else" },
		"cheques' place": func(c *collectives.Collective) { c.PostalAddress = []string{"Elsewhere"} },
	} {
		update := func(isFresh bool) error {
			by := access.Principal{Name: "members/m", Member: "members/m", Session: "members/m/sessions/s", Fresh: isFresh}
			_, err := s.Update(access.WithPrincipal(t.Context(), by), "vallon", "", func(c *collectives.Collective) error {
				change(c)
				return nil
			})
			return err
		}
		t.Run(rule, func(t *testing.T) {
			errstest.Want(t, update(false), codes.FailedPrecondition, errorsv1.ErrorReason_REAUTHENTICATION_REQUIRED)
			if err := update(true); err != nil {
				t.Error(err)
			}
			// What changes nothing needs no proof.
			if err := update(false); err != nil {
				t.Error(err)
			}
		})
	}
}
