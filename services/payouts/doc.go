// Package payouts follows money from Stripe's balance to the bank, line by line of the bank's statement.
//
// # What it owns
//
// The schema payouts: a row for each payout, whose state only moves on (paid can still become failed, days later);
// the balance transactions that each automatic one holds, append-only pairs; whose money it is, decided once; what
// differs from the books; and how far each account's list was read. The money itself is in the ledger alone. The
// schema is not webhooks', which brings the facts, because exports read payouts too and must not know events.
//
// # In step
//
// [Service.Read] stores what Stripe says of a payout that an event names. [Service.Sync] lists, on the timer, what
// was made since the last listing or within sixteen days before it, so that every event may get lost; then does
// what is due for each payout: ask for what should be known by now, read what is inside once Stripe says that it
// is whole, post, compare. All of it can be done twice, in any order and by two programs at once. What must be waited for is
// tried again with growing pauses, by the database's clock.
//
// # In the books
//
// The payout's own balance transaction is posted like every other, Stripe's balance to transit, and so is the one
// by which a failed or canceled one comes back. In between stands the bank: when a payout is paid, a transaction
// under [BankReference] takes it from transit to the bank, on the day of its arrival; when a paid one fails, a reversal
// under [ReturnReference] takes that back, dated when the money came back. Negative payouts are the same with the
// other sign. So the bank's account has exactly the lines of the bank's statement, and transit returns to zero.
//
// # Whose money
//
// The shares of collectives must balance each by itself, and one balance transaction is one ledger transaction,
// posted at once, when nobody may know yet what is inside the payout. So where an account has several collectives,
// the payout's own transaction is posted to none of them, and the line at the bank divides it, from what is inside:
// each collective's share goes from its balance at Stripe to the bank, and the balance of nobody, from which the
// whole was taken, gets it back. After that each collective's balance at Stripe is what stands there for it. The
// line waits until Stripe tells what is inside and that is in the books, but no longer than a week after the
// arrival: what is known then is divided, and the rest belongs to nobody, as does all of a payout that was made by
// hand. A payout that came back is, inside a later one, divided as it was the first time; until it is known which one
// came back, the later one waits too. Where an account has one collective, all is its own, and nothing waits.
//
// # Compared
//
// For each automatic payout, what is inside must sum to it, with or without a fee that it costs itself, and each balance transaction inside must stand in the
// books with the same net and fee; so must its own. What is not in the books yet is no difference until three days
// after the arrival. A difference is stored as a [Finding] that names the transaction, told to the operator and to
// members of the collectives concerned, counted by a metric, and looked at again every day: when it is gone, it is
// resolved. A payout by hand has no content that Stripe could tell, and is shown without.
//
// # Neighbours
//
// Imports ledger and collectives. Webhooks calls it after each sync of the balance; exports reads its lines.
package payouts
