// Package webhooks receives Stripe's events, applies them to donations, and books Stripe's balance transactions in
// the ledger. Events are hints: if all of them are lost, the sync on the timer still books all money.
//
// # What it owns
//
// The schema webhooks: events (each once, without the payer's identity), accounts (positions of sync and backfill),
// parked (balance transactions that cannot be booked yet), owners and holds (whose the money is that belongs to no
// donation), balances (the last comparison with Stripe's balance).
//
// # States of an event
//
//	received  stored, to be applied                       -> applied, ignored, failed
//	applied   done
//	ignored   unknown type, other livemode, or not ours   -> received, when a collective gets the account
//	failed    retried with growing pauses, 20 times       -> applied, ignored; -> received by a replay or redelivery
//
// # One pass of an account's job
//
// Each Stripe account has one River job at a time (job.go, schedule.go). A pass (account.go) runs these steps:
//
//	backfill.go              stores events that no webhook brought, from Stripe's list of events
//	session.go, resource.go  apply events; see eventtypes.go for what handles which type
//	balancelist.go           lists new balance transactions, newest first; booking.go posts them
//	unbooked.go              asks Stripe about donations that are paid and not booked
//	parked.go                tries parked balance transactions again
//	sync.go                  brings the account's payouts up to date, and has the order of these steps
//	balancelist.go           looks back 3 days once a day, 30 days once a week, for what became visible late
//	comparison.go            compares the books with Stripe's balance once an hour
//
// # Where an event of Stripe's is handled
//
// To add one, add a row to the table in eventtypes.go, and for a new kind of resource a reader in readers.go.
//
//	checkout.session.*                          session.go       donations.ApplySessionsTx
//	payment_intent.payment_failed               session.go       donations.CountDeclineTx
//	payment_intent.processing, invoice.*        readers.go       donations.ApplyInvoice
//	customer.subscription.*                     readers.go       donations.ReadSubscription
//	charge.refunded, refund.*, charge.dispute.* readers.go       refunds
//	radar.early_fraud_warning.*                 readers.go       refunds
//	payout.*, account.updated                   readers.go       payouts.Read, connect.ReadAccount
//	account.application.(de)authorized          connection.go    connect.SetConnectedTx
//	charge.succeeded, .captured, .updated; topup.*  hint.go      the next sync
//
// # Invariants
//
//   - An event is stored before it is acknowledged. Receiving one does not call Stripe and applies nothing (delivery.go).
//   - Each event counts once, in any order: applying it and noting the result are one transaction (eventstate.go).
//     Events that name a resource only cause it to be read again, so another API version is never believed.
//   - No event is lost beside a job that ends: storing takes the account's advisory lock shared, ending a job takes
//     it exclusively (job.go).
//   - A position moves in the transaction that books or parks what lies behind it. One transaction that cannot be
//     booked never delays others.
//   - Whose money it is, is decided once for each payment, payout or hold (owner.go, hold.go).
//   - A program that was killed is replaced within seconds; two jobs of one account at once do no harm.
//
// # Neighbours
//
// It imports donations, refunds, payouts, ledger, collectives, connect and notices; only the wiring imports it. Many
// objects are read by pages of their lists, which takes few calls (internal/stripe/bulkread.go, deploy/benchmarks.md).
package webhooks
