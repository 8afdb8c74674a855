package bank

import (
	"context"
	"strings"
	"testing"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/bank/statement"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/pgtest"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/treasury"
)

// The import has looked at the books before the donation was booked, and commits after.
func TestADonationWaitsForAnImportThatIsUnderWay(t *testing.T) {
	s, pool := open(t)
	importing, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer importing.Rollback(context.WithoutCancel(t.Context()))
	if err := treasury.LockBankTx(t.Context(), importing, "vallon"); err != nil {
		t.Fatal(err)
	}
	st := statement.Statement{
		Account: "FR7630006000011234567890189", Currency: money.EUR, ClosingOn: someDay,
		Movements: []statement.Movement{{BookedOn: someDay, Amount: eur(30_00), Text: "VIR"}},
	}
	file := fileStatement{
		Statement: &st, keys: s.lineKeys([]statement.Statement{st})[0], collective: "vallon", hash: []byte(strings.Repeat("f", 32)), ordinal: 1,
	}
	if _, err := s.storeStatementTx(t.Context(), importing, file, s.now()); err != nil {
		t.Fatal(err)
	}
	given := make(chan error, 1)
	go func() {
		_, err := s.treasury.CreateOfflineDonation(t.Context(), ask(), treasury.OfflineDonation{Campaign: vallon, Amount: eur(30_00), Method: treasury.MethodTransfer, ReceivedOn: someDay})
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
func TestAChequeIsNotReversedWhileItsDepositIsBeingMatched(t *testing.T) {
	s, pool := open(t)
	s.read(t, "09/03/2026;REMISE;;70,00")
	c := s.give(t, treasury.MethodCheque, 70_00)
	d, err := s.treasury.CreateDeposit(t.Context(), ask(), treasury.Deposit{Collective: "vallon", BankedOn: someDay, Cheques: []treasury.Cheque{{Campaign: vallon, ID: c.ID}}})
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
	slip, err := s.movementTx(t.Context(), matching, "vallon", 0, "deposit:"+d.ID.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.matchTransactionTx(t.Context(), matching, l, slip.TransactionID, place{}, s.now()); err != nil {
		t.Fatal(err)
	}
	reversed := make(chan error, 1)
	go func() {
		_, err := s.treasury.ReverseOfflineDonation(t.Context(), ask(), vallon, c.ID, "wrong")
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
