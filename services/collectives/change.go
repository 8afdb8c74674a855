package collectives

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/access"
	"github.com/cagnotte/cagnotte/services/internal/errs"
	"github.com/cagnotte/cagnotte/services/internal/postgres"
	"github.com/cagnotte/cagnotte/services/money"
)

// Change is what somebody changed of what guards a collective's money: who, and from what to what.
type Change struct {
	// Key and DisplayName are those of the API key; empty for the command line.
	Key, DisplayName string
	// Member is the name of the key that stands for its member.
	Member string
	// Before and After are short and hold no secret: an IBAN and addresses are shortened. They are empty for nothing.
	Before, After string
}

// byOperator reports a change by the operator, by key or on the command line.
func (c Change) byOperator() bool { return !strings.HasPrefix(c.Key, namePrefix) }

// maxChangeChars is more than any setting has, shortened.
const maxChangeChars = 1000

// tellChangeTx tells all members, and the operator too, what the caller in the context changes. It is told once for each
// key of the notice.
func (s *Service) tellChangeTx(ctx context.Context, tx pgx.Tx, n Notice, before, after string, alsoTo ...string) error {
	by := access.PrincipalFrom(ctx)
	n.Change = &Change{
		Key: by.Key, DisplayName: by.DisplayName, Member: by.Member, Before: cut(before, maxChangeChars), After: cut(after, maxChangeChars),
	}
	return s.tellTx(ctx, tx, n, alsoTo...)
}

func cut(text string, maxChars int) string {
	if runes := []rune(text); len(runes) > maxChars {
		return string(runes[:maxChars-1]) + "…"
	}
	return text
}

// tellChangesTx tells of other places where money is sent to, of another limit of refunds, and of other readers of
// notices, as who steals a key would set them. It comes before the change is written, so that it goes to those who
// were told so far, and to those who will be.
func (s *Service) tellChangesTx(ctx context.Context, tx pgx.Tx, stored, changed Collective) error {
	n := Notice{Collective: stored.ID, Key: strconv.FormatInt(stored.version, 10), Subject: stored.Name()}
	for _, change := range []struct {
		kind          NoticeKind
		differs       bool
		before, after string
	}{
		{NoticeBankAccountChanged, stored.BankAccount != changed.BankAccount, stored.BankAccount.short(), changed.BankAccount.short()},
		{
			NoticeChequeDetailsChanged,
			stored.ChequePayee != changed.ChequePayee || !slices.Equal(stored.PostalAddress, changed.PostalAddress),
			stored.cheques(), changed.cheques(),
		},
		{
			NoticeRefundApprovalChanged, stored.RefundApproval != changed.RefundApproval,
			limit(stored.RefundApproval), limit(changed.RefundApproval),
		},
		{
			NoticeAlertEmailsChanged, !slices.Equal(stored.AlertEmails, changed.AlertEmails),
			shortAddresses(stored.AlertEmails), shortAddresses(changed.AlertEmails),
		},
		{NoticeStripeAccountChanged, stored.StripeAccount != changed.StripeAccount, stored.StripeAccount, changed.StripeAccount},
	} {
		if !change.differs {
			continue
		}
		n.Kind = change.kind
		if err := s.tellChangeTx(ctx, tx, n, change.before, change.after, changed.AlertEmails...); err != nil {
			return err
		}
	}
	return nil
}

// TellKeyTx tells of an API key that was made or revoked; it is access.Config's Tell. Of the first one, which the operator
// makes for a collective, there is nobody to tell.
func (s *Service) TellKeyTx(ctx context.Context, tx pgx.Tx, change access.KeyChange) error {
	k := change.Key
	if k.RevokeTime.IsZero() && k.MadeByOperator() {
		others, err := access.OtherMemberTx(ctx, tx, k.Collective, k.Member(), access.RoleOwner, access.RoleEditor,
			access.RoleTreasurer, access.RoleAuditor, access.RoleOperator)
		if err != nil || !others {
			return err
		}
	}
	label := string(k.Role) + " " + k.DisplayName
	n := Notice{Collective: k.Collective, Kind: NoticeKeyCreated, Key: k.ID, Subject: k.Name()}
	if k.RevokeTime.IsZero() {
		return s.tellChangeTx(ctx, tx, n, "", label)
	}
	n.Kind = NoticeKeyRevoked
	return s.tellChangeTx(ctx, tx, n, label, "")
}

// tellOnboarding tells of a link into Stripe's onboarding before it is given out. Stripe gives the same link for the same
// request for a day at least, and later another: so that is told again.
func (s *Service) tellOnboarding(ctx context.Context, id, account string, requestID uuid.UUID) error {
	return postgres.InTx(ctx, s.pool, func(ctx context.Context, tx pgx.Tx) error {
		return s.tellChangeTx(ctx, tx, Notice{
			Collective: id, Kind: NoticeOnboardingStarted, Key: requestID.String() + ":" + s.now().UTC().Format(time.DateOnly), Subject: account,
		}, "", "")
	})
}

// short is the account as it may be told: the IBAN by its first and last four characters.
func (a BankAccount) short() string {
	if a == (BankAccount{}) {
		return ""
	}
	text := a.Holder + ", " + a.IBAN[:4] + "…" + a.IBAN[len(a.IBAN)-4:]
	if a.BIC != "" {
		text += ", " + a.BIC
	}
	return text
}

func (s Settings) cheques() string {
	return strings.Join(append(slices.DeleteFunc([]string{s.ChequePayee}, func(p string) bool { return p == "" }), s.PostalAddress...), ", ")
}

func limit(a money.Amount) string {
	if a.Currency == "" {
		return ""
	}
	return a.String()
}

// shortAddresses leaves of each address its first character and its domain.
func shortAddresses(addresses []string) string {
	short := make([]string, len(addresses))
	for i, a := range addresses {
		name, domain, _ := strings.Cut(a, "@")
		first := []rune(cmp.Or(name, " "))[:1]
		short[i] = string(first) + "…@" + domain
	}
	return strings.Join(short, ", ")
}

// CheckSecondMemberTx is an error unless the key of one name may agree to what the key of another asked for, and returns
// the members of both. The agreeing key cannot be revoked before the transaction ends.
//
//   - FAILED_PRECONDITION: SECOND_MEMBER_NEEDED, both keys are one member's; KEY_TOO_YOUNG, the key was made after the time
//     at which it was asked, unless that is zero
//   - UNAUTHENTICATED: INVALID_KEY, the agreeing key was revoked meanwhile
func (s *Service) CheckSecondMemberTx(ctx context.Context, tx pgx.Tx, asked, agrees string, since time.Time) (asker, second string, err error) {
	by, err := access.HoldTx(ctx, tx, agrees)
	if err != nil {
		return "", "", err
	}
	first, err := access.KeyTx(ctx, tx, asked)
	if err != nil {
		return "", "", err
	}
	switch {
	case by.Member() == first.Member():
		return "", "", errs.New(errorsv1.ErrorReason_SECOND_MEMBER_NEEDED,
			"Another member than the one who asked must decide. Keys of which one made the other are one member's.")
	case !since.IsZero() && by.CreateTime.After(since):
		return "", "", errs.New(errorsv1.ErrorReason_KEY_TOO_YOUNG, "This API key was made after the request. A member whose key is older must approve it.")
	}
	return first.Member(), by.Member(), nil
}

// SameMemberTx reports whether two keys are one member's.
func (s *Service) SameMemberTx(ctx context.Context, tx pgx.Tx, one, other string) (same bool, err error) {
	if one == other {
		return true, nil
	}
	a, err := access.KeyTx(ctx, tx, one)
	if err != nil {
		return false, err
	}
	b, err := access.KeyTx(ctx, tx, other)
	return err == nil && a.Member() == b.Member(), err
}
