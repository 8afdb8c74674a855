// Package refunds is about what happens to a donation's payment later: refunds, disputes and early fraud warnings.
//
// # What it owns
//
// The schema refunds: refunds, disputes and fraud_warnings. They inform members and limit refunds. They do not decide about
// money: a donation's state and the books follow Stripe's balance alone, through donations.BookTx. Package donations reads
// one fact of this schema, whether a donation has an actionable fraud warning.
//
// # States of a refund
//
//	awaiting_approval  a second member must approve    -> approved, rejected, canceled
//	approved           a job sends it to Stripe        -> submitted, canceled
//	submitted          it may have reached Stripe      -> pending, succeeded, failed, canceled
//	pending            accepted, no money moved        -> succeeded, failed, canceled
//	succeeded          on its way to the donor         -> failed, canceled
//	failed, rejected, canceled                            the end
//
// # Statuses of a dispute
//
// They are Stripe's, in the order in which a reading may follow another:
//
//	warning_needs_response, warning_under_review, warning_closed   an inquiry: no money moves
//	needs_response, under_review                                   the bank took the money
//	prevented                                                      no money moves
//	lost, won                                                      lost can still be won
//
// Of two readings, the later one is that with more money withdrawn or reinstated, then that with the later status.
//
// # Invariants
//
//   - A refund is sent once. It is stored as submitted before the call; if it may have reached Stripe, it is looked for
//     there by the row's id before it is sent again ([Service.Submit]).
//   - Whoever requests, approves or applies a refund holds the donation's lock (donations.LockTx), then the refund's, and
//     so counts alone what is left.
//   - A refund is of one payment, in the currency that the donor paid in, and the payment never changes: a surplus payment
//     with enough left, else the donation's own (refundable.go). A disputed payment is not refunded.
//   - Above the collective's threshold, for all refunds of a donation together, a second member approves, by a key that is
//     older than the request. Keys of which one made the other belong to one member (package access).
//   - A SEPA debit can also be claimed at the donor's bank, for eight weeks without a reason and for thirteen months as not
//     authorised. Its refund needs AllowDebit until then ([Claim]). What goes back both ways is notified as paid back twice.
//   - Reading a refund, dispute or warning again changes nothing, in any order.
//
// # When they are read
//
// After an event, when money moved for them ([Service.FollowTx]), and by a timer while they can change (job.go). So they are
// known even if all events are lost. Refunds and disputes that were made at Stripe get rows too.
//
// # Neighbours
//
// It imports donations, campaigns and collectives. Webhooks calls the Read functions for events, and FollowTx in the
// transaction that posts. It serves the proto packages refunds and disputes.
package refunds
