package treasury

import (
	"context"
	"strings"
	"testing"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/money"
)

// The import has looked at the books before the donation was booked, and commits after.
func TestALineIsFoundThatIsImportedMeanwhile(t *testing.T) {
	s, pool := open(t)
	importing, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer importing.Rollback(context.WithoutCancel(t.Context()))
	if err := lockBankTx(t.Context(), importing, "vallon"); err != nil {
		t.Fatal(err)
	}
	p := &parsedStatement{
		account: "FR7630006000011234567890189", currency: money.EUR, closingOn: someDay,
		lines: []parsedLine{{bookedOn: someDay, amount: eur(30_00), text: "VIR"}},
	}
	s.setKeys([]*parsedStatement{p})
	if err := s.keepStatementTx(t.Context(), importing, "vallon", []byte(strings.Repeat("f", 32)), 1, p, "", s.now()); err != nil {
		t.Fatal(err)
	}
	given := make(chan error, 1)
	go func() {
		_, err := s.CreateDonation(t.Context(), ask(), Donation{Campaign: vallon, Amount: eur(30_00), Method: MethodTransfer, ReceivedOn: someDay})
		given <- err
	}()
	pgtest.WaitForLock(t, pool)
	if err := importing.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-given; err != nil {
		t.Fatal(err)
	}
	if l := s.line(t, 30_00); l.State != LineSuggested || l.Target != TargetTransaction {
		t.Errorf("the line is %v of %v", l.State, l.Target)
	}
}

// A cheque is not taken back while a line is being said to show its slip: the money is there.
func TestASlipThatALineIsShowingMeanwhileIsNotTakenBack(t *testing.T) {
	s, pool := open(t)
	s.read(t, "09/03/2026;REMISE;;70,00")
	c := s.give(t, MethodCheque, 70_00)
	d, err := s.BankCheques(t.Context(), ask(), Deposit{Collective: "vallon", BankedOn: someDay}, []cheque{{vallon, c.ID}})
	if err != nil {
		t.Fatal(err)
	}
	matching, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer matching.Rollback(context.WithoutCancel(t.Context()))
	l, err := s.lockLineTx(t.Context(), matching, "vallon", s.line(t, 70_00).ID)
	if err != nil || !l.open() {
		t.Fatalf("the line is %v, err = %v", l.State, err)
	}
	slip, err := s.movementTx(t.Context(), matching, "vallon", 0, depositReference(d.ID))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.markLineTx(t.Context(), matching, l, slip.TransactionID, calendar{}, s.now()); err != nil {
		t.Fatal(err)
	}
	reversed := make(chan error, 1)
	go func() {
		_, err := s.ReverseDonation(t.Context(), ask(), vallon, c.ID, "wrong")
		reversed <- err
	}()
	pgtest.WaitForLock(t, pool)
	if err := matching.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-reversed; errs.As(err) == nil || errs.As(err).Reason != errorsv1.ErrorReason_BANK_LINE_MATCHED {
		t.Errorf("err = %v", err)
	}
}
