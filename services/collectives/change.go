package collectives

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/cagnotte/cagnotte/services/audit"
	"github.com/cagnotte/cagnotte/services/money"
	"github.com/cagnotte/cagnotte/services/notices"
)

// tellChangesTx tells of other places where money is sent to, of another limit of refunds, and of other readers of
// notices, as who steals a key would set them. It comes before the change is written, so that it goes to those who
// were told so far, and to those who will be.
func (s *Service) tellChangesTx(ctx context.Context, tx pgx.Tx, stored, changed Collective) error {
	// The key is the version before the change, and the kind is part of what a notice is told by: one for each setting
	// and change.
	n := notices.Notice{Collective: stored.ID, Key: strconv.FormatInt(stored.version, 10), Subject: stored.Name()}
	for _, change := range []struct {
		kind          notices.Kind
		differs       bool
		before, after string
	}{
		{notices.BankAccountChanged, stored.BankAccount != changed.BankAccount, stored.BankAccount.short(), changed.BankAccount.short()},
		{
			notices.ChequeDetailsChanged,
			stored.ChequePayee != changed.ChequePayee || !slices.Equal(stored.PostalAddress, changed.PostalAddress),
			stored.cheques(), changed.cheques(),
		},
		{
			notices.RefundApprovalChanged, stored.RefundApproval != changed.RefundApproval,
			limitText(stored.RefundApproval), limitText(changed.RefundApproval),
		},
		{
			notices.AlertEmailsChanged, !slices.Equal(stored.AlertEmails, changed.AlertEmails),
			shortAddresses(stored.AlertEmails), shortAddresses(changed.AlertEmails),
		},
		// Account ids are told in full, unlike IBANs and addresses.
		{notices.CollectiveSuspended, stored.SuspendTime.IsZero() && !changed.SuspendTime.IsZero(), "", changed.SuspendReason},
		{notices.CollectiveResumed, !stored.SuspendTime.IsZero() && changed.SuspendTime.IsZero(), stored.SuspendReason, ""},
		{notices.StripeAccountChanged, stored.StripeAccount != changed.StripeAccount, stored.StripeAccount, changed.StripeAccount},
	} {
		if !change.differs {
			continue
		}
		n.Kind = change.kind
		if err := s.notices.TellChangeTx(ctx, tx, n, change.before, change.after, changed.AlertEmails...); err != nil {
			return err
		}
	}
	return nil
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

// cheques is the payee and the address in one line, without an empty payee.
func (s Settings) cheques() string {
	return strings.Join(append(slices.DeleteFunc([]string{s.ChequePayee}, func(p string) bool { return p == "" }), s.PostalAddress...), ", ")
}

// limitText is empty for no limit, which is told as nothing.
func limitText(a money.Amount) string {
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
		// A character and not a byte, so that the text stays valid UTF-8.
		first := []rune(cmp.Or(name, " "))[:1]
		short[i] = string(first) + "…@" + domain
	}
	return strings.Join(short, ", ")
}

// auditFields are the settings as the audit log tells them: IBANs and addresses are shortened.
func (c Collective) auditFields() audit.Fields {
	return audit.Fields{
		"display_name":         c.DisplayName,
		"stripe_account":       c.StripeAccount,
		"time_zone":            c.TimeZone,
		"language":             c.Language,
		"alert_emails":         shortAddresses(c.AlertEmails),
		"refund_approval":      limitText(c.RefundApproval),
		"bank_account":         c.BankAccount.short(),
		"cheque_payee":         c.ChequePayee,
		"postal_address":       strings.Join(c.PostalAddress, ", "),
		"own_account_required": strconv.FormatBool(c.OwnAccountRequired),
		"discreet":             strconv.FormatBool(c.Discreet),
		"suspend_reason":       c.SuspendReason,
	}
}
