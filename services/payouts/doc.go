// Package payouts follows money from Stripe's balance to the bank, line by line of the bank's statement.
//
// # What it owns
//
// The schema payouts: payouts; contents (the balance transactions inside each automatic payout); shares (whose money a
// payout is, decided once); findings (differences from the books); accounts (how far each account's list was read).
// Amounts are booked in the ledger alone.
//
// # States of a payout
//
//	pending     made by Stripe                              -> in_transit, paid, failed, canceled
//	in_transit  on its way to the bank                      -> paid, failed, canceled
//	paid        at the bank                                 -> failed, within days
//	failed      refused by the bank; the money is back in Stripe's balance
//	canceled    taken back before it left
//
// A state never goes back: what Stripe says in an older answer changes nothing.
//
// # In the books
//
//	payout's own balance transaction   Stripe's balance -> transit         booked by webhooks
//	paid                               transit -> bank, on the arrival     under [BankReference]
//	paid, then failed                  reversal of that line               under [ReturnReference]
//	failed or canceled                 transit -> Stripe's balance         booked by webhooks
//
// A negative payout is the same with the other sign. So the account of the bank has exactly the lines of its
// statement, and transit returns to zero.
//
// # Shares
//
// If an account has one collective, the whole payout is its own. If it has several, the payout's own transaction
// belongs to none, and the line at the bank divides it by the collectives of what is inside: each share moves from
// that collective's balance at Stripe to the bank. The line waits until Stripe tells what is inside and all of it is
// booked, for a week after the arrival at most; what is unknown then belongs to none, as does all of a manual payout.
// A returned payout inside a later one is divided as it was the first time.
//
// # Reconciliation
//
// The contents of an automatic payout must sum to it, and each must be booked with the same net amount and fee. What
// is not booked yet counts as missing three days after the arrival. A difference is a [Finding]: it is notified and
// counted by a metric, compared again every day, and resolved when it is gone.
//
// # Invariants
//
//   - [Service.Sync] needs no event: it lists payouts made since the last listing or within 16 days before it.
//   - All steps can be repeated, in any order and by two programs at once. What has to wait is retried with growing
//     pauses, by the database's clock.
//
// # Neighbours
//
// Imports ledger and collectives. Webhooks calls Read for events, and Sync after each sync of the balance; exports reads
// lines. It is apart from webhooks because exports must not know events.
package payouts
