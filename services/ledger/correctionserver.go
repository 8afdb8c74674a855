package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// reclassificationPrefix separates references that callers choose from Stripe's ids, and tells what can be reversed
// here.
const reclassificationPrefix = "reclassification:"

// reversalPrefix separates references that callers choose from Stripe's ids: otherwise a caller could take the
// reference of a balance transaction that is still to come.
const reversalPrefix = "reversal:"

// ReclassifyTransaction moves an amount between accounts or campaigns of one collective. The request id is the end of
// the reference, so a repeat of the request posts nothing new.
func (s *server) ReclassifyTransaction(ctx context.Context, req *ledgerv1.ReclassifyTransactionRequest) (*ledgerv1.Transaction, error) {
	parent, collective, book, original, err := s.findTransaction(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	// What a treasurer entered has a state of its own outside of the books, which a reclassification would not change.
	if slices.ContainsFunc(s.service.reversedElsewhere, func(prefix string) bool { return strings.HasPrefix(original, prefix) }) {
		return nil, errs.New(errorsv1.ErrorReason_REVERSED_ELSEWHERE, "A treasurer entered this: reverse it where it was entered, and enter it again.")
	}
	from, err := entryFromProto("from", parent, collective, req.GetFrom())
	if err != nil {
		return nil, err
	}
	// The second entry has no amount yet: ReclassifyTx gives it that of the first.
	to, err := entryFromProto("to", parent, collective, &ledgerv1.Entry{Account: req.GetToAccount(), Campaign: req.GetToCampaign()})
	if err != nil {
		return nil, err
	}
	switch {
	case req.GetFrom().GetDonation() != "":
		return nil, errs.Invalid("from.donation", "must be empty: what belongs to a donation counts for the campaign of the donation")
	// Such a correction would post two entries that cancel each other on one account.
	case from.Code == to.Code && from.Campaign == to.Campaign:
		return nil, errs.Invalid("to_account", "must be another account, unless to_campaign is another campaign")
	}
	// The request id is lower-cased, so that two spellings of one id are one reference and a repeat is recognised.
	r := Reclassification{
		Original: original, Reference: reclassificationPrefix + strings.ToLower(req.GetRequestId()), Collective: collective,
		Amount: from.Amount, FromCode: from.Code, FromCampaign: from.Campaign, ToCode: to.Code, ToCampaign: to.Campaign,
	}
	if r.Effective, err = wire.Instant("effective_time", req.GetEffectiveTime()); err != nil {
		return nil, err
	}
	// The database has microseconds; a repeat must compare equal.
	r.Effective = r.Effective.Truncate(time.Microsecond)
	if err := postgres.InTx(ctx, s.service.pool, func(ctx context.Context, tx pgx.Tx) error {
		// The campaign of from stands in the books, so it keeps its name; that of to is new to them.
		if r.ToCampaign != "" {
			if err := s.cfg.HoldCampaignTx(ctx, tx, collective, r.ToCampaign); err != nil {
				return err
			}
		}
		fresh, err := s.service.ReclassifyTx(ctx, tx, book, r)
		if err != nil || !fresh {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{
			Collective: collective, Resource: req.GetName(),
			Before: audit.Fields{"account": r.FromCode, "campaign": r.FromCampaign},
			After:  audit.Fields{"account": r.ToCode, "campaign": r.ToCampaign, "amount": r.Amount.String()},
		})
	}); err != nil {
		return nil, err
	}
	return s.transaction(ctx, parent, collective, book, r.Reference)
}

// ReverseTransaction reverses a reclassification, and nothing else.
func (s *server) ReverseTransaction(ctx context.Context, req *ledgerv1.ReverseTransactionRequest) (*ledgerv1.Transaction, error) {
	parent, collective, book, original, err := s.findTransaction(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	// Everything else has a state outside of the books that must change with it: Stripe's balance, a donation, what a
	// treasurer entered.
	if !strings.HasPrefix(original, reclassificationPrefix) {
		return nil, errs.New(errorsv1.ErrorReason_REVERSED_ELSEWHERE,
			"Only a reclassification is reversed here. What Stripe reported is corrected by Stripe, or reclassified; "+
				"what a treasurer entered is reversed where it was entered.")
	}
	reversal := Reversal{
		Original: original, Reference: reversalPrefix + strings.ToLower(req.GetRequestId()), Collective: collective,
	}
	if reversal.Effective, err = wire.Instant("effective_time", req.GetEffectiveTime()); err != nil {
		return nil, err
	}
	// The database has microseconds; a repeat must compare equal.
	reversal.Effective = reversal.Effective.Truncate(time.Microsecond)
	for i, e := range req.GetEntries() {
		entry, err := entryFromProto(fmt.Sprintf("entries[%d]", i), parent, collective, e)
		if err != nil {
			return nil, err
		}
		reversal.Entries = append(reversal.Entries, entry)
	}
	if err := postgres.InTx(ctx, s.service.pool, func(ctx context.Context, tx pgx.Tx) error {
		// It is one database transaction: when the amount was moved on since, the reversal is rolled back.
		fresh, err := s.service.reverseReclassificationTx(ctx, tx, book, reversal)
		if err != nil || !fresh {
			return err
		}
		return audit.WriteTx(ctx, tx, audit.Change{Collective: collective, Resource: req.GetName()})
	}); err != nil {
		return nil, err
	}
	return s.transaction(ctx, parent, collective, book, reversal.Reference)
}

// entryFromProto reads an entry of one collective. Names of other collectives are refused.
func entryFromProto(field, parent, collective string, e *ledgerv1.Entry) (Entry, error) {
	// An entry of a request has no collective of its own: it is that of the ledger's name.
	entry := Entry{
		Code:       e.GetAccount(),
		Amount:     wire.Amount(e.GetAmount()),
		Collective: collective,
	}
	// A role is written in small letters, an account's code never is.
	if entry.Code == "" || entry.Code != strings.ToUpper(entry.Code) {
		return Entry{}, errs.Invalid(field+".account", "must be the code of an account")
	}
	var err error
	if entry.Campaign, err = campaignOf(field+".campaign", parent, e.GetCampaign()); err != nil {
		return Entry{}, err
	}
	if e.GetDonation() != "" {
		// The name of a donation begins with that of its campaign, so one of another campaign or collective is refused.
		id, own := strings.CutPrefix(e.GetDonation(), e.GetCampaign()+"/donations/")
		donation, err := uuid.Parse(id)
		if !own || entry.Campaign == "" || err != nil {
			return Entry{}, errs.Invalid(field+".donation", "must be a donation of the entry's campaign")
		}
		entry.Donation = donation
	}
	return entry, nil
}
