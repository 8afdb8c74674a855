// Package donations takes donations, single and monthly: from the donor's intent, through Stripe Checkout, to the state that
// Stripe's balance gives them. What happens to a payment later is package refunds.
//
// # What it owns
//
// The schema donations: donations, payments (where one donation has several, or one was paid in another currency), monthly
// donations, the tokens of donors' links, and the limits of networks. Nothing in it tells who gave.
//
// # States of a donation
//
//	created             its payment page is open or being made     -> pending, succeeded, expired, failed, canceled
//	pending             a debit is at the bank                     -> succeeded, failed
//	expired             its page closed unpaid                     -> created (opened again), pending, succeeded
//	failed, canceled    an unpaid end                              -> succeeded
//	succeeded           paid                                       -> the other paid states
//	partially_refunded  refunds took a part                        -> the other paid states
//	refunded            refunds took all                           -> the other paid states
//	disputed            a bank has some of it                      -> the other paid states
//
// Among the paid states, the last four, the balance alone decides, whatever the order in which its movements become known.
// A donor is told "refunded" only when refunds and disputes together took all.
//
// # Invariants
//
//   - Amount, campaign, request id and Stripe account never change; a paid donation stays paid. The database refuses
//     any other step.
//   - One request id is one donation, and at most one open payment page. [Service.Create] commits the intent before it calls Stripe,
//     outside any transaction, under an idempotency key of the intent and its attempt. After a failure nobody calls
//     before a pause is over (session.go).
//   - A payment is a donation's only if it was made on a page whose session is stored here, and brought what the page asks
//     for. Metadata only says where to look (attribution.go, lookup.go). Any other payment
//     that names a donation is booked to unknown receipts and told to members ([Service.RefuseTx]).
//   - Two functions move a donation, both in the caller's transaction and both without effect when repeated:
//     [Service.ApplySessionTx] by what a session says, [Service.BookTx] by what was posted to the ledger.
//   - A donation that was paid twice keeps both payments (surplus.go). It is received until both went back.
//   - Batches of donations, which everybody may see, add nothing to what progress, which anybody reads each second, tells of
//     hours and amounts ([Batch], batch.go). They are made of amounts and days of booking, which never change, and stored: a
//     refund or a late event changes none. They are for campaigns whose members chose so, and no discreet collective has any.
//   - Whoever locks several donations locks them in the order of their ids.
//
// # Pages that close
//
// A page that closed unpaid is opened again for 30 days and three times at most, by another session of the same donation, counted
// as a new donation is (reopening.go). That holds for monthly donations too: a closed page starts no subscription. After
// maxDeclines refused cards, on all its pages together, a donation's page is closed for good (decline.go). Upkeep asks Stripe about donations whose
// end no event told, more and more rarely (overdue.go). Pages of a suspended collective are closed (suspension.go).
//
// # Monthly donations
//
// A monthly donation is a [Recurring]: a subscription at Stripe, and a row here under the id of its first donation. Each
// paid invoice is a [Donation] of its own. Its states, its invariants and how a pending change is applied stand at
// [Recurring]; the files are recurring*.go.
//
// # Neighbours
//
// It imports campaigns, collectives and ledger. Refunds and webhooks import it; it knows neither. Its jobs ask Stripe for a
// waiting donor, close pages and keep monthly donations. It serves the proto packages donations and recurring.
package donations
