package ledger

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	ledgerv1 "github.com/cagnotte/cagnotte/proto/cagnotte/ledger/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/internal/wire"
)

// reclassificationPrefix keeps references that callers choose apart from Stripe's ids, and tells what can be taken back.
const reclassificationPrefix = "reclassification:"

func (s *server) ReclassifyTransaction(ctx context.Context, req *ledgerv1.ReclassifyTransactionRequest) (*ledgerv1.Transaction, error) {
	parent, collective, book, original, err := s.original(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.service.reversedElsewhere, func(prefix string) bool { return strings.HasPrefix(original, prefix) }) {
		return nil, errs.New(errorsv1.ErrorReason_REVERSED_ELSEWHERE, "This was entered by hand: take it back where it was entered, and enter it again.")
	}
	from, err := entryFromProto("from", parent, collective, req.GetFrom())
	if err != nil {
		return nil, err
	}
	to, err := entryFromProto("to", parent, collective, &ledgerv1.Entry{Account: req.GetToAccount(), Campaign: req.GetToCampaign()})
	if err != nil {
		return nil, err
	}
	switch {
	case req.GetFrom().GetDonation() != "":
		return nil, errs.Invalid("from.donation", "must be left out: what belongs to a donation counts where the donation does")
	case from.Code == to.Code && from.Campaign == to.Campaign:
		return nil, errs.Invalid("to_account", "must be another account, or the campaign another one")
	}
	if to.Campaign != "" {
		if err := s.cfg.KnowsCampaign(ctx, collective, to.Campaign); err != nil {
			return nil, err
		}
	}
	r := Reclassification{
		Original: original, Reference: reclassificationPrefix + strings.ToLower(req.GetRequestId()), Collective: collective,
		Amount: from.Amount, FromCode: from.Code, FromCampaign: from.Campaign, ToCode: to.Code, ToCampaign: to.Campaign,
	}
	if r.Effective, err = wire.Instant("effective_time", req.GetEffectiveTime()); err != nil {
		return nil, err
	}
	r.Effective = r.Effective.Truncate(time.Microsecond)
	if err := postgres.InTx(ctx, s.service.pool, func(ctx context.Context, tx pgx.Tx) error {
		return s.service.ReclassifyTx(ctx, tx, book, r)
	}); err != nil {
		return nil, err
	}
	return s.posted(ctx, parent, collective, book, r.Reference)
}

// original finds the transaction that a correction names: its reference, and whose it is.
func (s *server) original(ctx context.Context, name string) (parent, collective, book, reference string, err error) {
	ledger, last, ok := strings.Cut(name, "/transactions/")
	id, err := strconv.ParseInt(last, 10, 64)
	if !ok || err != nil {
		return "", "", "", "", errs.NotFound(name)
	}
	if parent, collective, book, err = s.find(ctx, ledger); err != nil {
		return "", "", "", "", err
	}
	reference, err = s.service.referenceOf(ctx, book, collective, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "", "", "", errs.NotFound(name)
	}
	return parent, collective, book, reference, postgres.Error(err)
}

// posted is the correction that stands under a reference.
func (s *server) posted(ctx context.Context, parent, collective, book, reference string) (*ledgerv1.Transaction, error) {
	found, err := s.service.Transactions(ctx, TransactionFilter{Book: book, Collective: collective, Reference: reference}, Position{}, 1)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, errs.NotFound(parent + "/ledger/transactions")
	}
	return transactionToProto(parent, found[0]), nil
}
